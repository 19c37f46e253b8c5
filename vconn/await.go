package vconn

import (
	"os"
)

// PeekWait is Peek for those who can wait: it waits until there is something to
// see. It returns the errors of Read, and os.ErrDeadlineExceeded past the read
// deadline, as that does. So a reader can use bytes where they are, and consume
// them when it is done: until then they take the writer's room.
func (c *Conn) PeekWait() ([]byte, error) {
	in := c.in()
	c.pair.mu.Lock()
	for {
		if view, err, done := c.tryPeek(); done {
			c.pair.mu.Unlock()
			return view, err
		}
		w := in.waiter(&c.pair.mu)
		w.sleep(&w.readBy)
	}
}

// tryPeek is PeekWait without the wait: done is false when it must wait.
func (c *Conn) tryPeek() (view []byte, err error, done bool) {
	switch {
	case c.pair.reset == nil && !c.closed && c.in().readLate():
		return nil, os.ErrDeadlineExceeded, true
	case c.pair.reset == nil && !c.closed && c.in().n == 0 && !c.in().over():
		return nil, nil, false
	}
	view, err = c.peek()
	return view, err, true
}
