package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/testkit"
)

// What stands before and behind the gateway where its own cost is measured: a
// connection, a client and an origin that do next to nothing and, once they
// run, allocate nothing.

// A leanConn is one end of a connection in memory. It heeds no deadline but
// one in the past, which wakes a Read, as a session that is aborted needs.
type leanConn struct {
	in, out *leanHalf
	local   net.Addr
}

type leanHalf struct {
	mu     sync.Mutex
	moved  sync.Cond
	buf    []byte
	r, w   int
	closed bool
	past   bool
}

func leanPipe() (client, server *leanConn) {
	a, b := newLeanHalf(), newLeanHalf()
	return &leanConn{in: a, out: b, local: leanAddr}, &leanConn{in: b, out: a, local: leanAddr}
}

var leanAddr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443}

func newLeanHalf() *leanHalf {
	h := &leanHalf{buf: make([]byte, 512<<10)}
	h.moved.L = &h.mu
	return h
}

func (c *leanConn) Read(p []byte) (int, error) {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.r == h.w && !h.closed && !h.past {
		h.moved.Wait()
	}
	switch {
	case h.r < h.w:
		n := copy(p, h.buf[h.r:h.w])
		if h.r += n; h.r == h.w {
			h.r, h.w = 0, 0
		}
		h.moved.Signal()
		return n, nil
	case h.past && !h.closed:
		return 0, errors.New("deadline in the past")
	}
	return 0, io.EOF
}

func (c *leanConn) Write(p []byte) (done int, err error) {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	for done < len(p) {
		if h.closed {
			return done, net.ErrClosed
		}
		if h.w == len(h.buf) && h.r > 0 {
			h.w, h.r = copy(h.buf, h.buf[h.r:h.w]), 0
		}
		n := copy(h.buf[h.w:], p[done:])
		if h.w, done = h.w+n, done+n; n > 0 {
			h.moved.Signal()
		} else {
			h.moved.Wait()
		}
	}
	return done, nil
}

func (h *leanHalf) set(f func()) {
	h.mu.Lock()
	f()
	h.mu.Unlock()
	h.moved.Broadcast()
}

func (c *leanConn) Close() error {
	c.in.set(func() { c.in.closed = true })
	c.out.set(func() { c.out.closed = true })
	return nil
}

func (c *leanConn) LocalAddr() net.Addr              { return c.local }
func (c *leanConn) RemoteAddr() net.Addr             { return c.local }
func (c *leanConn) SetWriteDeadline(time.Time) error { return nil }
func (c *leanConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *leanConn) SetReadDeadline(t time.Time) error {
	past := !t.IsZero() && time.Until(t) <= 0
	if past != c.in.past {
		c.in.set(func() { c.in.past = past })
	}
	return nil
}

// A shape is what requests and responses of a benchmark look like.
type shape struct {
	method string
	// fields of the request and of the response, beside pseudo-fields.
	fields int
	// post and body are the sizes of the two bodies.
	post, body int
}

// request is the field section, all of it from the dynamic table from the
// second time on.
func (s shape) request(e *hpack.Encoder, block *bytes.Buffer) []byte {
	block.Reset()
	all := []hpack.HeaderField{{Name: ":method", Value: s.method}, {Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: "www.example.com"}, {Name: ":path", Value: "/catalogue/item"}}
	given := []hpack.HeaderField{{Name: "user-agent", Value: "lean/1.0"}, {Name: "accept", Value: "*/*"},
		{Name: "accept-language", Value: "en-GB,en;q=0.8"}, {Name: "cookie", Value: "session=0123456789abcdef"}}
	if s.post > 0 {
		given = append([]hpack.HeaderField{{Name: "content-length", Value: fmt.Sprint(s.post)}}, given...)
	}
	for i := range s.fields {
		if i < len(given) {
			all = append(all, given[i])
		} else {
			all = append(all, hpack.HeaderField{Name: fmt.Sprintf("x-request-%02d", i), Value: fmt.Sprintf("value of %02d", i)})
		}
	}
	for _, f := range all {
		e.WriteField(f)
	}
	return bytes.Clone(block.Bytes())
}

// response is the whole of it, as the origin writes it.
func (s shape) response() []byte {
	given := []string{fmt.Sprintf("Content-Length: %d", s.body), "Server: lean", "Date: Mon, 01 Jan 2024 00:00:00 GMT",
		"Content-Type: text/plain", `ETag: "0123456789abcdef"`}
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\n")
	for i := range s.fields {
		if i < len(given) {
			b.WriteString(given[i] + "\r\n")
		} else {
			fmt.Fprintf(&b, "X-Response-%02d: value of %02d\r\n", i, i)
		}
	}
	b.WriteString("\r\n" + strings.Repeat("x", s.body))
	return []byte(b.String())
}

// leanOrigin answers every request on loopback TCP with the same bytes, those
// that came together with one write.
func leanOrigin(tb testing.TB, s shape) (addr string) {
	tb.Helper()
	return testkit.ServeTCP(tb, func(c net.Conn) { _ = answerAll(c, s.response(), s.post) })
}

// answerAll reads requests with bodies of the size given.
func answerAll(c net.Conn, response []byte, body int) error {
	in, out := make([]byte, 64<<10), make([]byte, 0, 64<<10)
	have, skip := 0, 0
	for {
		n, err := c.Read(in[have:])
		if err != nil {
			return err
		}
		have += n
		at := 0
		for {
			k := min(skip, have-at)
			at, skip = at+k, skip-k
			if skip > 0 {
				break
			}
			end := bytes.Index(in[at:have], []byte("\r\n\r\n"))
			if end < 0 {
				break
			}
			at, skip = at+end+4, body
			out = append(out, response...)
		}
		have = copy(in, in[at:have])
		// An answer waits for the whole of its request's body.
		if len(out) > 0 && skip == 0 {
			if _, err := c.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
}

// A leanClient keeps a number of requests in flight on one HTTP/2 connection.
// It looks at frame headers only: decoding is not what is measured.
type leanClient struct {
	conn     net.Conn
	shape    shape
	block    []byte // of every request but the first
	id       uint32
	in, out  []byte
	have     int
	window   int // of the connection, towards the gateway
	received int // bytes of bodies
	unacked  int
}

const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway, frameWindow = 0, 1, 3, 4, 7, 8
	// More than any benchmark's responses need between two updates.
	leanWindow = 1 << 30
)

func newLeanClient(conn net.Conn, s shape) (*leanClient, error) {
	c := &leanClient{conn: conn, shape: s, in: make([]byte, 256<<10), window: 65535, id: 1}
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	first := s.request(e, &block)
	c.block = s.request(e, &block)
	c.out = append(c.out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"...)
	c.out = appendFrame(c.out, frameSettings, 0, 0, 6)
	c.out = append(c.out, 0, 4, leanWindow>>24, leanWindow>>16&255, leanWindow>>8&255, leanWindow&255)
	c.unacked = leanWindow
	c.refill()
	c.request(first)
	if err := c.flush(); err != nil {
		return nil, err
	}
	for {
		if n, err := c.read(); n > 0 || err != nil {
			return c, err
		}
	}
}

func appendFrame(b []byte, kind, flags byte, stream uint32, length int) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

func (c *leanClient) flush() error {
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// refill gives the gateway back what it has sent, seldom.
func (c *leanClient) refill() {
	if c.unacked >= 1<<20 {
		c.out = appendFrame(c.out, frameWindow, 0, 0, 4)
		c.out = binary.BigEndian.AppendUint32(c.out, uint32(c.unacked))
		c.unacked = 0
	}
}

var leanBody [16 << 10]byte

func (c *leanClient) request(block []byte) {
	flags := byte(4)
	if c.shape.post == 0 {
		flags |= 1
	}
	c.out = append(appendFrame(c.out, frameHeaders, flags, c.id, len(block)), block...)
	if n := c.shape.post; n > 0 {
		c.out = append(appendFrame(c.out, frameData, 1, c.id, n), leanBody[:n]...)
		c.window -= n
	}
	c.id += 2
}

// do makes n requests, keeping so many in flight.
func (c *leanClient) do(n, inFlight int) error {
	c.received = 0
	for sent, done := 0, 0; done < n; {
		for sent < n && sent-done < inFlight && c.window >= c.shape.post {
			c.request(c.block)
			sent++
		}
		c.refill()
		if len(c.out) > 0 {
			if err := c.flush(); err != nil {
				return err
			}
		}
		ended, err := c.read()
		if err != nil {
			return err
		}
		done += ended
	}
	if want := n * c.shape.body; c.received != want {
		return fmt.Errorf("%d bytes of bodies, want %d", c.received, want)
	}
	return nil
}

// read reads once and returns how many streams have ended.
func (c *leanClient) read() (ended int, err error) {
	n, err := c.conn.Read(c.in[c.have:])
	if err != nil {
		return 0, err
	}
	c.have += n
	at := 0
	for c.have-at >= 9 {
		h := c.in[at:c.have]
		length := int(binary.BigEndian.Uint32(h) >> 8)
		if len(h) < 9+length {
			break
		}
		kind, flags := h[3], h[4]
		switch kind {
		case frameData:
			c.received, c.unacked = c.received+length, c.unacked+length
		case frameSettings:
			if flags&1 == 0 {
				c.out = appendFrame(c.out, frameSettings, 1, 0, 0)
			}
		case frameWindow:
			if binary.BigEndian.Uint32(h[5:]) == 0 {
				c.window += int(binary.BigEndian.Uint32(h[9:]))
			}
		case frameReset, frameGoAway:
			return ended, fmt.Errorf("frame of type %d: % x", kind, h[9:9+length])
		}
		if kind <= frameHeaders && flags&1 != 0 {
			ended++
		}
		at += 9 + length
	}
	c.have = copy(c.in, c.in[at:c.have])
	return ended, nil
}
