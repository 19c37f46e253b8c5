package h2session

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// noBounds are budgets for tests of something else.
func noBounds() (f [NumBounds]Budget) {
	for i := range f {
		f[i] = Unlimited
	}
	return f
}

func TestABudgetIsABurstAndARate(t *testing.T) {
	b := per(10, 10*time.Second)
	var l bucket
	count := func(at time.Duration) (n int) {
		for l.spend(1, b, at) {
			n++
		}
		return n
	}
	for _, tt := range []struct {
		at   time.Duration
		want int
	}{
		{0, 10}, {0, 0},
		{900 * time.Millisecond, 0}, {time.Second, 1}, // one more each second
		{4 * time.Second, 3},
		{time.Minute, 10},                            // what was not used in time is not saved up
		{59 * time.Second, 0}, {61 * time.Second, 1}, // a clock that went back gives nothing
	} {
		if n := count(tt.at); n != tt.want {
			t.Errorf("at %v %d pass, want %d", tt.at, n, tt.want)
		}
	}
}

func TestABudgetOfManyCountsEach(t *testing.T) {
	b := per(100, time.Second)
	var l bucket
	if l.spend(101, b, 0) {
		t.Error("101 of 100 passed")
	}
	if !l.spend(60, b, 0) || l.spend(41, b, 0) || !l.spend(40, b, 0) || l.spend(1, b, 0) {
		t.Error("60+40 of 100 did not pass, or more did")
	}
}

// Whatever comes when: no window of Per sees more than twice Count, and what is
// refused changes nothing.
func TestNoBudgetIsExceeded(t *testing.T) {
	for range 200 {
		b := per(1+rand.IntN(50), time.Duration(1+rand.IntN(5000))*time.Millisecond)
		var l bucket
		var passed []time.Duration
		now := time.Duration(0)
		for range 500 {
			now += time.Duration(rand.Int64N(int64(b.Per) / 10))
			if before := l; l.spend(1, b, now) {
				passed = append(passed, now)
			} else if l != before {
				t.Fatal("a refusal was charged")
			}
			for len(passed) > 0 && passed[0] <= now-b.Per {
				passed = passed[1:]
			}
			if len(passed) > 2*b.Count {
				t.Fatalf("%v: %d in one window", b, len(passed))
			}
		}
	}
}

func TestBudgetsAsText(t *testing.T) {
	for want, b := range map[string]Budget{
		"off": Unlimited, "": {}, "100/10s": per(100, 10*time.Second), "3/1m": per(3, time.Minute),
		"7/2h": per(7, 2*time.Hour), "observe:1/1m30s": {Count: 1, Per: 90 * time.Second, Observe: true},
	} {
		if got := b.String(); got != want {
			t.Errorf("%#v is %q, want %q", b, got, want)
		}
	}
}

func TestEveryBoundHasANameADefaultAndADoc(t *testing.T) {
	seen := map[string]bool{}
	for b := range NumBounds {
		if b.String() == "" || seen[b.String()] || b.Doc() == "" || b.Default().Count == 0 {
			t.Errorf("bound %d: %q, %v, %q", b, b, b.Default(), b.Doc())
		}
		seen[b.String()] = true
		if want := pitag.Cause("flood:" + b.String()); b.Cause() != want {
			t.Errorf("cause %q, want %q", b.Cause(), want)
		}
	}
	if NumBounds > 32 {
		t.Error("floods.passed has 32 bits")
	}
}

// A spender sends something that is charged to a bound, i counting from 0. It
// opens the streams that it needs.
type spender struct {
	bound Bound
	begin func(cl *bench)
	spend func(cl *bench, i int)
	// each is how much one spend is; 0 = 1.
	each int
}

func never(*bench) {}

// shut keeps the client from receiving DATA until it opens windows itself.
func shut(cl *bench) {
	cl.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	cl.WantSettingsAck()
}

func upload(cl *bench) { cl.Post(1, "/wait") }

var spenders = []spender{
	{FloodContinuation, func(cl *bench) { cl.Raw(http2.FrameHeaders, 0, 1, nil) },
		func(cl *bench, i int) { cl.Raw(http2.FrameContinuation, 0, 1, []byte("\x82")) }, 0},
	{FloodHeaderBytes, func(cl *bench) {
		cl.Raw(http2.FrameHeaders, 0, 1, nil)
		for range 4 { // 64 KiB are within the limit
			cl.Raw(http2.FrameContinuation, 0, 1, []byte(strings.Repeat("\x82", 16<<10)))
		}
	}, func(cl *bench, i int) {
		cl.Raw(http2.FrameContinuation, 0, 1, []byte(strings.Repeat("\x82", 16<<10)))
	}, 16 << 10},
	{FloodEmptyNames, never, func(cl *bench, i int) {
		id := uint32(2*i + 1)
		cl.Raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, id, append(cl.Block(testkit.Request("GET", "/")...), 0, 0, 0))
		cl.WantReset(id, codeProtocol)
	}, 0},
	{FloodSettings, never, func(cl *bench, i int) { cl.Settings(); cl.WantSettingsAck() }, 0},
	{FloodSettingsEntries, never, func(cl *bench, i int) {
		cl.Settings(make([]http2.Setting, 16)...) // of an unknown kind
		cl.WantSettingsAck()
	}, 16},
	{FloodAcks, never, func(cl *bench, i int) {
		if i%2 == 0 {
			cl.SettingsAck()
		} else {
			cl.PingAck([]byte("notasked"))
		}
	}, 0},
	{FloodPing, never, func(cl *bench, i int) { cl.Ping("ping"); cl.WantPing(true) }, 0},
	{FloodResets, never, func(cl *bench, i int) {
		id := uint32(2*i + 1)
		cl.Post(id, "/wait")
		cl.Reset(id, codeCancel)
		synctest.Wait()
	}, 0},
	{FloodProvokedResets, never, func(cl *bench, i int) {
		id := uint32(2*i + 1)
		cl.Post(id, "/wait")
		cl.Window(id, 0)
		cl.WantReset(id, codeProtocol)
		synctest.Wait()
	}, 0},
	{FloodRefused, func(cl *bench) {
		for i := range 250 {
			cl.Post(uint32(2*i+1), "/wait")
		}
		synctest.Wait()
	}, func(cl *bench, i int) {
		id := uint32(2*i + 501)
		cl.Get(id, "/")
		cl.WantReset(id, codeRefusedStream)
	}, 0},
	{FloodStreams, never, func(cl *bench, i int) {
		id := uint32(2*i + 1)
		cl.Get(id, "/")
		cl.WantStatus(id, "200")
		cl.WantBody(id)
	}, 0},
	{FloodEmptyData, upload, func(cl *bench, i int) { cl.Data(1, false, "") }, 0},
	{FloodSmallData, upload, func(cl *bench, i int) { cl.Data(1, false, "x") }, 0},
	{FloodTinyWindows, func(cl *bench) {
		shut(cl)
		cl.Get(1, "/big")
		cl.WantHeaders(1, false)
	}, func(cl *bench, i int) {
		cl.Window(1, 1)
		cl.WantData(1, false)
	}, 0},
	{FloodWindowUpdates, upload, func(cl *bench, i int) { cl.Window(0, 1) }, 0},
	{FloodPriority, never, func(cl *bench, i int) {
		if i%2 == 0 {
			cl.Raw(http2.FramePriority, 0, uint32(2*i+1), []byte{0, 0, 0, 0, 15})
		} else {
			cl.Raw(framePriorityUpdate, 0, 0, []byte("\x00\x00\x00\x01u=1"))
		}
	}, 0},
	{FloodUseless, func(cl *bench) {
		cl.Headers(1, false, Bad...)
		cl.WantReset(1, codeProtocol)
		cl.Post(3, "/wait")
		cl.GoAway(codeNo)
	}, func(cl *bench, i int) {
		switch i % 3 {
		case 0:
			cl.Raw(0xfe, 0, 0, []byte("grease"))
		case 1:
			cl.Headers(1, true, "a", "b")
		case 2:
			cl.GoAway(codeNo)
		}
	}, 0},
}

// budget is a small one, so that the test is quick: twelve times what is spent.
func (s spender) budget() Budget { return per(12*max(s.each, 1), 24*time.Second) }

// free is what the session had paid for before: the stream of an upload pays for
// its first WINDOW_UPDATEs.
func (s spender) free() int {
	if s.bound == FloodWindowUpdates {
		return updatesPerStream
	}
	return 0
}

// floodHandler answers /big with a lot, and what has a body when that ends.
func floodHandler(r *http.Request, c *vconn.Conn) {
	if r.URL.Path == "/big" {
		respond(c, 200, strings.Repeat("x", 1<<20))
		return
	}
	hello(r, c)
}

func startFlood(t *testing.T, s spender, f func(*Config)) *bench {
	cfg := Config{Floods: noBounds()}
	cfg.Floods[s.bound] = s.budget()
	f(&cfg)
	return start(t, cfg, floodHandler)
}

// What is past a bound ends the session: GOAWAY(ENHANCE_YOUR_CALM) that says
// which, and so do the record and the count. Up to it nothing happens, and when
// time has gone by there is room again.
func TestPastABoundTheSessionEnds(t *testing.T) {
	for _, s := range spenders {
		t.Run(s.bound.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := startFlood(t, s, func(*Config) {})
				cl.Handshake()
				s.begin(cl)
				// The handshake's SETTINGS and those of the preparation are
				// forgotten by now, but within no timeout's time.
				time.Sleep(5 * time.Second)
				n := 12 + s.free()
				for i := range n {
					s.spend(cl, i)
				}
				cl.WantAlive()
				time.Sleep(4*time.Second + time.Millisecond) // a sixth of the window: two more
				s.spend(cl, n)
				s.spend(cl, n+1)
				cl.WantAlive()
				cl.flood(s, n+2)
				want := fmt.Sprintf("flood: %v %v", s.bound, s.budget())
				if f := cl.WantGoAwayLast(codeCalm); string(f.Payload[8:]) != want {
					t.Errorf("debug data %q, want %q", f.Payload[8:], want)
				}
				r := cl.wantCause(s.bound.Cause())
				if r.GoAway != "ENHANCE_YOUR_CALM" {
					t.Errorf("record: goaway %q", r.GoAway)
				}
				if got := cl.srv.Stats().Floods; len(got) != 1 || got[s.bound.String()] != 1 {
					t.Errorf("counted %v", got)
				}
			})
		})
	}
}

// flood spends once more, which is too much: what follows is not waited for.
func (b *bench) flood(s spender, i int) {
	switch s.bound {
	case FloodSettings:
		b.Settings()
	case FloodSettingsEntries:
		b.Settings(make([]http2.Setting, 16)...)
	case FloodPing:
		b.Ping("ping")
	case FloodTinyWindows:
		b.Window(1, 1)
	case FloodRefused:
		b.Get(uint32(2*i+501), "/")
	case FloodStreams:
		b.Get(uint32(2*i+1), "/")
	case FloodEmptyNames:
		b.Raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, uint32(2*i+1), append(b.Block(testkit.Request("GET", "/")...), 0, 0, 0))
	case FloodProvokedResets:
		b.Post(uint32(2*i+1), "/wait")
		b.Window(uint32(2*i+1), 0)
	default:
		s.spend(b, i)
	}
}

// WantAlive fails when the session is ending.
func (b *bench) WantAlive() {
	b.t.Helper()
	synctest.Wait()
	select {
	case <-b.done:
		b.t.Fatalf("the session has ended: %+v", b.record)
	default:
	}
	b.srv.mu.Lock()
	defer b.srv.mu.Unlock()
	for s := range b.srv.sessions {
		s.lock()
		if s.m.phase == closing {
			b.t.Errorf("the session is closing: %v", s.m.cause)
		}
		s.mu.Unlock()
	}
}

// WantGoAwayLast skips what comes before GOAWAY.
func (b *bench) WantGoAwayLast(code Code) testkit.Frame {
	b.t.Helper()
	for {
		f, err := b.Next()
		if err != nil {
			b.t.Fatalf("want GOAWAY %v, got none: %v", code, err)
		}
		if f.Type == http2.FrameGoAway && f.Code() != codeNo {
			if f.Code() != code {
				b.t.Fatalf("want GOAWAY %v, got %v", code, &f)
			}
			return f
		}
	}
}

func TestObservedBoundsCountAndLetPass(t *testing.T) {
	for _, s := range spenders {
		t.Run(s.bound.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := startFlood(t, s, func(c *Config) { c.Floods[s.bound].Observe = true })
				cl.Handshake()
				s.begin(cl)
				time.Sleep(5 * time.Second)
				n := 12 + s.free()
				for i := range n + 5 {
					s.spend(cl, i)
				}
				cl.WantAlive()
				if got := cl.srv.Stats().Floods[s.bound.String()]; got != 5 {
					t.Errorf("counted %d, want 5", got)
				}
				if r := cl.end(); strings.HasPrefix(string(r.Cause), "flood") {
					t.Errorf("cause %q", r.Cause)
				}
			})
		})
	}
}

func TestBoundsThatAreOffCountNothing(t *testing.T) {
	for _, s := range spenders {
		t.Run(s.bound.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := startFlood(t, s, func(c *Config) { c.Floods[s.bound] = Unlimited })
				cl.Handshake()
				s.begin(cl)
				for i := range 30 {
					s.spend(cl, i)
				}
				cl.WantAlive()
				if got := cl.srv.Stats().Floods[s.bound.String()]; got != 0 {
					t.Errorf("counted %d", got)
				}
				cl.end()
			})
		})
	}
}

// A client may ask what it likes as often as it gets something for it: gRPC
// measures downloads by PINGs, and WINDOW_UPDATEs answer DATA.
func TestResponsesPayForPingsAndUpdates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{Floods: [NumBounds]Budget{FloodPing: per(1, time.Hour), FloodWindowUpdates: per(2, time.Hour)}}, floodHandler)
		cl.Handshake()
		id := uint32(1)
		for range 200 {
			cl.Post(id, "/")
			cl.Data(id, true, "x")
			cl.WantStatus(id, "200")
			cl.WantBody(id)
			cl.Ping("bdp")
			cl.WantPing(true)
			for range 4 {
				cl.Window(0, 4)
			}
			id += 2
		}
		cl.WantAlive()
		cl.end()
	})
}

// A tiny window at the end of a large one is no tiny window.
func TestTheRestOfAnHonestWindowIsNoFlood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{Floods: [NumBounds]Budget{FloodTinyWindows: per(3, time.Hour)}}, floodHandler)
		cl.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 16384 + 300})
		cl.Get(1, "/big")
		cl.WantHeaders(1, false)
		for range 10 {
			cl.WantData(1, false)
			cl.WantData(1, false) // 300 bytes
			cl.Window(0, 16384+300)
			cl.Window(1, 16384+300)
		}
		cl.WantAlive()
		cl.end()
	})
}

// A client that opens its window by what its reader took, which is any number,
// is no flood however long it goes on; one whose windows are all next to nothing
// is one soon.
func TestDataPaysForTheShortRestsOfWindows(t *testing.T) {
	for _, tc := range []struct {
		name   string
		window int // of each update: the rest is what is left of it after a full frame
		ends   bool
	}{
		{"the rest of what a reader took", 16384 + 20, false},
		{"windows of a frame and a byte", 16384 + 1, false},
		{"windows of 200 bytes", 200, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{Floods: [NumBounds]Budget{FloodTinyWindows: per(3, time.Hour)}}, floodHandler)
				cl.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
				cl.Get(1, "/big")
				cl.WantHeaders(1, false)
				for range 60 {
					cl.Window(0, uint32(tc.window))
					cl.Window(1, uint32(tc.window))
					synctest.Wait()
				}
				if got := cl.srv.Stats().Floods[FloodTinyWindows.String()]; (got > 0) != tc.ends {
					t.Errorf("counted %d, want a flood: %v", got, tc.ends)
				}
				cl.end()
			})
		})
	}
}

// A single string that never ends is not collected, whatever the bounds.
func TestAnEndlessStringIsNotKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{Floods: noBounds()}, nil)
		cl.Handshake()
		literal := binary.AppendUvarint([]byte{0x00, 0x01, 'a', 0x7f}, 1<<30)
		cl.Raw(http2.FrameHeaders, 0, 1, literal)
		for range 40 {
			cl.Raw(http2.FrameContinuation, 0, 1, make([]byte, 16<<10))
		}
		cl.WantGoAwayLast(codeCalm)
		cl.wantCause(FloodHeaderBytes.Cause())
	})
}
