//go:build linux && !386 && !s390x

package netio

import "sync"

// Between Gather and Flush a conn keeps what is written, and Flush writes it all
// at once: crypto/tls writes each record by itself, and a batch is several. Other
// goroutines may write meanwhile: the order of writes is kept.
//
// TryGather and TryFlush are for who must not wait. Between them no Write waits,
// for the network or for another one that does, not even beneath crypto/tls: what
// that writes of its own, in a Read, is kept like everything else.

// gathered are the buffers: a connection has one between Gather and Flush only.
var gathered = sync.Pool{New: func() any { return new([]byte) }}

// maxGathered is the largest buffer worth keeping.
const maxGathered = 256 << 10

// Gather begins to keep what is written. Flush must follow, in any case.
func (c *conn) Gather() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.gather = gathered.Get().(*[]byte)
}

// TryGather is Gather for who must not wait. It is false, and has done nothing,
// while somebody writes.
func (c *conn) TryGather() bool {
	if !c.out.mu.TryLock() {
		return false
	}
	defer c.out.mu.Unlock()
	if c.gather != nil {
		return false
	}
	c.gather = gathered.Get().(*[]byte)
	return true
}

// Flush writes what was kept since Gather. It returns how much that was, and how
// much of it was written: all, if err is nil.
func (c *conn) Flush() (kept, written int, err error) {
	if c.d != nil {
		return c.flushPolled()
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	kept = len(*c.gather)
	if kept > 0 {
		written, err = c.write(*c.gather)
	}
	c.endGather()
	return kept, written, err
}

// flushPolled is Flush to a descriptor. It does not hold out.mu while it waits: what
// TLS writes meanwhile is kept behind what is there.
func (c *conn) flushPolled() (kept, written int, err error) {
	for {
		all, n, over, err := c.flushSome()
		written += n
		if over || err != nil {
			return written - n + all, written, err
		}
		if err = c.d.awaitRoom(); err != nil {
			err = c.opError("write", err)
			c.out.mu.Lock()
			kept = written + len(*c.gather)
			c.endGather()
			c.out.mu.Unlock()
			return kept, written, err
		}
	}
}

// flushSome writes what the socket takes of all that is kept; over: all of it, or
// it failed, and what is written goes through again.
func (c *conn) flushSome() (all, n int, over bool, err error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	b := *c.gather
	if all = len(b); all > 0 {
		n, err = c.writeOnce(b)
	}
	if over = n == all || err != nil; over {
		c.endGather()
	} else {
		*c.gather = b[:copy(b, b[n:])]
	}
	return all, n, over, err
}

// TryFlush is Flush without waiting: it writes what the socket takes at once.
// When that is not all, and err is nil, the connection goes on to keep the rest
// and what is written behind it, and Flush must follow, to write it.
func (c *conn) TryFlush() (kept, written int, err error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	b := *c.gather
	kept = len(b)
	if kept > 0 {
		written, err = c.writeOnce(b)
	}
	if written < kept && err == nil {
		*c.gather = b[:copy(b, b[written:])]
		return kept, written, nil
	}
	c.endGather()
	return kept, written, err
}

// endGather writes through again. With out.mu held.
func (c *conn) endGather() {
	buf := c.gather
	c.gather = nil
	if cap(*buf) <= maxGathered {
		*buf = (*buf)[:0]
		gathered.Put(buf)
	}
}
