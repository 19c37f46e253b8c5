package vconn

// TryWriteCloseParts is TryWriteClose of two pieces, which are copied from where
// they are: the peer sees them as one write, in one piece if the direction was
// empty. n counts both.
func (c *Conn) TryWriteCloseParts(first, second []byte, later Later) (n int, err error) {
	c.pair.mu.Lock()
	err = c.writeErr()
	if out := c.out(); err == nil && !out.writing {
		out.reserve(len(first) + len(second))
		if n = c.put(first); n == len(first) {
			n += c.put(second)
		}
	}
	var a, b *waiter
	if err == nil && n == len(first)+len(second) {
		c.shut()
		a, b = c.pair.waiters()
	}
	c.pair.unlockAndTell(later)
	a.wake()
	b.wake()
	return n, err
}

// reserve has the next n bytes, as far as they fit, lie in one piece, if b is
// empty and they are not more than the largest chunk holds.
func (b *buffer) reserve(n int) {
	if n = min(n, b.room()); b.tail == nil && n > 0 {
		b.grow(n)
	}
}
