package vconn

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"

	"github.com/h2gw/h2gw/pitag"
)

const (
	active  = 0
	passive = 1
)

// A pair is both ends and both directions of a virtual connection, in one
// allocation of 512 bytes, which is used again. mu guards everything but the fields set by
// Connector.Open.
type pair struct {
	// What every operation looks at comes first, and together.
	mu sync.Mutex
	state
}

// A state is what there is of a pair but its lock.
type state struct {
	reset    *ResetError // what the first Reset said; nil: none
	counters *counters
	stream   uint32
	resetBy  uint8 // the side whose Reset it was
	untold   bool  // both ends are closed and the active one was not told

	ends  [2]Conn
	toEnd [2]half // toEnd[i] is read by ends[i] and written by the other

	// Set by Open, constant after, as are counters and stream.
	identity pitag.Identity
	addr     netip.AddrPort
	session  *pitag.Session
	request  Request
	txn      uint64
	notes    *Notes // nil: none are kept
}

// A half is one direction: bytes on their way to one end.
type half struct {
	buffer
	wait    *waiter // nil: nobody has waited yet
	ended   bool    // the writer called CloseWrite or Close: EOF once drained
	refused bool    // the reader called CloseRead or Close: writes fail
	writing bool    // a Write is waiting for room, and others for their turn
	need    int     // the room at which the waiting Write is worth waking
	unread  int     // bytes discarded without being read

	written uint64 // bytes, ever
	counted uint64 // of them, those that were added to the tag's counters
}

// over reports whether nothing more can be read from the direction.
func (h *half) over() bool { return h.refused || (h.ended && h.n == 0) }

// drop discards what is buffered and returns how much that was.
func (h *half) drop() int {
	n := h.clear()
	h.unread += n
	return n
}

// A Conn is one end of a virtual connection: a net.Conn with a bounded buffer
// each way, half-close and reset. Its methods are safe for concurrent use, and
// concurrent Writes are not interleaved; Peek and Discard expect one reader.
// Conns come from a [Connector].
type Conn struct {
	pair   *pair
	side   uint8 // its place in pair.ends
	closed bool  // by Close or Reset on this end
	done   bool  // see Recycle
	events events
}

// The other end, and the directions that this end reads and writes.

func (c *Conn) peer() *Conn { return &c.pair.ends[1-c.side&1] }
func (c *Conn) in() *half   { return &c.pair.toEnd[c.side&1] }
func (c *Conn) out() *half  { return &c.pair.toEnd[1-c.side&1] }

var _ net.Conn = (*Conn)(nil)

// Read reads what is buffered, up to len(p) bytes, waiting for the first. It
// returns io.EOF when the peer has ended the direction and all of it was read,
// and after this end's CloseRead; a *ResetError after a Reset; an error that
// matches net.ErrClosed after Close; os.ErrDeadlineExceeded past the deadline.
func (c *Conn) Read(p []byte) (int, error) {
	in := c.in()
	c.pair.mu.Lock()
	for {
		if n, err, done := c.tryRead(p); done {
			w := in.wanted()
			c.pair.unlockAndTell(nil)
			w.wake()
			return n, err
		}
		w := in.waiter(&c.pair.mu)
		w.sleep(&w.readBy)
	}
}

// tryRead is Read without the wait: done is false when Read must wait.
func (c *Conn) tryRead(p []byte) (n int, err error, done bool) {
	in := c.in()
	switch {
	case c.pair.reset != nil:
		return 0, c.pair.reset, true
	case c.closed:
		return 0, errReadClosed, true
	case len(p) == 0:
		return 0, nil, true
	case in.readLate():
		return 0, os.ErrDeadlineExceeded, true
	case in.n > 0:
		n = in.read(p)
		c.peer().postConsumed(n)
		return n, nil, true
	case in.over():
		return 0, io.EOF, true
	}
	return 0, nil, false
}

// Write writes all of p, waiting for room as often as needed. When it fails, n
// tells how much was written, all of which the peer can read unless the error
// says otherwise: ErrPeerClosed when the peer stopped reading or this end called
// CloseWrite; a *ResetError after a Reset; an error that matches net.ErrClosed
// after Close; os.ErrDeadlineExceeded past the deadline. It keeps no part of p.
func (c *Conn) Write(p []byte) (n int, err error) {
	out := c.out()
	c.pair.mu.Lock()
	mine := false // whether out.writing is ours
	for {
		if err = c.writeErr(); err != nil {
			break
		}
		if !out.writing || mine {
			n += c.put(p[n:])
			if n == len(p) {
				break
			}
			out.writing, mine = true, true
			// Waking for every byte the reader takes would be a switch per
			// byte; waiting for more room than is needed could be for ever.
			out.need = min(len(p)-n, (out.bound+1)/2)
			if tell, obs, set := c.peer().claim(); tell {
				c.pair.mu.Unlock()
				c.peer().deliver(obs, set, nil)
				c.pair.mu.Lock()
				continue
			}
		}
		w := out.waiter(&c.pair.mu)
		w.sleep(&w.writeBy)
	}
	if mine {
		out.writing, out.need = false, 0
		out.wait.wake()
	}
	c.pair.unlockAndTell(nil)
	return n, err
}

// put writes what fits and wakes the reader. With the lock held.
func (c *Conn) put(p []byte) int {
	out := c.out()
	wasEmpty := out.n == 0
	n := out.write(p)
	if n == 0 {
		return 0
	}
	if out.written += uint64(n); out.written-out.counted >= countEvery {
		c.pair.count(out)
	}
	if wasEmpty {
		out.wait.wake()
		c.peer().postReadable(OnReadable)
	}
	return n
}

// writeErr is why nothing can be written now, or nil. With the lock held.
func (c *Conn) writeErr() error {
	switch {
	case c.pair.reset != nil:
		return c.pair.reset
	case c.closed:
		return errWriteClosed
	case c.out().writeLate():
		return os.ErrDeadlineExceeded
	case c.out().ended, c.out().refused:
		return ErrPeerClosed
	}
	return nil
}

// TryWrite writes what fits now and never waits: n < len(p) with a nil error
// means that the direction is full, and that Consumed will say when it is not.
// It fails as Write does. While a Write waits for room it takes nothing.
func (c *Conn) TryWrite(p []byte) (n int, err error) {
	c.pair.mu.Lock()
	err = c.writeErr()
	if err == nil && !c.out().writing {
		n = c.put(p)
	}
	c.pair.unlockAndTell(nil)
	return n, err
}

// Room returns how many bytes TryWrite would take now: 0 when it would fail.
func (c *Conn) Room() int {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	if c.out().writing || c.writeErr() != nil {
		return 0
	}
	return c.out().room()
}

// Peek returns the first contiguous buffered bytes of the incoming direction
// without consuming them, and never waits. They are valid until the next Read,
// Peek, PeekWait or Discard on this end, whatever else is done to either, and
// must not be changed. It returns nil, nil when nothing is buffered yet, and
// otherwise the errors of Read; it does not look at the deadline.
func (c *Conn) Peek() ([]byte, error) {
	c.pair.mu.Lock()
	view, err := c.peek()
	c.pair.mu.Unlock()
	return view, err
}

func (c *Conn) peek() ([]byte, error) {
	switch {
	case c.pair.reset != nil:
		c.in().unpin()
		return nil, c.pair.reset
	case c.closed:
		return nil, errReadClosed
	case c.in().n > 0:
		return c.in().peek(), nil
	case c.in().over():
		return nil, io.EOF
	}
	return nil, nil
}

// Discard consumes n bytes that Peek showed, as if they had been read, and takes
// no more than is buffered. When a Reset of the peer has come since Peek, the
// peer's Unread does not count them: this end has used them.
func (c *Conn) Discard(n int) {
	in := c.in()
	c.pair.mu.Lock()
	c.used(n)
	w := in.wanted()
	c.pair.unlockAndTell(nil)
	w.wake()
}

// used consumes n bytes that Peek showed. With the lock held.
func (c *Conn) used(n int) {
	if k := c.in().orphan; k != nil {
		c.in().unread -= min(n, k.w-k.r, c.in().unread)
	}
	if n = c.in().discard(n); n > 0 {
		c.peer().postConsumed(n)
	}
}

// wanted returns the Write that waits for the room there is now; nil: none.
func (h *half) wanted() *waiter {
	if h.need > 0 && h.room() >= h.need {
		return h.wait
	}
	return nil
}

// Taken returns how many bytes of those that this end wrote are no longer
// buffered, because the peer has read them or they were discarded: the sum of
// what Consumed tells, and of what this end's own Reset discarded.
func (c *Conn) Taken() uint64 {
	c.pair.mu.Lock()
	n := c.out().written - uint64(c.out().n)
	c.pair.mu.Unlock()
	return n
}

// Buffered returns the number of unread bytes in the incoming direction.
func (c *Conn) Buffered() int {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	return c.in().n
}
