//go:build linux && !386 && !s390x

package netio

import (
	"net"
	"syscall"
	"time"

	"github.com/h2gw/h2gw/internal/prefetch"
)

// WrapPolled is Wrap, of a connection that p waits for, as Accept returns them. It
// takes c's file descriptor from package net, and is for tests that have no listener
// to accept from. A nil p, or none on this system: it
// is Wrap.
func WrapPolled(c net.Conn, p *Poller) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok || p == nil {
		return Wrap(c)
	}
	fd, err := Duplicate(tcp)
	if err != nil {
		return Wrap(c)
	}
	w := newPolled(fd, p, tcp.LocalAddr(), tcp.RemoteAddr())
	tcp.Close() // the file descriptor, not the connection
	return w
}

func newPolled(fd int, p *Poller, local, remote net.Addr) *conn {
	d := newDescriptor(fd, p, local, remote)
	c := newConn(d, d)
	c.d = d
	prefetch.Add(&d.near, d)
	prefetch.Add(&d.near, c)
	return c
}

// Near names what is touched when there is news of c, for the Poller to have it
// fetched before; nil where none waits for it. Who has news told adds what is his own,
// before Poll.
func (c *conn) Near() *prefetch.List {
	if c.d == nil {
		return nil
	}
	return &c.d.near
}

// Poll has news told whenever another Read may be worth while, and has Read return
// ErrWouldBlock where it would wait. Write does not wait either: it fails where
// the socket is full, but between Gather and Flush. All else is as before.
//
// Poll is false, and has done nothing, where no Poller waits for the connection.
// It must not be called while the connection is read or written; it may while it is
// closed. What has arrived before is not told. Nil news: nobody reads any more.
func (c *conn) Poll(news News) bool { return c.tellInstead(news, nil) }

// Suspend is Poll, but where Read would wait it calls pause and tries again: pause
// is to return when there was news. It is for a coroutine (iter.Pull), which can
// be left in the middle of what knows nothing of news. A Write fails, as with Poll,
// when the socket is full: what is to be written must be little, as a handshake is.
func (c *conn) Suspend(news News, pause func()) bool { return c.tellInstead(news, pause) }

func (c *conn) tellInstead(news News, pause func()) bool {
	d := c.d
	if d == nil {
		return false
	}
	if news == nil {
		d.news.Store(nil)
		return true
	}
	d.blocks, d.pause = false, pause
	d.news.Store(&news)
	if d.attach() {
		if by := d.readBy.Load(); by != 0 && time.Now().UnixNano() >= by {
			go d.tell(nil) // it has passed before there was anybody to tell
		}
		return true
	}
	c.Block()
	return false
}

// Block has Read and Write wait, as they do at first.
func (c *conn) Block() {
	if d := c.d; d != nil {
		d.news.Store(nil)
		d.blocks, d.pause, d.arrived = true, nil, nil
	}
}

// closeFD closes a socket. Nothing lingers, so that does not wait.
func closeFD(fd int) { syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0) }
