package httpsm

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/h2gw/h2gw/vconn"
)

const (
	smallBuffer = 4 << 10  // a client's read buffer while heads are read: most fit
	bigBuffer   = 32 << 10 // while a body is forwarded
	maxPrefetch = 16 << 10 // pipelined bytes taken in while an origin is waited for
)

var bigBuffers = sync.Pool{New: func() any { return new([bigBuffer]byte) }}

// A client is the client side of transactions: a virtual connection, which
// carries one, or an HTTP/1.1 connection, which carries one after the other and
// keeps what was read ahead.
//
// The reading side belongs to whoever reads: the transaction's goroutine, or
// the request tunnel or the watcher while that runs; both are joined before it
// changes hands. The writing side belongs to the transaction's goroutine.
type client struct {
	conn net.Conn
	vc   *vconn.Conn // conn, when that is a virtual one

	bytesIn, bytesOut uint64

	r, w int              // in[r:w] was read and not used
	in   []byte           // nil: nothing was read
	big  *[bigBuffer]byte // what in is, while it is from the pool

	small []byte // what in is otherwise; kept from one use to the next; nil: not needed yet

	deadline bool // a read deadline is set
}

func (c *client) open(conn net.Conn, vc *vconn.Conn) {
	*c = client{conn: conn, vc: vc, in: c.small, small: c.small}
}

// release gives buffers back and forgets the connection.
func (c *client) release() {
	c.dropBig()
	*c = client{small: c.small}
}

// whyGone is what the other end of a virtual connection said when it reset it.
func (c *client) whyGone() vconn.Reason {
	if c.vc == nil {
		return vconn.ReasonLeft
	}
	if cause, byPeer := c.vc.ResetCause(); byPeer {
		return cause.Reason
	}
	return vconn.ReasonLeft
}

// hasLeft: a client whose side ended early did so by itself.
func (c *client) hasLeft() bool { return c.whyGone() == vconn.ReasonLeft }

func (c *client) buffered() []byte { return c.in[c.r:c.w] }

func (c *client) discard(n int) {
	c.r += n
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
}

// fill blocks until more is buffered. The buffer grows as its content does; who
// parses bounds that.
func (c *client) fill() error {
	switch {
	case c.in == nil:
		c.small = make([]byte, smallBuffer)
		c.in = c.small
	case c.w == len(c.in):
		c.makeRoom()
	}
	n, err := c.conn.Read(c.in[c.w:])
	c.w += n
	c.bytesIn += uint64(n)
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (c *client) makeRoom() {
	if c.r > 0 {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
		return
	}
	bigger := make([]byte, max(2*len(c.in), smallBuffer))
	copy(bigger, c.in[:c.w])
	c.dropBig()
	c.in = bigger
}

// enlarge takes a big buffer from the pool for a body.
func (c *client) enlarge() {
	if c.w-c.r > bigBuffer/2 || len(c.in) >= bigBuffer {
		return
	}
	c.big = bigBuffers.Get().(*[bigBuffer]byte)
	c.w = copy(c.big[:], c.in[c.r:c.w])
	c.r = 0
	c.in = c.big[:]
}

// shrink goes back to the small buffer if what is left fits.
func (c *client) shrink() {
	if c.big == nil && c.small == nil {
		return // there was nothing to read yet
	}
	if c.small == nil {
		c.small = make([]byte, smallBuffer)
	}
	if &c.in[0] == &c.small[0] || c.w-c.r > len(c.small) {
		return
	}
	c.w = copy(c.small, c.in[c.r:c.w])
	c.r = 0
	c.in = c.small
	c.dropBig()
}

func (c *client) dropBig() {
	if c.big != nil {
		bigBuffers.Put(c.big)
		c.big = nil
	}
}

// wait sets how long the next reads may take from now on; 0: for ever.
func (c *client) wait(now time.Time, d time.Duration) {
	if d > 0 {
		c.deadline = true
		c.conn.SetReadDeadline(now.Add(d))
	} else if c.deadline {
		c.deadline = false
		c.conn.SetReadDeadline(time.Time{})
	}
}

// aLongTimeAgo as a deadline unblocks a read at once.
var aLongTimeAgo = time.Unix(1, 0)

// interrupt unblocks the goroutine that is reading; resume, once that has been
// joined, makes reading possible again.
func (c *client) interrupt() { c.conn.SetReadDeadline(aLongTimeAgo) }
func (c *client) resume()    { c.deadline = false; c.conn.SetReadDeadline(time.Time{}) }

// write sends p and blocks while the client does not read. It gives up after a
// span of stall in which the client took nothing, which it notices between one
// and two stalls after the last progress. What fits into a virtual connection at once needs no
// deadline.
func (c *client) write(p []byte, stall time.Duration) error {
	if c.vc != nil {
		n, err := c.vc.TryWrite(p)
		c.bytesOut += uint64(n)
		if err != nil || n == len(p) {
			return err
		}
		p = p[n:]
	}
	for {
		before := c.consumed()
		if stall > 0 {
			c.conn.SetWriteDeadline(time.Now().Add(stall))
		}
		n, err := c.conn.Write(p)
		c.bytesOut += uint64(n)
		p = p[n:]
		switch {
		case err == nil:
			if stall > 0 && c.vc != nil {
				c.vc.SetWriteDeadline(time.Time{}) // TryWrite would fail once it has passed
			}
			return nil
		case isTimeout(err) && (n > 0 || c.consumed() != before) && len(p) > 0 && c.resumable():
			continue // slow, but reading
		}
		return err
	}
}

// consumed is what the peer of a virtual connection has read so far: a writer
// is not woken for every little room that makes.
func (c *client) consumed() uint64 {
	if c.vc == nil {
		return 0
	}
	return c.vc.Taken()
}

// resumable: a timed out write can be continued. Not on TLS, whose records
// cannot be cut.
func (c *client) resumable() bool {
	_, wrapped := c.conn.(interface{ NetConn() net.Conn })
	return !wrapped
}

// breakOff ends the connection so that the client cannot take what it got for a
// complete message: a reset where the transport has one. On TLS no close_notify
// is sent, since that would say that the end was meant.
func (c *client) breakOff() {
	resetOnClose(c.conn).Close()
}

// resetOnClose makes the end of a connection a reset where the transport has
// one, and returns the transport.
func resetOnClose(c net.Conn) net.Conn {
	for {
		inner, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = inner.NetConn()
	}
	if tcp, ok := c.(interface{ SetLinger(int) error }); ok {
		tcp.SetLinger(0)
	}
	return c
}

const (
	lingerTime  = 2 * time.Second
	lingerBytes = 256 << 10
)

// linger ends the connection after a response to a request that was not read
// whole. Closing with unread input would reset the connection and could take
// the response with it (RFC 9112 section 9.6), so what the client still sends
// is read for a while.
func (c *client) linger() {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if ok && half.CloseWrite() == nil {
		c.conn.SetReadDeadline(time.Now().Add(lingerTime))
		for left := lingerBytes; left > 0; {
			n, err := c.conn.Read(c.in)
			c.bytesIn += uint64(n)
			left -= n
			if err != nil {
				break
			}
		}
	}
	c.conn.Close()
}
