package origin

import (
	"io"
	"net"
	"syscall"
	"time"
)

// How one read and one write serve a request.
//
// A kept-alive plain TCP connection has an attendant: a goroutine that is in one
// RawConn.Read call from the first exchange to the last. That call waits in the
// network poller, and the poller notes what arrives from its beginning on, so
// that nothing is lost however long a callback takes, and no read need be tried
// only to find that it must wait. At each edge (something arrived, or the end)
// the attendant looks at the state:
//
//	idle      what arrived is the end or bytes that nobody asked for: the
//	          connection leaves the pool and is closed.
//	awaited   it receives into the exchange's buffer and calls Resume, where the
//	          transaction goes on, usually until the exchange is released, and
//	          perhaps until another has begun.
//	in use    somebody is busy with the exchange. The edge is kept, and so is
//	          the attendant: it waits (holding) until it is awaited or released.
//	          The owner may receive meanwhile what there is: a long body costs
//	          the attendant nothing.
//
// Fill is Await with somebody who sleeps.
//
// # Who owns what
//
// The owner of the exchange has buf, failure and waiter, except between Await
// and Resume: then it is who clears the bit awaited, which is how a Resume is
// claimed: the attendant or the timer of the read deadline. Only the attendant
// closes, after it has left RawConn.Read: Close waits for those inside, and who
// closes could be one of them. Everybody else leaves it a bit and rouses it.
//
// # What can slip through
//
// Bytes or an end that have reached the socket of an idle connection are found
// by a look at it as it is taken from the pool, or by the attendant, once he has
// run: that is some microseconds later, or some hundred when all processors are
// busy. The look costs a system call. It is left out for requests that can be
// sent again, while the endpoint is busy; then an end that the attendant has not
// seen yet makes the request fail and be tried again, and bytes are taken for
// its response. Both can happen with the look, too, in the time from the look to
// the write, and bytes at any time until the origin answers, which is longer
// than what is added here.
//
// An end that reaches the socket together with the last bytes of a response
// makes one edge with them. It is looked for after a connection's first
// response, where origins that close without a word do it; later ones are found
// by the next request, or its look.

// Bits of a conn's state.
const (
	inUse   uint32 = 1 << iota // an exchange: begin to Release
	aborted                    // Abort was called
	awaited                    // waiter is to be resumed
	ready                      // something may be there to be read
	behind                     // an end may be right behind what was received for this exchange
	holding                    // the attendant waits for a token from hold
	dead                       // to be closed, nobody uses it
	place                      // ... and its place in the pool given back then
	leaving                    // the attendant is to end without closing: a tunnel
	gone                       // the attendant has ended
)

// An attendance is what a conn has for its attendant.
type attendance struct {
	rc      syscall.RawConn // nil: no attendant
	waiter  Resumer
	failure error         // what the next Fill says; found before Resume was called
	hold    chan struct{} // holds one, from who cleared holding
	written bool          // the exchange has written something
	reads   deadlineTimer
	out, in transfer
	sleeper sleeper
	ended   chan struct{} // closed by the attendant
}

// attend gives a new connection its attendant, if it is of a kind that can have
// one. The caller owns it.
func (c *conn) attend() {
	tcp, ok := c.raw.(*net.TCPConn)
	if !canAttend || !ok || c.probe != nil {
		return
	}
	rc, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	c.rc = rc
	c.hold, c.ended = make(chan struct{}, 1), make(chan struct{})
	c.sleeper = make(sleeper, 1)
	c.reads.passed = c.outOfTime
	c.in.bind(c)
	c.out.bind(c)
	go c.runAttendant()
}

// runAttendant is the attendant.
func (c *conn) runAttendant() {
	entered := false
	err := c.rc.Read(func(fd uintptr) bool {
		if !entered { // no edge yet; one before the call would be forgotten
			entered = true
			if peek(fd, &c.in.one) == lookQuiet {
				return c.state.Load()&(aborted|dead|leaving) != 0
			}
		}
		return c.atEdge(fd)
	})
	if c.state.Load()&leaving != 0 {
		c.raw.SetReadDeadline(time.Time{})
	} else {
		c.raw.Close()
	}
	c.reads.stop()
	c.leave(err)
}

// atEdge is called when something has arrived. It returns true if the attendant
// is to end, else at the next edge it is called again.
func (c *conn) atEdge(fd uintptr) bool {
	for edge := true; ; {
		s := c.state.Load()
		switch {
		case s&(aborted|dead|leaving) != 0:
			return true
		case !edge && s&(ready|behind) == 0:
			return false
		case s&awaited != 0:
			if c.state.CompareAndSwap(s, s&^(awaited|ready)|behind) {
				edge = false
				c.serve(fd)
			}
		case s&inUse == 0 && peek(fd, &c.in.one) == lookQuiet:
			edge = false
			c.state.And(^ready)
		case s&inUse == 0 && c.leavePool(fd):
			return true
		default:
			next := s | holding
			if edge {
				next |= ready
			}
			if !c.state.CompareAndSwap(s, next) {
				continue
			}
			edge = false
			// Whoever puts it back looks for holding after that.
			if s&inUse == 0 && c.leavePool(fd) {
				if c.state.And(^holding)&holding == 0 {
					<-c.hold
				}
				return true
			}
			<-c.hold
		}
	}
}

// leavePool takes an idle connection on which something has arrived out of the
// pool. It returns false if it is not there: somebody has taken it, or is about
// to put it back.
func (c *conn) leavePool(fd uintptr) bool {
	if !c.endpoint.pool.idle.remove(c) {
		return false
	}
	c.endpoint.spoiled(peek(fd, &c.in.one))
	c.state.Or(dead | place)
	return true
}

// parkAttended prepares a connection for being idle; s is its state at Release.
// It is false if something has arrived, or the end has.
func (c *conn) parkAttended(s uint32) bool {
	c.reads.set(time.Time{})
	if c.info.Reused && s&ready == 0 {
		return true
	}
	look := c.glance()
	c.endpoint.spoiled(look)
	return look == lookQuiet
}

// reconsider is called by who has put a connection into the pool whose attendant
// is not where he can see what arrives: he looks at once, or has ended.
func (c *conn) reconsider() {
	if !c.unhold() && c.state.Load()&gone != 0 && c.endpoint.pool.idle.remove(c) {
		c.endpoint.spoiled(lookClosed)
		c.bury()
	}
}

// serve receives for who waits, and has him go on. The attendant has claimed
// that.
func (c *conn) serve(fd uintptr) {
	err := c.pull(fd)
	switch {
	case err == errWouldBlock: // what made the edge was received before
		c.state.And(^behind)
		if c.await(c.waiter) {
			return
		}
	case err != nil:
		c.failure = err
		c.state.Or(ready) // it stays so
	case c.filled:
		c.state.Or(ready)
	}
	c.waiter.Resume(nil)
}

// pull receives once into the buffer; errWouldBlock: nothing had arrived.
func (c *conn) pull(fd uintptr) error {
	if err := c.room(); err != nil {
		return err
	}
	space := c.space()
	n, err := receive(fd, space)
	c.w += n
	c.filled = n == len(space)
	switch {
	case n > 0:
		return nil
	case err == nil:
		err = io.EOF
	case err == errWouldBlock:
		if c.w == 0 {
			c.buf.put()
			c.buf = nil
		}
		return err
	default:
		err = c.opError("read", err)
	}
	c.broken.Store(true)
	return err
}

// rouse has the attendant look at the state, wherever it is.
func (c *conn) rouse() {
	if !c.unhold() {
		c.raw.SetReadDeadline(longAgo)
	}
}

// unhold ends the attendant's holding; false: it was not.
func (c *conn) unhold() bool {
	if c.state.And(^holding)&holding == 0 {
		return false
	}
	c.hold <- struct{}{}
	return true
}

// leave says that the attendant has ended. err is why, if it was not asked to:
// the poller cannot wait for the socket any more.
func (c *conn) leave(err error) {
	if c.state.Load()&(aborted|dead|leaving) == 0 && c.endpoint.pool.idle.remove(c) {
		c.endpoint.spoiled(lookClosed)
		c.state.Or(dead | place)
	}
	var s uint32
	for {
		s = c.state.Load()
		if c.state.CompareAndSwap(s, s&^awaited|gone) {
			break
		}
	}
	close(c.ended)
	if s&(aborted|leaving) == aborted|leaving {
		c.raw.Close() // aborted just now
	}
	if s&place != 0 {
		c.endpoint.pool.drop()
	}
	if s&awaited != 0 {
		if c.failure = err; err == nil {
			c.failure = net.ErrClosed
		}
		c.waiter.Resume(nil)
	}
}

// dismiss has the attendant end, and waits for that: somebody else will read.
func (c *conn) dismiss() {
	if c.state.Or(leaving)&gone == 0 {
		c.rouse()
		<-c.ended
	}
}

// bury gives up a connection that nobody uses, and its place.
func (c *conn) bury() {
	s := c.state.Or(dead | place)
	if c.rc != nil && s&gone == 0 {
		c.rouse()
		return
	}
	c.raw.Close()
	c.endpoint.pool.drop()
}
