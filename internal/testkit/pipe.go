package testkit

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// PipeCapacity is how many bytes a direction of a Pipe holds before Write waits,
// as a socket's buffers do.
const PipeCapacity = 256 << 10

// Pipe returns the two ends of a connection in memory. Unlike net.Pipe it has a
// buffer in each direction and can be half-closed. All waiting is for a
// sync.Cond, which is durable in a testing/synctest bubble.
func Pipe() (client, server *Conn) { return PipeSize(PipeCapacity) }

// PipeSize is Pipe with a capacity for each direction.
func PipeSize(capacity int) (client, server *Conn) {
	p := new(pipe)
	p.cond.L = &p.mu
	p.dir[0].capacity, p.dir[1].capacity = capacity, capacity
	client = &Conn{pipe: p, in: &p.dir[0], out: &p.dir[1], local: pipeAddr(40001), remote: pipeAddr(443)}
	server = &Conn{pipe: p, in: &p.dir[1], out: &p.dir[0], local: pipeAddr(443), remote: pipeAddr(40001)}
	return client, server
}

func pipeAddr(port uint16) net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), port))
}

type pipe struct {
	mu      sync.Mutex
	cond    sync.Cond
	changes int // calls of changed
	dir     [2]direction
}

// changed wakes everybody to look. With the lock held.
func (p *pipe) changed() {
	p.changes++
	p.cond.Broadcast()
}

type direction struct {
	buf      []byte
	capacity int
	ended    bool  // no more will be written
	broken   error // what both sides get from now on

	readBy, writeBy time.Time
	timers          [2]*time.Timer
}

// A Conn is one end of a Pipe.
type Conn struct {
	pipe          *pipe
	in, out       *direction
	local, remote net.Addr
	closed        bool
	wait          func()                                           // see OnWait
	news          func(interface{ Later(f interface{ Flush() }) }) // see NonBlocking; nil: Read waits
}

var _ net.Conn = (*Conn)(nil)

// OnWait has f called by every Read that finds nothing to read, before it waits,
// as connections of internal/netio do.
func (c *Conn) OnWait(f func()) bool {
	c.pipe.mu.Lock()
	defer c.pipe.mu.Unlock()
	c.wait = f
	return true
}

// Read reads what is buffered, waiting for the first byte.
func (c *Conn) Read(b []byte) (int, error) {
	p := c.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	for told := c.wait == nil; ; {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.in.broken != nil:
			return 0, c.in.broken
		case past(c.in.readBy):
			return 0, os.ErrDeadlineExceeded
		case len(c.in.buf) > 0:
			n := copy(b, c.in.buf)
			c.in.buf = c.in.buf[n:]
			p.changed()
			return n, nil
		case c.in.ended:
			return 0, io.EOF
		}
		if told && c.news != nil {
			return 0, errWouldBlock{}
		}
		if told {
			p.cond.Wait()
			continue
		}
		told = true
		p.mu.Unlock()
		c.wait()
		p.mu.Lock()
	}
}

// Write writes all of b, waiting for room.
func (c *Conn) Write(b []byte) (n int, err error) {
	p := c.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case c.closed || c.out.ended:
			return n, net.ErrClosed
		case c.out.broken != nil:
			return n, c.out.broken
		case past(c.out.writeBy):
			return n, os.ErrDeadlineExceeded
		}
		if room := min(c.out.capacity-len(c.out.buf), len(b)-n); room > 0 {
			c.out.buf = append(c.out.buf, b[n:n+room]...)
			n += room
			p.changed()
		}
		if n == len(b) {
			return n, nil
		}
		p.cond.Wait()
	}
}

// CloseWrite ends the outgoing direction; the peer reads io.EOF behind what was
// written.
func (c *Conn) CloseWrite() error {
	c.pipe.mu.Lock()
	defer c.pipe.mu.Unlock()
	c.out.ended = true
	c.pipe.changed()
	return nil
}

// Close closes this end. When bytes were left unread, the peer sees a reset, as
// with TCP.
func (c *Conn) Close() error {
	p := c.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.out.ended = true
	if len(c.in.buf) > 0 {
		c.out.broken = syscall.ECONNRESET
	}
	c.in.broken = errors.Join(syscall.EPIPE, net.ErrClosed)
	c.in.buf = nil
	p.changed()
	return nil
}

// Reset breaks the connection: both ends fail with ECONNRESET, and what was
// under way is lost.
func (c *Conn) Reset() {
	p := c.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.dir {
		p.dir[i].broken, p.dir[i].buf = syscall.ECONNRESET, nil
	}
	p.changed()
}

// Buffered returns how many bytes wait to be read at this end.
func (c *Conn) Buffered() int {
	c.pipe.mu.Lock()
	defer c.pipe.mu.Unlock()
	return len(c.in.buf)
}

// LocalAddr and RemoteAddr are documentation addresses (RFC 5737).
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the other end's LocalAddr.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline works as net.Conn's.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(&c.in.readBy, &c.in.timers[0], t)
}

// SetWriteDeadline works as net.Conn's.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(&c.out.writeBy, &c.out.timers[1], t)
}

func (c *Conn) setDeadline(at *time.Time, timer **time.Timer, t time.Time) error {
	p := c.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	*at = t
	if *timer != nil {
		(*timer).Stop()
		*timer = nil
	}
	if !t.IsZero() {
		*timer = time.AfterFunc(time.Until(t), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.changed()
		})
	}
	p.changed()
	return nil
}

func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

// A Listener accepts connections in memory.
type Listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// NewListener returns a Listener that is open.
func NewListener() *Listener {
	return &Listener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Dial connects to the listener and returns the client's end once it was
// accepted.
func (l *Listener) Dial() (*Conn, error) {
	client, server := Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, syscall.ECONNREFUSED
	}
}

// Accept waits for a Dial.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and Dial fail.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is that of a Pipe's server end.
func (l *Listener) Addr() net.Addr { return pipeAddr(443) }

var _ net.Listener = (*Listener)(nil)
