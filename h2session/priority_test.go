package h2session

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// A gate is a client that has shut the session window by a first response. What
// it asks for then is ready, heads sent, before the first byte of a body goes:
// the order of bodies on the wire is then the session's choice alone.
type gate struct {
	*bench
	next uint32
}

// body is three slices long and fits into a virtual connection, so that a
// stream never has to wait for its origin.
const body = 3 * sliceSize

func gated(t *testing.T, cfg Config) *gate {
	g := &gate{start(t, cfg, sized), 3}
	g.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 24})
	g.Get(1, fmt.Sprint("/", defaultWindow))
	g.WantHeaders(1, false)
	g.WantBody(1)
	return g
}

// sized answers with a body as long as the path says, and the response fields
// that the query has.
func sized(r *http.Request, c *vconn.Conn) {
	var n int
	fmt.Sscanf(r.URL.Path, "/%d", &n)
	var fields []string
	if p := r.URL.Query().Get("priority"); p != "" {
		fields = []string{"Priority", p}
	}
	respond(c, 200, strings.Repeat("x", n), fields...)
}

// ask opens a stream for n bytes with a priority field, "" being none, and
// returns its id.
func (g *gate) ask(n int, priority string, extra ...string) uint32 {
	id := g.next
	g.next += 2
	if priority != "" {
		extra = append(extra, "priority", priority)
	}
	g.Get(id, fmt.Sprint("/", n), extra...)
	synctest.Wait() // its head is on the wire: streams are ready in order
	return id
}

func (g *gate) update(id uint32, value string) {
	g.Raw(framePriorityUpdate, 0, 0, append(binary.BigEndian.AppendUint32(nil, id), value...))
}

// A piece is one DATA frame.
type piece struct {
	id uint32
	n  int
}

// heads waits for the response heads of all streams.
func (g *gate) heads() {
	g.t.Helper()
	for range g.next/2 - 1 {
		if f := g.WantAny(); f.Type != http2.FrameHeaders {
			g.t.Fatalf("want HEADERS, got %v", &f)
		}
	}
	g.WantIdle()
}

// WantAny returns the next frame.
func (g *gate) WantAny() testkit.Frame {
	g.t.Helper()
	f, err := g.Next()
	if err != nil {
		g.t.Fatal(err)
	}
	return f
}

// pieces opens the session window by n and returns the DATA that comes.
func (g *gate) pieces(n int) (ps []piece) {
	g.t.Helper()
	g.Window(0, uint32(n))
	for n > 0 {
		f := g.WantAny()
		if f.Type != http2.FrameData {
			g.t.Fatalf("want DATA, got %v", &f)
		}
		ps = append(ps, piece{f.Stream, len(f.Payload)})
		n -= len(f.Payload)
	}
	return ps
}

// order is the streams of ps, each named once per run of frames.
func order(ps []piece) (ids []uint32) {
	for _, p := range ps {
		if n := len(ids); n == 0 || ids[n-1] != p.id {
			ids = append(ids, p.id)
		}
	}
	return ids
}

func bytesOf(ps []piece) map[uint32]int {
	sum := make(map[uint32]int)
	for _, p := range ps {
		sum[p.id] += p.n
	}
	return sum
}

func inGate(t *testing.T, f func(t *testing.T, g *gate)) {
	bubble(t, func(t *testing.T) {
		g := gated(t, Config{})
		f(t, g)
		g.end()
	})
}

func TestUrgentBodiesComeBeforeBackground(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		background := g.ask(body, "u=7")
		usual := g.ask(body, "u=3")
		page := g.ask(body, "u=0")
		style := g.ask(body, "u=1, i")
		g.heads()
		wantTurns(t, order(g.pieces(4*body)), page, style, usual, background)
	})
}

func TestBodiesOfOneUrgencyComeOneAfterTheOther(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		a, b, c := g.ask(body, "u=2"), g.ask(body, "u=2"), g.ask(body, "u=2, i=?0")
		g.heads()
		wantTurns(t, order(g.pieces(3*body)), a, b, c)
	})
}

// After any prefix the shares of incremental bodies differ by a slice at most.
func TestIncrementalBodiesShare(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		ids := []uint32{g.ask(body, "u=2, i"), g.ask(body, "i, u=2"), g.ask(body, "u=2,i=?1")}
		g.heads()
		got := make(map[uint32]int)
		for i, p := range g.pieces(3 * body) {
			got[p.id] += p.n
			least, most := body, 0
			for _, id := range ids {
				least, most = min(least, got[id]), max(most, got[id])
			}
			if most-least > sliceSize {
				t.Fatalf("after %d frames: %v", i+1, got)
			}
		}
	})
}

func TestAClientThatSaysNothingOfPrioritiesGetsAShareForEach(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		a, b := g.ask(body, ""), g.ask(body, "")
		g.heads()
		wantTurns(t, order(g.pieces(2*body)), a, b, a, b, a, b)
	})
}

func TestTheDefaultOfAClientThatKnowsPrioritiesIsOneAfterTheOther(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		first := g.ask(body, "u=1")
		a, b, c := g.ask(body, ""), g.ask(body, "u=8"), g.ask(body, "u=1,,")
		g.heads()
		wantTurns(t, order(g.pieces(4*body)), first, a, b, c)
	})
}

func TestStreamsOfAnIntermediaryShareUnlessTheySayOtherwise(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		a, b := g.ask(body, "u=3", "via", "2 cdn"), g.ask(body, "u=3")
		c := g.ask(body, "i=?0, u=4")
		g.heads()
		wantTurns(t, order(g.pieces(3*body)), a, b, a, b, a, b, c)
	})
}

func TestLinesOfAPriorityFieldAreOneValue(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		late := g.ask(body, "u=2")
		early := g.ask(body, "i", "priority", "u=1") // u=1, i
		g.heads()
		wantTurns(t, order(g.pieces(2*body)), early, late)
	})
}

func TestPriorityUpdateInTheMiddleOfABody(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		a, b := g.ask(body, "u=1"), g.ask(body, "u=5")
		g.heads()
		wantTurns(t, order(g.pieces(sliceSize)), a)
		g.update(b, "u=0")
		synctest.Wait()
		wantTurns(t, order(g.pieces(2*body-sliceSize)), b, a)
	})
}

func TestPriorityUpdateSaysEverything(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		a, b := g.ask(body, "u=1, i"), g.ask(body, "u=2")
		g.heads()
		g.update(a, "") // u=3, i=?0
		synctest.Wait()
		wantTurns(t, order(g.pieces(2*body)), b, a)
	})
}

// It counts more than the priority field, and only for its stream.
func TestPriorityUpdateBeforeItsStream(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		g.update(g.next+4, "u=7")
		g.update(g.next+4, "u=0")
		g.update(g.next+2, "u=6")
		a, b, c := g.ask(body, ""), g.ask(body, "u=0"), g.ask(body, "u=5")
		g.heads()
		wantTurns(t, order(g.pieces(3*body)), c, a, b)
		if n := len(g.session().m.early); n != 0 {
			t.Errorf("%d updates are kept", n)
		}
	})
}

func TestAMalformedPriorityUpdateChangesNothing(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		a, b := g.ask(body, "u=1"), g.ask(body, "u=2")
		g.heads()
		g.update(b, "u=0,")
		g.update(b, "\xff")
		synctest.Wait()
		wantTurns(t, order(g.pieces(2*body)), a, b)
	})
}

func TestPriorityUpdateForStreamsThatAreClosed(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		g.update(1, "u=0")                 // ended
		id := g.ask(body, "")              //
		g.Reset(id, http2.ErrCodeCancel)   //
		g.update(id, "u=0")                // reset
		g.ask(body, "")                    //
		g.update(g.next+100, "u=1, i")     // may be opened some day
		g.Get(g.next+200, "/0")            // which this makes impossible
		g.update(g.next+100, "u=1, i=?0;") // closed by now, whatever it says
		for {
			if f := g.WantAny(); f.Stream == g.next+200 {
				break
			}
		}
		synctest.Wait()
		if n := len(g.session().m.early); n != 0 {
			t.Errorf("%d updates are kept", n)
		}
	})
}

func TestWrongPriorityUpdates(t *testing.T) {
	tests := []struct {
		name string
		send func(g *gate)
		code http2.ErrCode
	}{
		{"on a stream", func(g *gate) { g.Raw(framePriorityUpdate, 0, 1, []byte("\x00\x00\x00\x01u=1")) }, codeProtocol},
		{"of three bytes", func(g *gate) { g.Raw(framePriorityUpdate, 0, 0, []byte("\x00\x00\x01")) }, codeFrameSize},
		{"for stream 0", func(g *gate) { g.update(0, "u=1") }, codeProtocol},
		{"for a push", func(g *gate) { g.update(2, "u=1") }, codeProtocol},
		{"for more streams than may be open", func(g *gate) {
			for i := range uint32(4) {
				g.ask(body, "")
				g.update(101+2*i, "u=1")
				g.WantHeaders(g.next-2, false)
			}
		}, codeProtocol},
		{"in a header block", func(g *gate) {
			g.Raw(http2.FrameHeaders, 0, 3, nil)
			g.update(3, "")
		}, codeProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g := gated(t, Config{MaxStreams: 7})
				tt.send(g)
				g.WantGoAway(tt.code)
				g.wantCause("client_error")
			})
		})
	}
}

// Before the client has acknowledged our limit it cannot be held to it.
func TestManyEarlyPriorityUpdatesOfANewClientAreDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{MaxStreams: 3}, nil)
		cl.Write([]byte(http2.ClientPreface))
		cl.Settings()
		g := &gate{cl, 3}
		for i := range uint32(50) {
			g.update(101+2*i, "u=1")
		}
		cl.WantSettings()
		cl.WantSettingsAck()
		cl.WantIdle()
		if n := len(g.session().m.early); n != 3 {
			t.Errorf("%d updates are kept", n)
		}
		cl.end()
	})
}

// Thirteen urgent bodies are more than 32 turns: two of them belong to the
// background body, which would otherwise wait for all.
func TestABackgroundBodyIsNotStarved(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		low, lower := g.ask(body, "u=7"), g.ask(body, "u=5, i")
		for range 13 {
			g.ask(body, "u=0")
		}
		g.heads()
		got := bytesOf(g.pieces(13 * body))
		for _, id := range []uint32{low, lower} {
			if n := got[id]; n != sliceSize {
				t.Errorf("stream %d got %d of %d bytes, want a slice (%d)", id, n, 13*body, sliceSize)
			}
		}
	})
}

func TestAnUrgentStreamWhoseWindowIsShutBlocksNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := gated(t, Config{})
		g.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
		g.WantSettingsAck()
		urgent, usual := g.ask(body, "u=0"), g.ask(body, "u=3")
		g.Window(usual, body)
		g.heads()
		ps := g.pieces(100 + body)
		wantTurns(t, order(ps), urgent, usual)
		if n := bytesOf(ps)[urgent]; n != 100 {
			t.Errorf("%d bytes, its window was 100", n)
		}
		g.Window(urgent, body)
		if ps := g.pieces(body - 100); ps[0].id != urgent {
			t.Errorf("%v", ps)
		}
		g.end()
	})
}

func TestTheSessionWindowGoesToTheUrgent(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		low, urgent := g.ask(body, "u=6"), g.ask(body, "u=0")
		g.heads()
		for i := range body / 1024 {
			want := urgent
			if i%leastShare == leastShare-1 {
				want = low
			}
			wantTurns(t, order(g.pieces(1024)), want)
		}
	})
}

// RFC 9218, section 8: the origin knows better, in what it says.
func TestTheOriginsPriorityCounts(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		a := g.next
		g.next += 2
		g.Get(a, fmt.Sprintf("/%d?priority=u%%3D6", body), "priority", "u=1, i")
		b := g.ask(body, "u=3")
		g.heads()
		wantTurns(t, order(g.pieces(2*body)), b, a)
	})
}

func TestThePriorityFieldIsForwarded(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		g.ask(0, "u=1,  i;x=\"y\"")
		g.WantAny()
		if r := g.request(1); !strings.Contains(r, "\r\npriority: u=1,  i;x=\"y\"\r\n") {
			t.Errorf("%q", r)
		}
	})
}

func TestPriorityUpdatesAreCountedAsSuch(t *testing.T) {
	inGate(t, func(t *testing.T, g *gate) {
		g.update(3, "u=1")
		g.Raw(0x30, 0, 0, nil)
		synctest.Wait()
		in := g.srv.Stats().FramesIn
		if in["PRIORITY_UPDATE"] != 1 || in["UNKNOWN"] != 1 {
			t.Errorf("%v", in)
		}
	})
}

// session is the one that is open.
func (b *bench) session() *Session { return b.srv.open()[0] }
