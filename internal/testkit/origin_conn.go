package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// An OriginConn is the origin's end of one connection. Its verbs are called by
// the script, in order; Received, Done and the closing verbs by anyone.
type OriginConn struct {
	o      *Origin
	nc     net.Conn
	number int
	done   chan struct{}

	pending []byte // received, not yet read by the script; the script's
	// guarded by o.mu:
	received []byte
}

// An OriginRequest is one request as the origin received it.
type OriginRequest struct {
	Head    string // start line and fields, with the blank line
	Body    string // without chunked coding
	Trailer string // the trailer section after a chunked body, with the blank line
}

// Method returns the request's method.
func (r OriginRequest) Method() string { m, _, _ := strings.Cut(r.Head, " "); return m }

// Target returns the request's target.
func (r OriginRequest) Target() string { return strings.SplitN(r.Head, " ", 3)[1] }

// Field returns the value of the first field of that name, "" if none.
func (r OriginRequest) Field(name string) string {
	for line := range strings.SplitSeq(r.Head, "\r\n") {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Received returns every byte this connection received so far.
func (c *OriginConn) Received() string {
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	return string(c.received)
}

// Done is closed when the script has ended.
func (c *OriginConn) Done() <-chan struct{} { return c.done }

// Number is the connection's place in the order of arrival, from 1.
func (c *OriginConn) Number() int { return c.number }

// RemoteAddr is where the connection came from.
func (c *OriginConn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// NetConn is the connection itself, for what the verbs do not say.
func (c *OriginConn) NetConn() net.Conn { return c.nc }

// Send sends bytes as they are; several are joined in one write. A client that
// has gone ends the script quietly: Received tells what it did before.
func (c *OriginConn) Send(parts ...string) {
	if _, err := io.WriteString(c.nc, strings.Join(parts, "")); err != nil {
		runtime.Goexit()
	}
}

// Sendf is Send with a format.
func (c *OriginConn) Sendf(format string, args ...any) { c.Send(fmt.Sprintf(format, args...)) }

// Expect reads exactly the bytes of want: any difference fails the test.
func (c *OriginConn) Expect(want string) {
	for i := range len(want) {
		if len(c.pending) == 0 {
			if err := c.more(); err != nil {
				c.failf("received %q, then %v; want %q", want[:i], err, want)
			}
		}
		if c.pending[0] != want[i] {
			c.failf("received %q after %q; want %q", c.pending, want[:i], want)
		}
		c.pending = c.pending[1:]
	}
}

// ReadHead reads up to and with the blank line. ok is false if the connection
// ended before a first byte; ending later fails the test.
func (c *OriginConn) ReadHead() (head string, ok bool) {
	return c.ReadUntil("\r\n\r\n")
}

// ReadUntil reads up to and with mark, as ReadHead does.
func (c *OriginConn) ReadUntil(mark string) (s string, ok bool) {
	s, err := c.TryUntil(mark)
	if err != nil && s != "" && !c.o.endedBy(err) {
		c.failf("received %q, then %v; want it to go on until %q", s, err, mark)
	}
	return s, err == nil
}

// TryUntil is ReadUntil of a client that may leave at any moment: an end before
// mark is an error, with what came until then, and fails nothing.
func (c *OriginConn) TryUntil(mark string) (string, error) {
	for {
		if i := bytes.Index(c.pending, []byte(mark)); i >= 0 {
			return c.cut(i + len(mark)), nil
		}
		if err := c.more(); err != nil {
			return c.cut(len(c.pending)), err
		}
	}
}

// ReadN reads exactly n bytes.
func (c *OriginConn) ReadN(n int) string {
	for len(c.pending) < n {
		if err := c.more(); err != nil {
			c.failf("received %d bytes, then %v; want %d", len(c.pending), err, n)
		}
	}
	return c.cut(n)
}

// ReadRequest reads one whole request by its framing fields. ok is false if the
// connection ended before it.
func (c *OriginConn) ReadRequest() (r OriginRequest, ok bool) {
	if r.Head, ok = c.ReadHead(); !ok {
		return r, false
	}
	if strings.EqualFold(r.Field("transfer-encoding"), "chunked") {
		r.Body, r.Trailer = c.ReadChunked()
		return r, true
	}
	if length := r.Field("content-length"); length != "" {
		n, err := strconv.Atoi(length)
		if err != nil {
			c.failf("content-length %q in %q", length, r.Head)
		}
		r.Body = c.ReadN(n)
	}
	return r, true
}

// ReadChunked reads a chunked body and its trailer section.
func (c *OriginConn) ReadChunked() (body, trailer string) {
	var b strings.Builder
	for {
		line, err := c.TryUntil("\r\n")
		if err != nil {
			c.failf("received %q, then %v; want a chunk size line", line, err)
		}
		size, _, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), ";")
		n, err := strconv.ParseUint(size, 16, 31)
		if err != nil {
			c.failf("chunk size line %q", line)
		}
		if n == 0 {
			break
		}
		b.WriteString(c.ReadN(int(n)))
		c.Expect("\r\n")
	}
	for {
		line, ok := c.ReadUntil("\r\n")
		trailer += line
		if line == "\r\n" || !ok {
			return b.String(), trailer
		}
	}
}

// ReadToEnd reads until the client closes or resets, and returns what came.
func (c *OriginConn) ReadToEnd() string {
	for c.more() == nil {
	}
	return c.cut(len(c.pending))
}

// ExpectEOF waits for the client to close its side cleanly, with nothing more
// received.
func (c *OriginConn) ExpectEOF() {
	err := c.more()
	if len(c.pending) > 0 {
		c.failf("received %q, want the end of the connection", c.pending)
	}
	if err != io.EOF && !c.o.endedBy(err) {
		c.failf("connection ended with %v, want a clean end", err)
	}
}

// CloseWrite ends the origin's sending; the client can still send.
func (c *OriginConn) CloseWrite() { c.nc.(interface{ CloseWrite() error }).CloseWrite() }

// Close closes the connection.
func (c *OriginConn) Close() { c.nc.Close() }

// Reset breaks the connection: the client gets a TCP reset, or what a
// connection in memory has for it.
func (c *OriginConn) Reset() {
	switch nc := c.nc.(type) {
	case *net.TCPConn:
		nc.SetLinger(0)
		nc.Close()
	case *originPipe:
		nc.reset()
	}
}

// more receives once. Everything received is recorded.
func (c *OriginConn) more() error {
	buf := make([]byte, 32<<10)
	n, err := c.nc.Read(buf)
	c.pending = append(c.pending, buf[:n]...)
	c.o.mu.Lock()
	c.received = append(c.received, buf[:n]...)
	c.o.grown.Broadcast()
	c.o.mu.Unlock()
	if n > 0 {
		return nil
	}
	return err
}

// WaitReceived waits until the connection has received n bytes or its script
// has ended.
func (c *OriginConn) WaitReceived(n int) {
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	for len(c.received) < n && !c.o.ended {
		c.o.grown.Wait()
	}
}

func (c *OriginConn) cut(n int) string {
	s := string(c.pending[:n])
	c.pending = c.pending[n:]
	return s
}

// failf fails the test and ends the script. An end that the end of the test
// caused is nobody's fault.
func (c *OriginConn) failf(format string, args ...any) {
	for _, a := range args {
		if err, ok := a.(error); ok && c.o.endedBy(err) {
			runtime.Goexit()
		}
	}
	c.o.t.Errorf("origin, connection %d: %s", c.number, fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// IsReset says that err is what a client sees after Reset.
func IsReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
