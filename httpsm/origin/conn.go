package origin

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// A conn is one origin connection, and the Exchange of the request that has it:
// the object lives as long as the connection, so that a reuse allocates
// nothing.
type conn struct {
	endpoint *Endpoint
	state    atomic.Uint32 // bits: see polled.go
	broken   atomic.Bool   // a read or write failed, or it became a tunnel

	// Of the goroutine that reads.
	filled bool    // the last read took all there was room for
	buf    *buffer // nil: nothing buffered
	r, w   int     // buf.b[r:w] is unread
	most   int     // bytes that a read takes; 0: as many as there is room for

	// Of the pool.
	shelf    atomic.Int32 // which it is on, from 1; 0: it is not idle
	idleTick uint32

	polling

	// Of a connection that no poller waits for.
	raw    net.Conn // the transport
	nc     net.Conn // what HTTP is spoken on: raw (see netio.Wrap), or TLS over it
	sock   *socket  // raw, if it is a kernel socket
	probe  *probe   // between TLS and raw; nil without TLS
	info   Info
	rd, wd lazyDeadline

	watcher *watcher // of the pool
}

var (
	_ Exchange = (*conn)(nil)
	_ Sparing  = (*conn)(nil)
)

// begin makes the connection an exchange.
func (c *conn) begin(reused bool) {
	if reused && !c.info.Reused {
		c.info.Reused = true
		c.info.ConnectStart, c.info.ConnectEnd = time.Time{}, time.Time{}
	}
	c.written, c.failure = false, nil
	c.state.Or(inUse)
}

func (c *conn) Info() Info { return c.info }

func (c *conn) Write(p []byte) (int, error) {
	if c.poller != nil {
		return c.writePolled(p)
	}
	sent := 0
	for {
		n, err := c.nc.Write(p[sent:])
		sent += n
		if err == nil {
			return sent, nil
		}
		// TLS arms at once: crypto/tls cannot go on after a write timed out.
		if c.probe == nil && c.retry(&c.wd, writeSide{c}, err) {
			continue
		}
		c.broken.Store(true)
		return sent, c.fail(err)
	}
}

func (c *conn) Buffered() []byte {
	if c.buf == nil {
		return nil
	}
	return c.buf.b[c.r:c.w]
}

func (c *conn) Discard(n int) {
	if n < 0 || n > c.w-c.r {
		panic("origin: Discard of more than is buffered")
	}
	c.r += n
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
}

func (c *conn) Fill() error {
	if c.poller != nil {
		return c.fillPolled()
	}
	if err := c.makeRoom(); err != nil {
		return err
	}
	for {
		space := c.space()
		n, err := c.nc.Read(space)
		c.w += n
		c.filled = n == len(space)
		switch {
		case n > 0:
			return nil // an error shows again at the next read
		case err != nil && !c.retry(&c.rd, readSide{c}, err):
			if !errors.Is(err, os.ErrDeadlineExceeded) { // reading may go on after that
				c.broken.Store(true)
			}
			return c.fail(c.unannounced(err))
		}
	}
}

// unannounced tells an end that the origin announced from a cut: crypto/tls
// takes an end of the transport between two records for the end of the stream,
// but anyone on the way can cause that. Only a close_notify, at which crypto/tls
// stops reading, says that a response which ends with its connection is complete
// (RFC 9112 section 9.8).
func (c *conn) unannounced(err error) error {
	if err == io.EOF && c.probe != nil && c.probe.ended {
		return io.ErrUnexpectedEOF
	}
	return err
}

// makeRoom makes space in the buffer for a read: a first buffer, what was discarded
// moved out of the way, or a larger buffer.
func (c *conn) makeRoom() error {
	switch {
	case c.buf == nil:
		class := 0
		if c.filled { // it was spared in the midst of a long body
			class = bodyClass
		}
		c.buf = getBuffer(class)
	case c.w == 0:
		if c.filled && c.buf.class < bodyClass { // a long body: fewer, larger reads
			class := c.buf.class + 1
			c.buf.put()
			c.buf = getBuffer(class)
		}
	case c.r > 0 && len(c.buf.b)-c.w < len(c.buf.b)/2:
		c.w = copy(c.buf.b, c.buf.b[c.r:c.w])
		c.r = 0
	}
	if c.w < len(c.buf.b) {
		if limit := c.endpoint.group.cfg.MaxBuffer; c.w-c.r >= limit {
			return ErrBufferFull
		}
		return nil
	}
	return c.grow()
}

// space is where the next read goes.
func (c *conn) space() []byte {
	space := c.buf.b[c.w:]
	if c.most > 0 && c.most < len(space) {
		return space[:c.most]
	}
	return space
}

// Spare gives an empty buffer back: nothing is read for a while.
func (c *conn) Spare() {
	if c.buf != nil && c.r == c.w {
		c.buf.put()
		c.buf, c.r, c.w = nil, 0, 0
	}
}

// AtMost bounds the reads that follow.
func (c *conn) AtMost(n int) { c.most = n }

// grow moves a full buffer's bytes (r is 0) to one of the next class.
func (c *conn) grow() error {
	class := c.buf.class + 1
	if class == len(bufferClasses) || c.w >= c.endpoint.group.cfg.MaxBuffer {
		return ErrBufferFull
	}
	larger := getBuffer(class)
	copy(larger.b, c.buf.b[:c.w])
	c.buf.put()
	c.buf = larger
	return nil
}

// retry says whether an operation is to be tried again: it met a lazy deadline
// that was not yet due. An abort that came before the new deadline was armed
// has closed the connection, so that the next try sees it.
func (c *conn) retry(d *lazyDeadline, side deadliner, err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && !d.expired(side)
}

// fail tells an abort from what it did to the connection.
func (c *conn) fail(err error) error {
	if err != nil && c.state.Load()&aborted != 0 {
		return ErrAborted
	}
	return err
}

func (c *conn) SetReadDeadline(t time.Time) error {
	if c.poller != nil {
		c.reads.set(t)
		return nil
	}
	return c.rd.set(readSide{c}, t)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	if c.poller != nil {
		c.until.Store(sinceEpoch(t))
		c.roomy()
		return nil
	}
	if c.probe != nil {
		return c.wd.force(writeSide{c}, t)
	}
	return c.wd.set(writeSide{c}, t)
}

func (c *conn) NetConn() net.Conn {
	c.broken.Store(true)
	if c.poller != nil {
		c.giveBack()
	} else {
		c.rd.drop(readSide{c}, false)
		c.wd.drop(writeSide{c}, false)
	}
	if c.buf != nil && c.r == c.w { // a tunnel may be quiet for long
		c.buf.put()
		c.buf = nil
	}
	return c.nc
}

// Abort closes the transport, not TLS: an alert could block behind a full send
// buffer. One that a poller waits for is closed by Release.
func (c *conn) Abort() {
	for {
		s := c.state.Load()
		if s&inUse == 0 || s&aborted != 0 {
			return
		}
		if !c.state.CompareAndSwap(s, s|aborted) {
			continue
		}
		if c.poller != nil {
			c.shutDown()
		} else {
			c.raw.Close()
		}
		return
	}
}

func (c *conn) Release(reusable bool) {
	e := c.endpoint
	keep := reusable && !c.broken.Load() && c.r == c.w
	if c.buf != nil {
		c.buf.put()
		c.buf, c.r, c.w = nil, 0, 0
	}
	c.filled, c.most = false, 0
	s := c.state.And(^(inUse | awaited))
	if s&inUse == 0 {
		panic("origin: exchange released twice")
	}
	e.load.Add(-1)
	if keep && s&aborted == 0 && c.park(s) && e.pool.put(c) {
		if c.poller != nil && c.state.Load()&ready != 0 {
			c.reconsider()
		}
		return
	}
	c.bury()
}

// closeIdle closes a connection nobody uses, whose place was given back; over
// TLS with an alert, which cannot block long on a connection at rest.
func (c *conn) closeIdle() {
	if c.poller != nil {
		c.closePolled()
		return
	}
	c.nc.Close()
}

// bury gives up a connection that nobody uses, and its place.
func (c *conn) bury() {
	if c.poller != nil {
		c.closePolled()
	} else {
		c.raw.Close()
	}
	c.endpoint.pool.drop()
}
