//go:build linux && !386 && !s390x

package netio

import "sync"

// Between Gather and Flush a conn keeps what is written, and Flush writes it all
// at once: crypto/tls writes each record by itself, and a batch is several. Other
// goroutines may write meanwhile: the order of writes is kept.

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

// Flush writes what was kept since Gather. It returns how much that was, and how
// much of it was written: all, if err is nil.
func (c *conn) Flush() (kept, written int, err error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	buf := c.gather
	c.gather = nil
	kept = len(*buf)
	if kept > 0 {
		written, err = c.write(*buf)
	}
	if cap(*buf) <= maxGathered {
		*buf = (*buf)[:0]
		gathered.Put(buf)
	}
	return kept, written, err
}
