//go:build linux && !386 && !s390x

package netio

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A conn is a TCP connection whose Read and Write are system calls that the
// runtime does not see. Where they have to wait, and all else, is what its
// transport does: a *net.TCPConn, or a descriptor that a Poller waits for.
type conn struct {
	transport
	d    *descriptor // the transport, if it is one
	rc   syscall.RawConn
	in   call // of the Read that runs
	out  call // of the Write that runs
	recv func(fd uintptr) bool
	send func(fd uintptr) bool
	once func(fd uintptr) bool // send, but never again
	wait func()                // called by a Read that is about to wait; nil: nothing is

	gather *[]byte // see Gather; guarded by out.mu
}

// A transport is all of a TCP connection but reading and writing.
type transport interface {
	Close() error
	CloseWrite() error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	SetLinger(sec int) error
	SyscallConn() (syscall.RawConn, error)
}

// A call is what one direction is about, and what became of it. Its lock lets
// Reads, and Writes, follow one another, as those of package net do.
type call struct {
	mu  sync.Mutex
	p   []byte
	n   int
	err error
}

// Wrap returns a connection that is c in all but the cost of Read and Write, or
// c itself where nothing can be gained: when it is not a *net.TCPConn. What is
// returned owns c. It implements no NetConn, so whoever looks for the transport
// finds it.
func Wrap(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	rc, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	return newConn(tcp, rc)
}

func newConn(t transport, rc syscall.RawConn) *conn {
	c := &conn{transport: t, rc: rc}
	c.recv, c.send, c.once = c.tryRead, c.tryWrite, c.tryOnce // bound once: binding allocates
	return c
}

// OnWait has f called by every Read that finds nothing to read, in its goroutine
// and before it waits: whoever reads gets to do there what can be put off while
// there is something to read, at no cost. What arrives meanwhile ends the wait.
// f must not read from the connection. OnWait must not be called while a Read
// runs; nil undoes it. It returns true: connections that hold another one may not
// be able to promise it.
func (c *conn) OnWait(f func()) bool { c.wait = f; return true }

// Read is net.Conn's.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	in.p, in.n, in.err = p, 0, nil
	err := c.rc.Read(c.recv)
	in.p = nil
	switch {
	case err == ErrWouldBlock:
		if c.wait != nil {
			c.wait()
		}
		return 0, err
	case err != nil:
		return 0, c.opError("read", err)
	case in.err != nil:
		return 0, c.opError("read", in.err)
	case in.n == 0:
		return 0, io.EOF
	}
	return in.n, nil
}

// errFull is a Write that must not wait, to a socket that takes no more.
var errFull = errors.New("the socket is full")

// Write is net.Conn's. It keeps no reference to p. After Poll it does not wait
// either, but fails: who has much to write uses Gather and Flush; what else comes
// is from TLS, in the midst of a Read perhaps, and many wait for who reads.
func (c *conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.gather != nil {
		*c.gather = append(*c.gather, p...)
		return len(p), nil
	}
	if c.d == nil || c.d.blocks {
		return c.write(p)
	}
	n, err := c.writeOnce(p)
	if err == nil && n < len(p) {
		err = c.opError("write", errFull)
	}
	return n, err
}

// write is Write with out.mu held.
func (c *conn) write(p []byte) (int, error) { return c.writeBy(c.send, p) }

// writeOnce is write, but of what the socket takes at once.
func (c *conn) writeOnce(p []byte) (int, error) { return c.writeBy(c.once, p) }

func (c *conn) writeBy(send func(fd uintptr) bool, p []byte) (int, error) {
	out := &c.out
	out.p, out.n, out.err = p, 0, nil
	err := c.rc.Write(send)
	out.p = nil
	if err == nil {
		err = out.err
	}
	if err != nil {
		return out.n, c.opError("write", err)
	}
	return out.n, nil
}

// tryRead returns false to be called again when there is something to read.
func (c *conn) tryRead(fd uintptr) bool {
	in := &c.in
	in.n, in.err = Recv(fd, in.p, 0)
	if in.err != syscall.EAGAIN {
		if c.d != nil {
			c.d.more(in.n == len(in.p) || in.err != nil)
		}
		return true
	}
	if c.d == nil && c.wait != nil {
		c.wait()
	}
	return false
}

// tryWrite returns false to be called again when there is room. A partial write
// means that there was none for more: it is not worth a call to hear that.
func (c *conn) tryWrite(fd uintptr) bool {
	out := &c.out
	n, err := Send(fd, out.p[out.n:])
	out.n += n
	if err == syscall.EAGAIN {
		return false
	}
	out.err = err
	return err != nil || out.n == len(out.p)
}

func (c *conn) tryOnce(fd uintptr) bool {
	c.tryWrite(fd)
	return true // without a wait
}

// opError is the error that package net would have made.
func (c *conn) opError(op string, err error) error {
	var oe *net.OpError
	if errors.As(err, &oe) { // of RawConn: a deadline, or closed
		oe.Op = op
		return oe
	}
	return &net.OpError{
		Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(),
		Err: os.NewSyscallError(op, err),
	}
}
