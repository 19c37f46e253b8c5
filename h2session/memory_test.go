package h2session

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/vconn"
)

func TestAnAccountReportsInSteps(t *testing.T) {
	mem := NewMemory(1 << 20)
	var a account
	a.open(&Config{Memory: mem})
	for _, tt := range []struct{ add, held int }{
		{0, 0},
		{1, accountStep},
		{accountStep, 2 * accountStep},
		{-accountStep, 2 * accountStep}, // not worth telling
		{5 * accountStep, 6 * accountStep},
		{-3 * accountStep, 3 * accountStep},
		{-2*accountStep - 1, 0}, // an idle session leaves nothing behind
	} {
		a.add(tt.add)
		if got := mem.Held() - sessionCost; got != int64(tt.held) {
			t.Errorf("after %d: %d reported, want %d", tt.add, got, tt.held)
		}
	}
	a.add(100)
	a.close()
	if mem.Held() != 0 {
		t.Errorf("%d left behind", mem.Held())
	}
}

// However many goroutines add at once, what was reported is never less than what
// is held when they are done, and nothing when all is given back.
func TestAnAccountOfManyGoroutines(t *testing.T) {
	mem := NewMemory(0)
	var a account
	a.open(&Config{Memory: mem})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				n := rand.IntN(3 * accountStep)
				a.add(n)
				a.add(-n)
			}
		})
	}
	wg.Wait()
	if a.held.Load() != 0 || mem.Held() != sessionCost {
		t.Errorf("%d held, %d reported", a.held.Load(), mem.Held()-sessionCost)
	}
	a.close()
}

func TestAMemoryIsFullAndOverfull(t *testing.T) {
	m := NewMemory(1000)
	for _, tt := range []struct {
		add            int64
		full, overfull bool
	}{{999, false, false}, {1, true, false}, {999, true, false}, {1, true, true}, {-1001, false, false}} {
		if m.Add(tt.add); m.Full() != tt.full || m.Overfull() != tt.overfull {
			t.Errorf("at %d: full %v, overfull %v", m.Held(), m.Full(), m.Overfull())
		}
	}
	var none *Memory
	none.Add(1 << 40)
	off := NewMemory(0)
	off.Add(1 << 40)
	if none.Full() || none.Overfull() || off.Full() || off.Overfull() || off.Held() != 1<<40 {
		t.Error("without a limit nothing is full")
	}
}

func TestTheShareOfASession(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want int64
	}{
		{Config{}, 0},
		{Config{Memory: NewMemory(1 << 30)}, 32 << 20},
		{Config{Memory: NewMemory(1 << 20)}, 1 << 20},
		{Config{Memory: NewMemory(1 << 30), SessionMemory: 5}, 5},
		{Config{Memory: NewMemory(1 << 30), SessionMemory: -1}, 0},
		{Config{SessionMemory: 7}, 7},
	} {
		if got := tt.cfg.sessionMemory(); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.cfg.SessionMemory, got, tt.want)
		}
	}
}

// Everything that a session holds is counted while it does, and nothing after:
// responses, requests, unfinished heads.
func TestWhatIsBufferedIsCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := NewMemory(1 << 30)
		cl := start(t, Config{Memory: mem}, func(r *http.Request, c *vconn.Conn) {
			if r.URL.Path == "/upload" {
				time.Sleep(time.Hour)
				return
			}
			respond(c, 200, strings.Repeat("x", 1<<20))
		})
		cl.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		synctest.Wait()
		before := mem.Held()
		grown := func(what string, least int64) {
			t.Helper()
			synctest.Wait()
			got := mem.Held() - before
			before += got
			if got < least {
				t.Errorf("%s: %d more bytes are counted, want at least %d", what, got, least)
			}
		}
		cl.Get(1, "/download")
		grown("a response that waits", vconn.DefaultBound)
		cl.Post(3, "/upload")
		for range 4 {
			cl.Data(3, false, strings.Repeat("x", 16<<10))
		}
		grown("a request that waits", 64<<10)
		cl.Raw(http2.FrameHeaders, 0, 5, nil)
		for range 3 {
			cl.Raw(http2.FrameContinuation, 0, 5, []byte(strings.Repeat("\x82", 16<<10)))
		}
		grown("a head that is not whole", 48<<10)
		cl.end()
		if mem.Held() != 0 {
			t.Errorf("%d bytes are counted after the end", mem.Held())
		}
	})
}

// At the limit a stream is refused, with a line of its own; what is open goes on.
func TestStreamsAreRefusedForWantOfMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := NewMemory(1 << 20)
		cl := start(t, Config{Memory: mem}, func(_ *http.Request, c *vconn.Conn) {
			time.Sleep(time.Second)
			respond(c, 200, "")
		})
		cl.Handshake()
		cl.Get(1, "/")
		synctest.Wait()
		mem.Add(1 << 20)
		cl.Get(3, "/")
		cl.WantReset(3, codeRefusedStream)
		if r := cl.wantRefusal("gateway_overloaded"); r.Stream != 3 || r.Txn != 2 || r.H2Error != "REFUSED_STREAM" {
			t.Errorf("refusal %+v", r)
		}
		cl.WantHeaders(1, true)
		mem.Add(-1 << 20)
		cl.Get(5, "/")
		cl.WantHeaders(5, true)
		if r := cl.end(); r.Streams != 3 || r.StreamsRefused != 1 {
			t.Errorf("record %+v", r)
		}
	})
}

// A flood does not flood the log: one line for each bound in ten seconds, which
// says how many there were besides.
func TestFloodsAreToldOnceInAWhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := Config{Log: zerolog.New(&log), Floods: [NumBounds]Budget{FloodPing: {Count: 1, Per: time.Hour, Observe: true}}}
		cl := start(t, cfg, nil)
		cl.Handshake()
		ping := func(n int) {
			for range n {
				cl.Ping("flood")
				cl.WantPing(true)
			}
		}
		ping(20)
		time.Sleep(floodEvery)
		ping(1)
		cl.end()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], `"bound":"ping","limit":"observe:1/1h"`) || !strings.Contains(lines[1], `"more":18`) {
			t.Errorf("got %s", log.String())
		}
	})
}
