//go:build linux && !386 && !s390x

package netio

import (
	"net"
	"os"
	"syscall"
	"time"
)

// Poll has a Poller wait for the connection from now on. Read does not wait any
// more: it is ErrWouldBlock where it would, and news is called when another Read
// may be worth while: something has arrived, the read deadline has passed, or
// somebody has closed the connection. It may be called for nothing. It is called
// with no lock held, by the Poller's goroutine, with a later that is for the time
// of the call (see Round), or by another goroutine, with nil; it must not block.
// All else is as before, Write waits too.
//
// Poll is false, and has done nothing, where there is no Poller. It must not be
// called while the connection is read or written; it may while it is closed.
func (c *conn) Poll(news func(later interface{ Later(f interface{ Flush() }) })) bool {
	c.closes.Lock()
	defer c.closes.Unlock()
	if c.poller == nil || c.polled.Load() != nil {
		return false
	}
	d, err := newDescriptor(c.TCPConn, c.poller, news)
	if err != nil {
		return false
	}
	// All is in its place before the first news.
	was := c.rc
	c.local, c.remote = c.TCPConn.LocalAddr(), c.TCPConn.RemoteAddr()
	c.rc = d
	c.polled.Store(d)
	if err := c.poller.Add(d.fd, d); err != nil {
		c.polled.Store(nil)
		c.rc = was
		syscall.Close(d.fd)
		return false
	}
	c.TCPConn.Close() // the file descriptor, not the connection
	return true
}

// What TCPConn does while no Poller waits.

// Close is net.Conn's.
func (c *conn) Close() error {
	c.closes.Lock()
	d := c.polled.Load()
	if d == nil {
		defer c.closes.Unlock()
		return c.TCPConn.Close()
	}
	c.closes.Unlock()
	return d.close()
}

// CloseWrite is TCPConn's.
func (c *conn) CloseWrite() error {
	d := c.polled.Load()
	if d == nil {
		return c.TCPConn.CloseWrite()
	}
	return d.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_WR) })
}

// SetLinger is TCPConn's.
func (c *conn) SetLinger(sec int) (err error) {
	d := c.polled.Load()
	if d == nil {
		return c.TCPConn.SetLinger(sec)
	}
	l := syscall.Linger{Linger: int32(sec)}
	if sec >= 0 {
		l.Onoff = 1
	}
	if e := d.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &l))
	}); e != nil {
		return e
	}
	return err
}

// LocalAddr is net.Conn's.
func (c *conn) LocalAddr() net.Addr {
	if c.polled.Load() != nil {
		return c.local
	}
	return c.TCPConn.LocalAddr()
}

// RemoteAddr is net.Conn's.
func (c *conn) RemoteAddr() net.Addr {
	if c.polled.Load() != nil {
		return c.remote
	}
	return c.TCPConn.RemoteAddr()
}

// SetDeadline is net.Conn's.
func (c *conn) SetDeadline(t time.Time) error {
	if d := c.polled.Load(); d != nil {
		d.setReadBy(t)
		d.setSendBy(t)
		return nil
	}
	return c.TCPConn.SetDeadline(t)
}

// SetReadDeadline is net.Conn's.
func (c *conn) SetReadDeadline(t time.Time) error {
	if d := c.polled.Load(); d != nil {
		d.setReadBy(t)
		return nil
	}
	return c.TCPConn.SetReadDeadline(t)
}

// SetWriteDeadline is net.Conn's.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if d := c.polled.Load(); d != nil {
		d.setSendBy(t)
		return nil
	}
	return c.TCPConn.SetWriteDeadline(t)
}

// SyscallConn is TCPConn's. Its Read does not wait after Poll.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if d := c.polled.Load(); d != nil {
		return d, nil
	}
	return c.TCPConn.SyscallConn()
}
