package h2session

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// A gatherConn is a connection in memory that gathers as those of internal/netio
// do, and counts its writes.
type gatherConn struct {
	*testkit.Conn
	mu     sync.Mutex
	kept   []byte
	keeps  bool
	take   int    // bytes that a TryFlush takes at most; less than 0: all
	busy   bool   // TryGather is refused
	during func() // called by the next TryFlush, in the midst of the loan
	writes int    // that went to the connection
	sum    uint64 // bytes of them
}

var _ gatherer = (*gatherConn)(nil)

func (c *gatherConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.keeps {
		defer c.mu.Unlock()
		c.kept = append(c.kept, p...)
		return len(p), nil
	}
	c.mu.Unlock()
	n, err := c.Conn.Write(p)
	c.set(func() { c.count(n) })
	return n, err
}

// count is called with the lock held.
func (c *gatherConn) count(n int) {
	c.writes++
	c.sum += uint64(n)
}

func (c *gatherConn) Gather() {
	if !c.TryGather() {
		panic("two gather at a time")
	}
}

func (c *gatherConn) TryGather() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.keeps {
		return false
	}
	c.keeps = true
	return true
}

func (c *gatherConn) Flush() (kept, written int, err error) {
	c.mu.Lock()
	b := c.kept
	c.mu.Unlock()
	written, err = c.Conn.Write(b) // nobody else has anything to write meanwhile
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(written)
	c.kept, c.keeps = c.kept[:0], false
	return len(b), written, err
}

func (c *gatherConn) TryFlush() (kept, written int, err error) {
	c.mu.Lock()
	during := c.during
	c.during = nil
	c.mu.Unlock()
	if during != nil {
		during()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	kept = len(c.kept)
	n := kept
	if c.take >= 0 {
		n = min(n, c.take)
	}
	if n > 0 {
		written, err = c.Conn.TryWrite(c.kept[:n])
		c.count(written)
	}
	c.kept = append(c.kept[:0], c.kept[written:]...)
	c.keeps = len(c.kept) > 0 && err == nil
	return kept, written, err
}

func (c *gatherConn) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *gatherConn) written() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

func (c *gatherConn) total() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum
}

// A pile is a vconn.Later that flushes when it is told to.
type pile struct{ left []interface{ Flush() } }

func (p *pile) Later(f interface{ Flush() }) { p.left = append(p.left, f) }

func (p *pile) flush() {
	for _, f := range p.left {
		f.Flush()
	}
	p.left = p.left[:0]
}

// waiting is the passive end of transactions that the test goes on with.
type waiting chan *vconn.Conn

func (w waiting) AcceptVConn(c *vconn.Conn) {
	c.Observe(trivial{}, vconn.OnPeerClosed|vconn.OnPeerReset|vconn.OnClosed)
	b, _ := c.Peek()
	c.Discard(len(b))
	w <- c
}

// A lending is a session whose connection lends itself to a Flush.
type lending struct {
	*bench
	conn *gatherConn
	txns waiting

	opened []*vconn.Conn
}

func startLending(t testing.TB, cfg Config) *lending {
	client, server := testkit.PipeSize(1 << 20)
	l := &lending{conn: &gatherConn{Conn: server, take: -1}, txns: make(waiting, 100)}
	l.bench = &bench{t: t, done: make(chan struct{})}
	l.serve(cfg, client, l.conn, vconn.NewConnector(l.txns))
	t.Cleanup(func() {
		for _, c := range l.opened {
			c.Close() // if the test has not come so far
		}
	})
	l.Handshake()
	return l
}

// ask opens streams and returns their transactions.
func (l *lending) ask(ids ...uint32) (txns []*vconn.Conn) {
	l.t.Helper()
	for _, id := range ids {
		l.Get(id, "/")
		txns = append(txns, <-l.txns)
	}
	l.opened = append(l.opened, txns...)
	synctest.Wait() // the write loop sleeps
	return txns
}

func (l *lending) loopState() writeState {
	s := l.srv.open()[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loop
}

// answer ends a transaction with a response, and more news of it are for later.
func answer(c *vconn.Conn, body string, later vconn.Later) {
	text := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if n, err := c.TryWriteClose([]byte(text), later); n != len(text) && err == nil {
		// There was no room: as a transaction with a goroutine does.
		go func() {
			io.WriteString(c, text[n:])
			c.Close()
		}()
	}
}

func (l *lending) wantAnswer(id uint32, body string) {
	l.t.Helper()
	l.WantStatus(id, "200")
	if got, _ := l.WantBody(id); string(got) != body {
		l.t.Fatalf("stream %d: %d bytes that differ from the %d sent", id, len(got), len(body))
	}
}

// wantAnswers is wantAnswer for streams whose frames may be mixed; those of no
// stream are passed over.
func (l *lending) wantAnswers(body string, ids ...uint32) {
	l.t.Helper()
	got := make(map[uint32]string)
	for ended := 0; ended < len(ids); {
		f, err := l.Next()
		if err != nil {
			l.t.Fatal(err)
		}
		if f.Stream == 0 {
			continue
		}
		if f.Type == http2.FrameData {
			got[f.Stream] += string(f.Payload)
		}
		if f.End() {
			ended++
		}
	}
	for _, id := range ids {
		if got[id] != body {
			l.t.Fatalf("stream %d: %d bytes that differ from the %d sent", id, len(got[id]), len(body))
		}
	}
}

// text is n bytes of which no part looks like another.
func text(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%x,", i*7919)
	}
	return b.String()[:n]
}
