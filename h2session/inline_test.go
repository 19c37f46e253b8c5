package h2session

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// startInline is start with transactions that run within AcceptVConn, in the
// goroutine of the read loop: they must not wait for more than the head.
func startInline(t testing.TB, cfg Config, h handler) *bench {
	client, server := testkit.Pipe()
	b := &bench{t: t, done: make(chan struct{})}
	b.srv = &Server{Config: cfg, Connector: vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) {
		b.transaction(c, h)
	}))}
	sess := &pitag.Session{Identity: pitag.Identity{Tag: "h2", ID: 7}, Start: time.Now()}
	go func() {
		defer close(b.done)
		b.record = b.srv.ServeSession(context.Background(), server, sess)
	}()
	t.Cleanup(func() { <-b.done })
	b.Client = testkit.NewClient(t, client)
	return b
}

// What a transaction does before Open returns is not lost: an answer, an end, a
// reset, a request that it does not read.
func TestATransactionThatEndsBeforeItsStreamIsConnected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := startInline(t, Config{}, func(r *http.Request, c *vconn.Conn) {
			switch r.URL.Path {
			case "/hello":
				respond(c, 200, "hello")
			case "/reset":
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
				c.Reset(uint32(codeCancel))
			}
		})
		cl.Handshake()
		for id := uint32(1); id < 20; id += 6 {
			cl.Get(id, "/hello")
			cl.WantStatus(id, "200")
			body, _ := cl.WantBody(id)
			if string(body) != "hello" {
				t.Errorf("body %q", body)
			}
			cl.Get(id+2, "/reset")
			cl.WantReset(id+2, codeCancel)
			cl.Post(id+4, "/hello")
			cl.WantStatus(id+4, "200")
			cl.WantBody(id + 4)
			cl.WantReset(id+4, codeNo) // nobody reads the rest
		}
		r := cl.end()
		if r.Streams != 12 || r.Cause != pitag.CauseClientClosed {
			t.Errorf("record %+v", r)
		}
		if s := cl.srv.Stats(); s.Streams != 0 || s.Sessions != 0 || s.Panics != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// The request's bytes that a transaction reads at once are no credit for DATA.
func TestAHeadReadAtOnceGivesNoCredit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan *vconn.Conn, 1)
		client, server := testkit.Pipe()
		b := &bench{t: t, done: make(chan struct{})}
		b.srv = &Server{Connector: vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) {
			view, _ := c.Peek()
			c.Discard(len(view))
			release <- c
		}))}
		sess := &pitag.Session{Identity: pitag.Identity{Tag: "h2", ID: 7}, Start: time.Now()}
		go func() {
			defer close(b.done)
			b.record = b.srv.ServeSession(context.Background(), server, sess)
		}()
		t.Cleanup(func() { <-b.done })
		b.Client = testkit.NewClient(t, client)
		b.Handshake()
		window := (&Config{}).streamWindow()
		b.Post(1, "/", "content-length", "200000")
		c := <-release
		for sent := 0; sent < window/2; sent += 1 << 14 {
			b.Data(1, false, string(make([]byte, 1<<14)))
		}
		b.WantIdle()
		if n := b.Credit(1); n != 0 {
			t.Errorf("credit of %d for a body that nobody has read", n)
		}
		c.Reset(uint32(codeCancel))
		b.WantReset(1, codeCancel)
		b.end()
	})
}
