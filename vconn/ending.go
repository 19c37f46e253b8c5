package vconn

// Ending is Unread and ResetCause in one, for who wants to know how a connection
// ended.
func (c *Conn) Ending() (unread int, cause *ResetError, byPeer bool) {
	p := c.pair
	p.mu.Lock()
	unread, cause, byPeer = c.out().unread, p.reset, p.reset != nil && p.resetBy != c.side
	p.mu.Unlock()
	return unread, cause, byPeer
}

// DiscardLeft is Discard, and returns how many bytes are left in the incoming
// direction.
func (c *Conn) DiscardLeft(n int) (left int) {
	in := c.in()
	c.pair.mu.Lock()
	c.used(n)
	w := in.wanted()
	left = in.n
	c.pair.unlockAndTell(nil)
	w.wake()
	return left
}
