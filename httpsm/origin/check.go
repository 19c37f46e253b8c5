package origin

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// A look is what one glance at an idle connection showed.
type look uint8

const (
	lookQuiet  look = iota // open, nothing received: may be used
	lookClosed             // closed or broken by the origin
	lookBytes              // received something nobody asked for
)

// park prepares an exchange's connection for being idle: its deadlines end with
// the exchange. A kernel socket can be looked at later; any other connection
// needs a watcher, since net.Conn has no read that does not wait. It returns
// false if the connection is broken.
// s is the state before.
func (c *conn) park(s uint32) bool {
	if c.poller != nil {
		return c.parkPolled(s)
	}
	if c.rd.drop(readSide{c}, true) != nil || c.wd.drop(writeSide{c}, c.probe == nil) != nil {
		return false
	}
	if c.sock != nil {
		return true
	}
	c.watcher = watch(c)
	return c.watcher != nil
}

// look tells whether a kept connection may be used again.
func (c *conn) look() look {
	switch {
	case c.poller != nil:
		return c.glance()
	case c.sock == nil:
		return c.watcher.stop(c)
	case c.probe != nil:
		return c.lookTLS()
	}
	return c.lookPlain()
}

// lookPlain peeks at the socket: one system call.
func (c *conn) lookPlain() look {
	n, err := c.sock.recv(nil)
	if errors.Is(err, os.ErrDeadlineExceeded) { // a lazy deadline left on it
		if c.rd.drop(readSide{c}, false) != nil {
			return lookClosed
		}
		n, err = c.sock.recv(nil)
	}
	switch {
	case n > 0:
		return lookBytes
	case err == errWouldBlock:
		return lookQuiet
	}
	return lookClosed
}

// lookTLS reads from the TLS connection with a transport that does not wait: a
// peek at the socket would miss records that crypto/tls has read already. Bytes
// that yield nothing (part of a record, a late session ticket) count as
// unexpected, because half a response cannot be told from a ticket.
func (c *conn) lookTLS() look {
	c.probe.begin()
	n, err := c.nc.Read(c.sock.one[:])
	got := c.probe.end()
	if errors.Is(err, os.ErrDeadlineExceeded) && c.rd.drop(readSide{c}, false) == nil {
		return c.lookTLS() // a lazy deadline left on it: none is now
	}
	switch {
	case n > 0:
		return lookBytes
	case !errors.Is(err, errWouldBlock):
		return lookClosed
	case got > 0:
		return lookBytes
	}
	return lookQuiet
}

// A wouldBlock is the error of a read that would have waited. It is a timeout,
// and temporary, so that crypto/tls does not take the connection for broken.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "origin: nothing to read" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

var errWouldBlock net.Error = wouldBlock{}

// A probe is a transport under TLS that can be told not to wait, and that knows
// whether the origin closed it. Only the connection's owner switches it, while
// nobody reads; only who reads looks at ended.
type probe struct {
	net.Conn
	sock    *socket // nil: never probing
	probing bool
	got     int  // bytes read while probing
	ended   bool // the transport's end was read
}

// NetConn is the transport, for whoever unwraps connections.
func (p *probe) NetConn() net.Conn { return p.Conn }

func (p *probe) begin()   { p.probing, p.got = true, 0 }
func (p *probe) end() int { p.probing = false; return p.got }

// Read reads, without waiting while probing.
func (p *probe) Read(b []byte) (int, error) {
	if !p.probing {
		n, err := p.Conn.Read(b)
		p.ended = p.ended || n == 0 && err == io.EOF
		return n, err
	}
	n, err := p.sock.recv(b)
	p.got += n
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// longAgo is a deadline that makes a blocked read return.
var longAgo = time.Unix(1, 0)

// A watcher reads an idle connection that cannot be looked at: connections in
// memory, and systems whose sockets have no peek here. It costs a goroutine
// while the connection is idle.
type watcher struct {
	done chan struct{}
	n    int
	err  error
}

func watch(c *conn) *watcher {
	if c.rd.drop(readSide{c}, false) != nil {
		return nil
	}
	w := &watcher{done: make(chan struct{})}
	go func() {
		defer close(w.done)
		var one [1]byte
		w.n, w.err = c.nc.Read(one[:])
	}()
	return w
}

// stop ends the read and says what it met.
func (w *watcher) stop(c *conn) look {
	c.rd.force(readSide{c}, longAgo)
	<-w.done
	switch {
	case w.n > 0:
		return lookBytes
	case errors.Is(w.err, os.ErrDeadlineExceeded) && c.rd.drop(readSide{c}, false) == nil:
		return lookQuiet
	}
	return lookClosed
}
