package h2session

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// Too large is a real response, and the session with its HPACK table goes on.
func TestTooLargeHeads(t *testing.T) {
	many := []string{}
	for i := range 129 {
		many = append(many, fmt.Sprintf("f%d", i), "v")
	}
	tests := []struct {
		name   string
		fields []string
		status string
	}{
		{"one large field", []string{"big", strings.Repeat("x", 65<<10)}, "431"},
		{"several large fields", []string{"a", strings.Repeat("x", 30<<10), "b", strings.Repeat("y", 30<<10), "c", strings.Repeat("z", 30<<10)}, "431"},
		{"many fields", many, "431"},
		{"long target", []string{":path", "/" + strings.Repeat("x", 17<<10)}, "414"},
	}
	for _, tt := range tests {
		for _, end := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, end=%v", tt.name, end), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					cl := start(t, Config{}, nil)
					cl.Handshake()
					cl.Headers(1, end, testkit.Request("GET", "/", append([]string{"first", "indexed"}, tt.fields...)...)...)
					f := cl.WantStatus(1, tt.status)
					if f.Get("proxy-status") != "h2gw; error=http_request_error" || f.Get("content-type") == "" {
						t.Errorf("got %v", &f)
					}
					cl.WantBody(1)
					if !end {
						cl.WantReset(1, codeNo)
					}
					r := cl.wantRefusal("http_request_error")
					if fmt.Sprint(r.Status) != tt.status || r.H2Error != "" || r.Method != "GET" || r.Host != "example.com" || len(r.Path) > 1024 {
						t.Errorf("refusal %+v", r)
					}
					cl.Get(3, "/ok", "first", "indexed")
					cl.WantStatus(3, "200")
					cl.WantBody(3)
					if want := "GET /ok HTTP/1.1\r\nHost: example.com\r\nfirst: indexed\r\n\r\n"; cl.request(0) != want {
						t.Errorf("got %q, want %q", cl.request(0), want)
					}
					cl.end()
				})
			})
		}
	}
}

// What is far beyond the limit is no mistake any more.
func TestHeaderBlockBombs(t *testing.T) {
	tests := map[string]func(cl *bench){
		"bytes": func(cl *bench) {
			cl.Raw(http2.FrameHeaders, 0, 1, make([]byte, 0))
			for range 21 {
				// Indexed fields are one byte each.
				cl.Raw(http2.FrameContinuation, 0, 1, []byte(strings.Repeat("\x82", 16<<10)))
			}
		},
		"frames": func(cl *bench) {
			cl.Raw(http2.FrameHeaders, 0, 1, nil)
			for range FloodContinuation.Default().Count + 1 {
				cl.Raw(http2.FrameContinuation, 0, 1, nil)
			}
		},
	}
	for name, send := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, nil)
				cl.Handshake()
				send(cl)
				goAway(codeCalm)(cl)
				cl.end()
			})
		})
	}
}

func TestTooManyStreams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{MaxStreams: 2}, waitOr(hello))
		cl.Handshake()
		cl.Get(1, "/wait")
		cl.Get(3, "/wait")
		cl.Get(5, "/", "user-agent", "ua")
		cl.WantReset(5, codeRefusedStream)
		cl.WantIdle()
		if r := cl.wantRefusal("http_request_denied"); r.H2Error != "REFUSED_STREAM" || r.Txn != 3 || r.Path != "/" || r.UserAgent != "ua" {
			t.Errorf("refusal %+v", r)
		}
		if r := cl.end(); r.Streams != 3 || r.StreamsRefused != 1 || r.StreamsPeak != 2 || r.ResetsOut != 1 {
			t.Errorf("record %+v", r)
		}
	})
}

// A stream that was reset frees its slot, but not without end: its transaction
// may still run.
func TestResetStreamsKeepCounting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan bool)
		cl := start(t, Config{MaxStreams: 2}, func(_ *http.Request, c *vconn.Conn) { <-release })
		cl.Handshake()
		id := uint32(1)
		for ; id < 9; id += 2 { // four streams, the limit being two: the slack
			cl.Get(id, "/")
			cl.WantIdle()
			cl.Reset(id, codeCancel)
		}
		cl.Get(id, "/")
		cl.WantReset(id, codeRefusedStream)
		close(release)
		synctest.Wait()
		cl.Get(id+2, "/")
		cl.WantReset(id+2, codeInternal) // taken; the handler just leaves
		cl.end()
	})
}

// Answers that the client does not read stop us reading its questions.
func TestUnreadAnswersStopReading(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := testkit.PipeSize(4 << 10)
		srv := &Server{
			Connector: vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { c.Close() })),
			Config:    Config{Floods: noBounds()},
		}
		done := make(chan bool)
		go func() {
			srv.ServeConn(t.Context(), server, testIdentity)
			close(done)
		}()
		ping := "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"
		sent := 0
		go func() {
			client.Write([]byte(http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
			for range 100_000 {
				if _, err := client.Write([]byte(ping)); err != nil {
					return
				}
				sent += len(ping)
			}
		}()
		synctest.Wait()
		// Two pipes, two batches' worth of control frames, buffers.
		if sent > 200<<10 {
			t.Errorf("%d bytes of PING were taken", sent)
		}
		client.Close()
		<-done
	})
}

// A panic in a session ends that session alone.
func TestPanicEndsOneSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, waitOr(hello))
		cl.Handshake()
		cl.Get(1, "/wait")
		cl.WantIdle()
		cl.srv.Config.OnRefusal = func(*Refusal) { panic("oops") } // called by the read loop
		cl.Headers(3, true, Bad...)
		cl.WantClosed()
		r := cl.wantCause("internal_error")
		if r.Err == nil || !strings.Contains(r.Err.Error(), "oops") {
			t.Errorf("err %v", r.Err)
		}
		if n := cl.srv.Stats().Panics; n != 1 {
			t.Errorf("%d panics", n)
		}
		if cl.finished != 1 {
			t.Error("its transaction is still running")
		}
	})
}

// A client may come and go a thousand times on one session.
func TestManyStreams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{Floods: noBounds()}, nil)
		cl.Handshake()
		const n = 1000
		for i := range n {
			id := uint32(2*i + 1)
			switch i % 4 {
			case 0:
				cl.Get(id, "/")
			case 1:
				cl.Post(id, "/")
				cl.Data(id, true, "abc")
			case 2:
				cl.Headers(id, true, Bad...)
				cl.WantReset(id, codeProtocol)
				continue
			case 3:
				cl.Post(id, "/")
				cl.Reset(id, codeCancel)
				continue
			}
			cl.WantStatus(id, "200")
			cl.WantBody(id)
		}
		synctest.Wait()
		cl.mu.Lock()
		refused := len(cl.refusals)
		lines := refused + len(cl.requests)
		cl.mu.Unlock()
		r := cl.end()
		if r.Streams != n || lines != n || r.StreamsRefused != n/4 || refused != n/4 || r.ResetsIn != n/4 {
			t.Errorf("record %+v, %d lines, %d refusals", r, lines, refused)
		}
		for _, s := range cl.srv.Connector.Stats() {
			if s.Opened != s.Closed || s.Opened != n*3/4 {
				t.Errorf("virtual connections %+v", s)
			}
		}
	})
}

func TestNoConnector(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := testkit.Pipe()
		srv := &Server{Connector: vconn.NewConnector(nil)}
		done := make(chan error)
		go func() { done <- srv.ServeConn(t.Context(), server, testIdentity) }()
		cl := testkit.NewClient(t, client)
		cl.Handshake()
		cl.Get(1, "/")
		cl.WantReset(1, codeInternal)
		cl.GoAway(codeNo)
		cl.WantClosed()
		cl.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestErrorsSayWhat(t *testing.T) {
	var err error = &ConnError{Code: codeCalm, Reason: "why", Initiator: Remote}
	if err.Error() != "h2session: connection error ENHANCE_YOUR_CALM (remote): why" {
		t.Error(err)
	}
	err = fmt.Errorf("wrapped: %w", streamError(3, codeCancel, "why"))
	if e, ok := errors.AsType[*StreamError](err); !ok || e.Error() != "h2session: stream 3 error CANCEL (local): why" {
		t.Error(err)
	}
}

func TestTombstonesForget(t *testing.T) {
	var ts tombstones
	for i := range uint32(maxTombs + 10) {
		ts.note(2*i+1, resetByClient)
	}
	if got := ts.find(1); got != resetForgotten {
		t.Errorf("the first is %v", got)
	}
	if got := ts.find(2*(maxTombs+9) + 1); got != resetByClient {
		t.Errorf("the last is %v", got)
	}
	if got := ts.find(2*maxTombs + 101); got != endedWell {
		t.Errorf("an unknown one is %v", got)
	}
}
