package h2session

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// resting starts a session that counts its rests.
func resting(t *testing.T, cfg Config, h handler) (*bench, *atomic.Int32) {
	rests := new(atomic.Int32)
	cfg.OnRest = func() { rests.Add(1) }
	return start(t, cfg, h), rests
}

// sleep lets d go by and checks how often the session has gone to rest by then.
func sleepAndWant(t *testing.T, d time.Duration, rests *atomic.Int32, want int32) {
	t.Helper()
	time.Sleep(d)
	synctest.Wait()
	if n := rests.Load(); n != want {
		t.Fatalf("gone to rest %d times, want %d", n, want)
	}
}

func ask(cl *bench, id uint32) {
	cl.t.Helper()
	cl.Get(id, "/", "x-kept-in-the-table", "some value")
	cl.WantStatus(id, "200")
	cl.WantBody(id)
}

// A session without streams rests, once, and is the same when it wakes up: both
// HPACK tables, settings and windows are kept.
func TestASessionWithoutStreamsRests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl, rests := resting(t, Config{}, nil)
		cl.Handshake()
		sleepAndWant(t, restAfter/2, rests, 0)
		sleepAndWant(t, restAfter, rests, 1)
		for id := uint32(1); id < 20; id += 6 {
			ask(cl, id)
			sleepAndWant(t, restAfter/2, rests, int32(1+id/6))
			ask(cl, id+2) // a short pause is none
			ask(cl, id+4)
			sleepAndWant(t, restAfter/2, rests, int32(1+id/6))
			sleepAndWant(t, 20*restAfter, rests, int32(2+id/6))
			cl.Ping("are you?") // wakes it, and it rests again
			cl.WantPing(true)
			rests.Add(-1)
			sleepAndWant(t, 3*restAfter, rests, int32(2+id/6))
		}
		if r := cl.end(); r.Cause != pitag.CauseClientClosed || r.Streams != 12 {
			t.Errorf("record %+v", r)
		}
	})
}

// What is under way keeps a session from resting, or is not lost by it.
func TestWhatIsUnderWayIsNotLostByResting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl, rests := resting(t, Config{RequestHeadTimeout: time.Minute}, waitOr(hello))
		cl.Handshake()
		cl.Get(1, "/wait")
		sleepAndWant(t, 5*restAfter, rests, 0) // a stream
		cl.Reset(1, codeCancel)
		sleepAndWant(t, 5*restAfter, rests, 1)

		block := cl.Block(testkit.Request("GET", "/")...)
		cl.Raw(http2.FrameHeaders, http2.FlagHeadersEndStream, 3, block[:3])
		sleepAndWant(t, 5*restAfter, rests, 1) // a header block
		cl.Raw(http2.FrameContinuation, http2.FlagContinuationEndHeaders, 3, block[3:])
		cl.WantStatus(3, "200")
		cl.WantBody(3)

		ping := "\x00\x00\x08\x06\x00\x00\x00\x00\x00where is"
		for n := range len(ping) {
			before := rests.Load()
			cl.Write([]byte(ping[:n]))
			time.Sleep(5 * restAfter)
			synctest.Wait()
			if n > 0 && rests.Load() != before {
				t.Errorf("rests with %d bytes of a frame read", n)
			}
			cl.Write([]byte(ping[n:]))
			if p := cl.WantPing(true); string(p) != "where is" {
				t.Fatalf("PING split at %d comes back as %q", n, p)
			}
		}
		cl.end()
	})
}

// Whatever ends a session ends one that rests.
func TestWhatEndsASessionEndsOneThatRests(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(cl *bench)
		want pitag.Cause
	}{
		"the client closes":                {func(cl *bench) { cl.Conn.Close() }, pitag.CauseClientClosed},
		"the client breaks the connection": {func(cl *bench) { cl.Conn.(*testkit.Conn).Reset() }, pitag.CauseClientReset},
		"the client says goodbye":          {func(cl *bench) { cl.GoAway(codeNo); cl.WantClosed() }, pitag.CauseClientClosed},
		"the client breaks the protocol": {func(cl *bench) {
			cl.Data(2, true, "x")
			cl.WantGoAway(codeProtocol)
			cl.WantClosed()
		}, pitag.CauseClientError},
		"a drain": {func(cl *bench) {
			cl.srv.Drain()
			cl.WantGoAway(codeNo)
			cl.PingAck(cl.WantPing(false))
			cl.WantGoAway(codeNo)
			cl.WantClosed()
		}, pitag.CauseDrain},
		"an abort": {func(cl *bench) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			cl.srv.Shutdown(ctx)
			cl.WantGoAway(codeNo)
			cl.WantPing(false)
			cl.WantGoAway(codeNo)
			cl.WantClosed()
		}, pitag.CauseDrain},
		"an idle timeout": {func(cl *bench) {
			time.Sleep(20 * time.Second)
			cl.WantGoAway(codeNo)
			cl.WantPing(false)
			time.Sleep(drainWait)
			cl.WantGoAway(codeNo)
			cl.WantClosed()
		}, pitag.CauseIdleTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl, rests := resting(t, Config{SessionIdle: 10 * time.Second}, nil)
				cl.Handshake()
				ask(cl, 1)
				sleepAndWant(t, 2*restAfter, rests, 1)
				tc.end(cl)
				cl.wantCause(tc.want)
			})
		})
	}
}

// At rest a session over a socket is one goroutine, without buffers.
func TestOverASocketARestingSessionIsOneGoroutine(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	rested := make(chan struct{}, 100)
	srv := &Server{
		Config: Config{OnRest: func() { rested <- struct{}{} }},
		Connector: vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) {
			go (&bench{t: t}).transaction(c, func(r *http.Request, c *vconn.Conn) {
				n, _ := io.Copy(io.Discard, r.Body)
				respond(c, 200, fmt.Sprint(n))
			})
		})),
	}
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	record := make(chan *pitag.SessionRecord, 1)
	go srv.ServeUntilRest(server, &pitag.Session{Identity: testIdentity}, func(r *pitag.SessionRecord) { record <- r })
	cl := testkit.NewClient(t, client)
	cl.Handshake()
	for id := uint32(1); id < 4; id += 2 {
		cl.Post(id, "/", "content-length", "60000")
		cl.Data(id, false, strings.Repeat("x", 16384))
		cl.Data(id, false, strings.Repeat("x", 16384))
		cl.Data(id, false, strings.Repeat("x", 16384))
		cl.Data(id, true, strings.Repeat("x", 60000-3*16384))
		cl.WantStatus(id, "200")
		if body, _ := cl.WantBody(id); string(body) != "60000" {
			t.Fatalf("%s bytes of the body arrived", body)
		}
		<-rested
		// The old goroutines may have a moment to go.
		for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before+2 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if n := runtime.NumGoroutine() - before; n > 2 { // and the client's
			t.Errorf("%d goroutines for a session at rest and its client", n)
		}
	}
	cl.Close()
	if r := <-record; r.Cause != pitag.CauseClientClosed || r.Streams != 2 {
		t.Errorf("record %+v", r)
	}
}

// A connection that knows no deadlines is served all the same.
func TestAConnectionWithoutDeadlinesDoesNotRest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := testkit.Pipe()
		cl := startOn(t, Config{OnRest: func() { t.Error("it rests") }}, nil, client, noDeadlines{server})
		cl.Handshake()
		for id := uint32(1); id < 9; id += 2 {
			ask(cl, id)
			time.Sleep(3 * restAfter)
		}
		cl.end()
	})
}

type noDeadlines struct{ net.Conn }

func (noDeadlines) SetDeadline(time.Time) error     { return http.ErrNotSupported }
func (noDeadlines) SetReadDeadline(time.Time) error { return http.ErrNotSupported }

// A session at rest lies down once more when it is told to, and is the same after;
// one that does not rest is left alone.
func TestASessionAtRestResettles(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl, rests := resting(t, Config{}, nil)
		cl.Handshake()
		synctest.Wait()
		if n := cl.srv.Resettle(); n != 0 {
			t.Errorf("%d sessions, and none rests", n)
		}
		sleepAndWant(t, 2*restAfter, rests, 1)
		if polled {
			if n := cl.srv.Resettle(); n != 0 {
				t.Errorf("%d sessions, and none has a goroutine", n)
			}
			return
		}
		for want := range int32(3) {
			if n := cl.srv.Resettle(); n != 1 {
				t.Errorf("%d sessions, want 1", n)
			}
			sleepAndWant(t, time.Millisecond, rests, 2+want)
		}
		sleepAndWant(t, 20*restAfter, rests, 4)
		ask(cl, 1)
		ask(cl, 3)
		sleepAndWant(t, 2*restAfter, rests, 5)
		cl.srv.Resettle()
		ask(cl, 5) // while it does
		if r := cl.end(); r.Cause != pitag.CauseClientClosed || r.Streams != 3 {
			t.Errorf("record %+v", r)
		}
	})
}
