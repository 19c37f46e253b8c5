package vconn

// CloseWrite ends the outgoing direction: the peer drains what was written, then
// reads io.EOF. A Write of this end that waits for room fails with
// ErrPeerClosed. Calling it again does nothing. It fails on a closed end.
func (c *Conn) CloseWrite() error {
	p, out := c.pair, c.out()
	p.mu.Lock()
	if err := c.shutErr(); err != nil {
		p.mu.Unlock()
		return err
	}
	if !out.ended {
		out.ended = true
		c.peer().postReadable(OnReadable)
	}
	w := out.wait
	p.unlockAndTell(nil)
	w.wake()
	return nil
}

// CloseRead gives up the incoming direction: what is buffered is discarded,
// reads return io.EOF, and the peer's writes fail with ErrPeerClosed. Calling it
// again does nothing. It fails on a closed end.
func (c *Conn) CloseRead() error {
	p, in := c.pair, c.in()
	p.mu.Lock()
	if err := c.shutErr(); err != nil {
		p.mu.Unlock()
		return err
	}
	c.refuse()
	w := in.wait
	p.unlockAndTell(nil)
	w.wake()
	return nil
}

func (c *Conn) shutErr() error {
	switch {
	case c.pair.reset != nil:
		return c.pair.reset
	case c.closed:
		return errShutClosed
	}
	return nil
}

// refuse ends the incoming direction from the reading side. With the lock held.
func (c *Conn) refuse() {
	c.in().refused = true
	c.peer().postConsumed(c.in().drop())
	c.in().abandon()
}

// Close closes this end: CloseWrite and CloseRead in one, after which its
// operations fail with an error that matches net.ErrClosed. The peer can still
// read what was written. Closing again, at any moment and in either order with
// the peer, does nothing. It always returns nil.
func (c *Conn) Close() error {
	c.CloseAfter(0)
	return nil
}

// CloseAfter is Discard(n) and Close in one, for a reader that has seen the end
// of what it wants: what Peek has shown counts as read as far as n goes. Like
// Close it does nothing on a closed end.
func (c *Conn) CloseAfter(n int) {
	p := c.pair
	p.mu.Lock()
	if c.closed {
		p.mu.Unlock()
		return
	}
	if n > 0 {
		c.used(n)
	}
	c.shut()
	a, b := p.waiters()
	p.unlockAndTell(nil)
	a.wake()
	b.wake()
}

// TryWriteClose is TryWrite, and when that took all of p, Close: the peer gets
// the last bytes and the end in one. Where n < len(p), the end stays open. later
// is for the peer's observer; nil: none.
func (c *Conn) TryWriteClose(p []byte, later Later) (n int, err error) {
	c.pair.mu.Lock()
	err = c.writeErr()
	if err == nil && !c.out().writing {
		n = c.put(p)
	}
	var a, b *waiter
	if err == nil && n == len(p) {
		c.shut()
		a, b = c.pair.waiters()
	}
	c.pair.unlockAndTell(later)
	a.wake()
	b.wake()
	return n, err
}

// Reset fails both directions at once for both ends, and closes this one; the
// peer must still close. code is an HTTP/2 error code (RFC 9113, section 7). The
// first code counts; a later Reset by either end only closes it. Reset is only a
// Close, too, where both directions have ended and nothing is left to read: what
// ended well is not made to fail.
//
// It returns how many bytes it discarded: in were on their way to this end, out
// were written by this end and not read by the peer.
func (c *Conn) Reset(code uint32) (in, out int) { return c.ResetFor(ReasonLeft, code) }

// ResetFor is Reset with another reason than ReasonLeft.
func (c *Conn) ResetFor(why Reason, code uint32) (in, out int) {
	p := c.pair
	p.mu.Lock()
	if p.reset == nil && !(c.in().over() && c.out().over()) {
		p.reset, p.resetBy = &ResetError{Code: code, Reason: why}, c.side
		in, out = c.in().drop(), c.out().drop()
		c.peer().postConsumed(in)
		c.peer().postReset()
	}
	if !c.closed {
		c.shut()
	}
	a, b := p.waiters()
	p.unlockAndTell(nil)
	a.wake()
	b.wake()
	return in, out
}

// shut closes this end and, when it is the second, ends the connection. With the
// lock held.
func (c *Conn) shut() {
	p := c.pair
	c.refuse()
	c.out().ended = true
	c.peer().postReadable(OnReadable | OnPeerClosed)
	c.closed = true
	c.in().stopReading()
	c.out().stopWriting()
	if !p.bothClosed() {
		return
	}
	for i := range p.toEnd {
		p.count(&p.toEnd[i])
		p.toEnd[i].letGo()
	}
	p.counters.closed.Add(1)
	// The transaction's end is told first, the stream's when that has
	// returned: whoever waits for its streams has then waited for the records
	// of their transactions too.
	p.untold = true
	if p.ends[passive].events.want&OnClosed == 0 {
		p.tellActiveClosed()
	} else {
		p.ends[passive].postClosed()
	}
}

// tellActiveClosed posts Closed to the active end, unless that was done. With
// the lock held.
func (p *pair) tellActiveClosed() {
	if p.untold {
		p.untold = false
		p.ends[active].postClosed()
	}
}

func (p *pair) bothClosed() bool { return p.ends[active].closed && p.ends[passive].closed }

// waiters returns all who wait, to be woken. With the lock held.
func (p *pair) waiters() (a, b *waiter) { return p.toEnd[active].wait, p.toEnd[passive].wait }

// Unread returns how many bytes this end wrote that were discarded without
// being read: by the peer's CloseRead or Close, or by a Reset. It is final when
// both ends are closed.
func (c *Conn) Unread() int {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	return c.out().unread
}

// PeerClosed reports whether the peer has called Close or Reset.
func (c *Conn) PeerClosed() bool {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	return c.peer().closed
}

// ResetCause returns what the connection was reset with and whether the peer did
// it; nil when it was not reset.
func (c *Conn) ResetCause() (err *ResetError, byPeer bool) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	return c.pair.reset, c.pair.reset != nil && c.pair.resetBy != c.side
}
