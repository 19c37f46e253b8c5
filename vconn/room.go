package vconn

// AwaitDrained waits until at most most bytes that this end wrote are unread. So
// a writer can wait before it has anything to write, and holds nothing meanwhile.
// It fails as Write does. Others must not write at the same time.
func (c *Conn) AwaitDrained(most int) (err error) {
	out := c.out()
	c.pair.mu.Lock()
	for {
		if err = c.writeErr(); err != nil || out.n <= most {
			break
		}
		out.need = max(1, out.bound-most)
		if tell, obs, set := c.peer().claim(); tell {
			c.pair.mu.Unlock()
			c.peer().deliver(obs, set, nil)
			c.pair.mu.Lock()
			continue
		}
		w := out.waiter(&c.pair.mu)
		w.sleep(&w.writeBy)
	}
	out.need = 0
	c.pair.unlockAndTell(nil)
	return err
}

// TryWriteParts is TryWrite of two pieces, which are copied from where they are:
// the peer sees them as one write. n counts both; later is for the peer's
// observer, nil: none.
func (c *Conn) TryWriteParts(first, second []byte, later Later) (n int, err error) {
	c.pair.mu.Lock()
	if err = c.writeErr(); err == nil && !c.out().writing {
		if n = c.put(first); n == len(first) {
			n += c.put(second)
		}
	}
	c.pair.unlockAndTell(later)
	return n, err
}

// Ahead returns how many bytes that this end wrote are not read yet, and how many
// TryWrite takes now, unless it fails.
func (c *Conn) Ahead() (unread, room int) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	return c.out().n, c.out().room()
}
