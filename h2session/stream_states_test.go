package h2session

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/vconn"
)

// Every pair of state and event: what is not listed here is refused, in the way
// that RFC 9113, section 5.1, says for the state.
func TestTransitions(t *testing.T) {
	type pair struct {
		s  streamState
		ev streamEvent
	}
	allowed := map[pair]streamState{
		{idle, recvHeaders}: open, {idle, recvHeadersEnd}: halfClosedRemote,

		{open, recvHeadersEnd}: halfClosedRemote,
		{open, recvData}:       open, {open, recvDataEnd}: halfClosedRemote,
		{open, recvReset}: closed, {open, recvWindow}: open,
		{open, sendHeaders}: open, {open, sendHeadersEnd}: halfClosedLocal,
		{open, sendData}: open, {open, sendDataEnd}: halfClosedLocal,
		{open, sendReset}: closed,

		{halfClosedRemote, recvReset}: closed, {halfClosedRemote, recvWindow}: halfClosedRemote,
		{halfClosedRemote, sendHeaders}: halfClosedRemote, {halfClosedRemote, sendHeadersEnd}: closed,
		{halfClosedRemote, sendData}: halfClosedRemote, {halfClosedRemote, sendDataEnd}: closed,
		{halfClosedRemote, sendReset}: closed,

		{halfClosedLocal, recvHeadersEnd}: closed,
		{halfClosedLocal, recvData}:       halfClosedLocal, {halfClosedLocal, recvDataEnd}: closed,
		{halfClosedLocal, recvReset}: closed, {halfClosedLocal, recvWindow}: halfClosedLocal,
		{halfClosedLocal, sendReset}: closed,

		{closed, recvReset}: closed, {closed, recvWindow}: closed,
	}
	for s := range numStates {
		for ev := range numEvents {
			got, err := s.step(1, ev)
			want, ok := allowed[pair{s, ev}]
			if ok {
				if err != nil || got != want {
					t.Errorf("%v, %v: %v, %v; want %v", s, ev, got, err, want)
				}
				continue
			}
			if got != s {
				t.Errorf("%v, %v: refused, and moved to %v", s, ev, got)
			}
			checkRefused(t, s, ev, err)
		}
	}
}

func checkRefused(t *testing.T, s streamState, ev streamEvent, err error) {
	ce, isConn := errors.AsType[*ConnError](err)
	se, isStream := errors.AsType[*StreamError](err)
	ok := false
	switch {
	case ev >= sendHeaders:
		ok = isConn && ce.Code == codeInternal
	case s == idle:
		ok = isConn && ce.Code == codeProtocol
	case s == closed:
		ok = isConn && ce.Code == codeStreamClosed
	case s == halfClosedRemote:
		ok = isStream && se.Code == codeStreamClosed && se.StreamID == 1
	default: // trailers without END_STREAM
		ok = ev == recvHeaders && isStream && se.Code == codeProtocol
	}
	if !ok {
		t.Errorf("%v, %v: %v", s, ev, err)
	}
}

// The same rules, seen from the wire.
func TestFramesOnWrongStates(t *testing.T) {
	tests := []struct {
		name string
		send func(cl *bench)
		want func(cl *bench)
	}{
		{"DATA on an idle stream", func(cl *bench) { cl.Data(1, true, "x") }, goAway(codeProtocol)},
		{"RST_STREAM on an idle stream", func(cl *bench) { cl.Reset(1, codeCancel) }, goAway(codeProtocol)},
		{"WINDOW_UPDATE on an idle stream", func(cl *bench) { cl.Window(1, 1) }, goAway(codeProtocol)},
		{"CONTINUATION on an idle stream", func(cl *bench) { cl.Raw(http2.FrameContinuation, 4, 1, nil) }, goAway(codeProtocol)},
		{"an even stream id", func(cl *bench) { cl.Get(2, "/") }, goAway(codeProtocol)},
		{"a stream id that goes back", func(cl *bench) { cl.Post(5, "/"); cl.Get(3, "/") }, goAway(codeProtocol)},
		{"PUSH_PROMISE", func(cl *bench) { cl.Raw(http2.FramePushPromise, 4, 1, make([]byte, 4)) }, goAway(codeProtocol)},
		{"DATA after END_STREAM", func(cl *bench) { cl.Get(1, "/wait"); cl.Data(1, false, "x") }, reset(codeStreamClosed)},
		{"HEADERS after END_STREAM", func(cl *bench) { cl.Get(1, "/wait"); cl.Get(1, "/") }, reset(codeStreamClosed)},
		{"trailers without END_STREAM", func(cl *bench) { cl.Post(1, "/wait"); cl.Headers(1, false, "a", "b") }, reset(codeProtocol)},
		{"DATA after our RST_STREAM", func(cl *bench) {
			cl.Headers(1, false, Bad...)
			cl.WantReset(1, codeProtocol)
			cl.Data(1, false, "x")
			cl.Headers(1, true, "a", "b")
		}, (*bench).WantIdle},
		{"DATA after the client's RST_STREAM", func(cl *bench) {
			cl.Post(1, "/wait")
			cl.Reset(1, codeCancel)
			cl.Data(1, false, "x")
		}, reset(codeStreamClosed)},
		{"DATA after both ended", func(cl *bench) {
			cl.Get(1, "/")
			cl.WantHeaders(1, false)
			cl.WantBody(1)
			cl.Data(1, false, "x")
		}, goAway(codeStreamClosed)},
		{"WINDOW_UPDATE and RST_STREAM after both ended", func(cl *bench) {
			cl.Get(1, "/")
			cl.WantHeaders(1, false)
			cl.WantBody(1)
			cl.Window(1, 10)
			cl.Reset(1, codeNo)
		}, (*bench).WantIdle},
		{"PRIORITY anywhere", func(cl *bench) {
			cl.Raw(http2.FramePriority, 0, 9, []byte{0, 0, 0, 3, 1})
			cl.Get(11, "/wait")
			cl.Raw(http2.FramePriority, 0, 11, []byte{0, 0, 0, 3, 1})
			cl.Raw(http2.FramePriority, 0, 1, []byte{0, 0, 0, 3, 1})
		}, (*bench).WantIdle},
		{"an unknown frame", func(cl *bench) { cl.Raw(0xbe, 0xff, 3, []byte("?")) }, (*bench).WantIdle},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, waitOr(hello))
				cl.Handshake()
				tt.send(cl)
				tt.want(cl)
				cl.end()
			})
		})
	}
}

// Bad is a request that is malformed.
var Bad = []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "example.com", "Upper", "case"}

func goAway(code http2.ErrCode) func(*bench) {
	return func(cl *bench) {
		cl.t.Helper()
		cl.WantGoAway(code)
		cl.WantClosed()
	}
}

func reset(code http2.ErrCode) func(*bench) {
	return func(cl *bench) {
		cl.t.Helper()
		cl.WantReset(1, code)
		cl.WantIdle()
	}
}

// waitOr makes transactions for /wait wait until their stream is reset.
func waitOr(h handler) handler {
	return func(r *http.Request, c *vconn.Conn) {
		for r.URL.Path == "/wait" {
			if time.Sleep(time.Second); c.PeerClosed() {
				return
			}
		}
		h(r, c)
	}
}

// A reset of either side reaches the other.
func TestResets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cause := make(chan uint32, 1)
		cl := start(t, Config{}, func(r *http.Request, c *vconn.Conn) {
			if r.URL.Path == "/fail" {
				c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"))
				c.Reset(uint32(codeInternal))
				return
			}
			_, err := io.Copy(io.Discard, c)
			if e, ok := errors.AsType[*vconn.ResetError](err); ok {
				cause <- e.Code
			}
		})
		cl.Handshake()
		cl.Post(1, "/wait")
		cl.WantIdle()
		cl.Reset(1, http2.ErrCodeEnhanceYourCalm)
		if got := <-cause; got != uint32(http2.ErrCodeEnhanceYourCalm) {
			t.Errorf("the transaction saw %v", http2.ErrCode(got))
		}
		cl.Get(3, "/fail")
		cl.WantReset(3, codeInternal)
		r := cl.end()
		if r.ResetsIn != 1 || r.ResetsOut != 1 || r.Streams != 2 {
			t.Errorf("record %+v", r)
		}
		s := cl.srv.Stats()
		if s.ResetsIn["ENHANCE_YOUR_CALM"] != 1 || s.ResetsOut["INTERNAL_ERROR"] != 1 || s.Streams != 0 || s.Sessions != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A response that ends early never looks complete.
func TestTruncatedResponses(t *testing.T) {
	for name, text := range map[string]string{
		"no response":      "",
		"within the head":  "HTTP/1.1 200 OK\r\nContent-",
		"short body":       "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
		"within a chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
		"no last chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"within trailers":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n",
		"not HTTP":         "SSH-2.0-OpenSSH\r\n\r\n",
		"only a 100":       "HTTP/1.1 100 Continue\r\n\r\n",
		"101 out of place": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"bad chunk":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, func(_ *http.Request, c *vconn.Conn) { io.WriteString(c, text) })
				cl.Handshake()
				cl.Get(1, "/")
				for {
					f, err := cl.Next()
					if err != nil || f.End() {
						t.Fatalf("got %v, %v", &f, err)
					}
					if f.Type == http2.FrameRSTStream {
						if f.Code() != codeInternal {
							t.Errorf("got %v", &f)
						}
						break
					}
				}
				cl.end()
			})
		})
	}
}

// A stream may be reset while its response is being read: what goes out is never
// another stream's. Real goroutines, so that the race detector can look.
func TestResetWhileSending(t *testing.T) {
	cl := start(t, Config{}, func(r *http.Request, c *vconn.Conn) {
		respond(c, 200, strings.Repeat(r.URL.Path[1:2], 1<<20))
	})
	cl.Handshake(window(1 << 20))
	const streams = 200
	go func() {
		for id := uint32(1); id < 2*streams; id += 2 {
			cl.Window(0, 1<<20)
			cl.Get(id, "/"+string(rune('a'+id/2%26)))
			if id > 8 {
				cl.Reset(id-8, codeCancel)
			}
		}
		cl.Ping("the end")
	}()
	for {
		f, err := cl.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Type == http2.FramePing {
			break
		}
		if f.Type != http2.FrameData {
			continue
		}
		for _, c := range f.Payload {
			if c != byte('a'+f.Stream/2%26) {
				t.Fatalf("stream %d got %q", f.Stream, c)
			}
		}
	}
	if r := cl.end(); r.Streams != streams {
		t.Errorf("record %+v", r)
	}
}

// A panic of the write loop in the middle of a turn leaves nothing behind.
func TestPanicWhileSending(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, waitOr(hello))
		cl.Handshake()
		cl.Get(1, "/wait")
		cl.WantIdle()
		cl.srv.open()[0].out.enc = nil
		cl.Get(3, "/")
		cl.WantClosed()
		cl.wantCause("internal_error")
		if cl.finished != 2 {
			t.Errorf("%d transactions have ended", cl.finished)
		}
	})
}
