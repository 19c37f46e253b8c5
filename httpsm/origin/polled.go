package origin

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/h2gw/h2gw/internal/netio"
	"github.com/h2gw/h2gw/internal/prefetch"
)

// How one read and one write serve a request.
//
// A plain TCP connection is taken from package net once it is made, and given to
// one of the process's pollers (see netio.Poller), which notes what arrives from
// the beginning on: no read need be tried only to find that it must wait. When
// something has arrived, or the end has, the poller's goroutine looks at the
// state:
//
//	idle      nobody has asked for it: the connection leaves the pool and is
//	          closed.
//	awaited   it receives into the exchange's buffer and calls Resume, where the
//	          transaction goes on, usually until the exchange is released, and
//	          perhaps until another has begun. Who sleeps in Fill is woken.
//	in use    somebody is busy with the exchange. The bit ready is set, and he
//	          receives when he wants more.
//
// # Who owns what
//
// The owner of the exchange has buf, failure and waiter, except between Await
// and Resume: then it is who clears the bit awaited, which is how a Resume is
// claimed: the poller or the timer of the read deadline. Who owns a connection,
// as its exchange or by having taken it from the pool, closes it; Abort, from
// elsewhere, only shuts it down.
//
// # What can slip through
//
// Bytes or an end that have reached the socket of an idle connection are found
// by a look at it as it is taken from the pool, or by the poller, once it has
// run: that is some microseconds later, or some hundred when all processors are
// busy. The look costs a system call. It is left out for requests that can be
// sent again, while the endpoint is busy; then an end that the poller has not
// seen yet makes the request fail and be tried again, and bytes are taken for
// its response. Both can happen with the look, too, in the time from the look to
// the write, and bytes at any time until the origin answers, which is longer
// than what is added here.

// Bits of a conn's state.
const (
	inUse   uint32 = 1 << iota // an exchange: begin to Release
	aborted                    // Abort was called
	awaited                    // waiter is to be resumed
	ready                      // something may be there to be read
	ended                      // nothing comes behind it
	full                       // who writes waits for the socket to take more
	dead                       // closed, or about to be
)

// A polling is what a conn has when a poller waits for it.
type polling struct {
	poller   *netio.Poller // nil: none does
	lane     int           // of the poller
	fd       int
	one      [1]byte // what a peek sees
	waiter   Resumer
	failure  error         // what the next Fill says; found before Resume was called
	near     prefetch.List // what serve touches; of the owner of the exchange
	written  bool          // the exchange has written something
	reads    deadlineTimer
	sleeper  sleeper
	room     chan struct{} // holds one, from who cleared full
	until    atomic.Int64  // the write deadline, since epoch; 0: none
	patience *time.Timer   // of awaitRoom; nil: it did not wait yet

	mu     sync.Mutex // guards what follows, raw once there is a poller, and closing
	closed bool       // fd is nobody's any more
}

// poll gives a new connection to a poller, if it is of a kind that can be. The
// caller owns it.
func (c *conn) poll(lane int) {
	tcp, ok := c.raw.(*net.TCPConn)
	if !netio.CanPoll || !ok || c.probe != nil {
		return
	}
	fd, err := netio.Duplicate(tcp)
	if err != nil {
		return
	}
	c.fd = fd
	c.sleeper = make(sleeper, 1)
	c.room = make(chan struct{}, 1)
	c.reads.passed = c.outOfTime
	p := netio.PollerOf(lane)
	if err := p.AddFirst(fd, c, &c.near); err != nil {
		closeSocket(fd)
		return
	}
	c.poller, c.lane = p, lane
	tcp.Close() // the file descriptor, not the connection
	c.raw, c.nc, c.sock = nil, nil, nil
}

// Ready is netio.Handler's.
func (c *conn) Ready(what netio.Readiness, later *netio.Round) {
	if what&netio.Writable != 0 {
		c.roomy()
	}
	if what&netio.Readable == 0 {
		return
	}
	if what&netio.Ended != 0 {
		c.state.Or(ended)
	}
	for {
		s := c.state.Load()
		switch {
		case s&dead != 0:
			return
		case s&awaited != 0:
			if c.state.CompareAndSwap(s, s&^awaited) {
				c.serve(later)
				return
			}
		case c.state.CompareAndSwap(s, s|ready):
			if s&inUse == 0 {
				c.reconsider()
			}
			return
		}
	}
}

// serve receives for who waits, and has him go on; one who sleeps receives
// himself. The caller has claimed that.
func (c *conn) serve(later *netio.Round) {
	if c.waiter == Resumer(c.sleeper) {
		c.state.Or(ready)
		c.sleeper.Resume(nil)
		return
	}
	if err := c.pull(); err == errWouldBlock {
		if c.await(c.waiter) {
			return
		}
	} else if err != nil {
		c.failure = err
	}
	c.waiter.Resume(later)
}

// pull receives once into the buffer; errWouldBlock: nothing had arrived. What
// arrives from now on is another event, but for an end that was told already.
func (c *conn) pull() error {
	if c.state.Load()&ready != 0 {
		c.state.And(^ready)
	}
	if err := c.makeRoom(); err != nil {
		c.state.Or(ready)
		return err
	}
	space := c.space()
	n, err := receive(c.fd, space)
	c.w += n
	c.filled = n == len(space)
	if err == errWouldBlock {
		if c.w == 0 {
			c.buf.put()
			c.buf = nil
		}
		return err
	}
	if c.filled || n == 0 || c.state.Load()&ended != 0 {
		c.state.Or(ready)
	}
	switch {
	case n > 0:
		return nil
	case err == nil:
		err = io.EOF
	default:
		err = c.opError("read", err)
	}
	c.broken.Store(true)
	return err
}

// glance looks at the socket, and forgets first that something may be there: what
// arrives later is another event. The caller owns the exchange, or the idle
// connection.
func (c *conn) glance() look {
	s := c.state.Load()
	if s&ended != 0 {
		if look := peek(c.fd, &c.one); look != lookQuiet {
			return look
		}
		return lookClosed
	}
	if s&ready != 0 {
		c.state.And(^ready)
	}
	return peek(c.fd, &c.one)
}

// parkPolled prepares a connection for being idle; s is its state at Release.
// It is false if something has arrived, or the end has.
func (c *conn) parkPolled(s uint32) bool {
	c.reads.set(time.Time{})
	c.until.Store(0)
	if s&ready == 0 {
		return true
	}
	look := c.glance()
	c.endpoint.spoiled(look)
	return look == lookQuiet
}

// reconsider looks at an idle connection on which something may have arrived, if
// nobody takes it meanwhile: who does sees the bit ready, and looks himself, as
// does who is about to put it into the pool. It stays in its place meanwhile: the
// poller may be late with news of what was read long ago, and a request that comes
// just then is to find the connection.
func (c *conn) reconsider() {
	for c.state.Load()&ready != 0 {
		f := c.endpoint.pool.idle.holding(c)
		if f == nil {
			return
		}
		look := c.glance()
		if look != lookQuiet {
			f.removeLocked(c)
		}
		f.mu.Unlock()
		if look != lookQuiet {
			c.endpoint.spoiled(look)
			c.bury()
			return
		}
	}
}

// closePolled closes a connection that the caller owns.
func (c *conn) closePolled() {
	c.state.Or(dead)
	c.reads.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.raw != nil:
		c.raw.Close()
	case !c.closed:
		c.closed = true
		c.poller.Remove(c.fd, false)
		closeSocket(c.fd)
	}
}

// shutDown ends both directions, which is an event to the poller.
func (c *conn) shutDown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.raw != nil:
		c.raw.Close()
	case !c.closed:
		shutSocket(c.fd)
		c.roomy()
	}
}

// giveBack makes a connection of package net of it again: somebody else will
// read. The caller owns it.
func (c *conn) giveBack() {
	c.reads.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.poller.Remove(c.fd, true)
	c.closed = true
	f := os.NewFile(uintptr(c.fd), "origin")
	nc, err := net.FileConn(f) // which duplicates it
	f.Close()
	if err != nil {
		nc = closedConn()
	}
	c.raw, c.nc = nc, netio.Wrap(nc)
	if c.state.Load()&aborted != 0 {
		nc.Close()
	}
}

// closedConn is a connection of which nothing can be had.
func closedConn() net.Conn {
	closed, other := net.Pipe()
	closed.Close()
	other.Close()
	return closed
}

// opError makes of err what package net would.
func (c *conn) opError(op string, err error) error {
	return &net.OpError{
		Op: op, Net: "tcp", Source: net.TCPAddrFromAddrPort(c.info.Local), Addr: net.TCPAddrFromAddrPort(c.info.Remote),
		Err: os.NewSyscallError(op, err),
	}
}
