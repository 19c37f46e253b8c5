package vconn

import (
	"sync"
	"time"
)

// A deadline bounds one kind of blocked operation of one end. The pair's lock
// guards it.
//
// Setting one stores a time and no more. The runtime timer is made when an
// operation really blocks, and a timer that is early because the deadline moved
// on is left to fire and be set again: a caller that pushes its deadline before
// every read pays for no timer unless it waits.
type deadline struct {
	at    time.Time // zero: none
	timer *time.Timer
	fires time.Time // when timer will fire; zero: not running
}

func (d *deadline) passed() bool {
	return !d.at.IsZero() && !time.Now().Before(d.at)
}

// arm makes sure that cond is woken at the deadline. It is called, with the
// lock held, by an operation about to wait.
func (d *deadline) arm(cond *sync.Cond) {
	if d.at.IsZero() || (!d.fires.IsZero() && !d.fires.After(d.at)) {
		return
	}
	d.fires = d.at
	wait := time.Until(d.at)
	if d.timer != nil {
		d.timer.Reset(wait)
		return
	}
	d.timer = time.AfterFunc(wait, func() {
		cond.L.Lock()
		d.fires = time.Time{}
		cond.L.Unlock()
		// Those who still wait look at the deadline and arm it again.
		cond.Broadcast()
	})
}

// stop forgets the deadline of an end that has closed.
func (d *deadline) stop() {
	d.at = time.Time{}
	if d.timer != nil {
		d.timer.Stop()
		d.fires = time.Time{}
	}
}

// SetDeadline sets both deadlines, as SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

// SetReadDeadline sets when a blocked or future Read fails with
// os.ErrDeadlineExceeded; the zero time means never. A time in the past fails
// reads at once, even of bytes that wait. It returns an error that matches
// net.ErrClosed when this end is closed.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

// SetWriteDeadline is SetReadDeadline for Write. A Write that fails so may have
// written a part, which its result tells and the peer will read.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	c.pair.mu.Lock()
	if c.closed {
		c.pair.mu.Unlock()
		return errSetClosed
	}
	if read {
		c.in.readBy.at = t
	}
	if write {
		c.out.writeBy.at = t
	}
	c.pair.mu.Unlock()
	// A waiting operation armed its timer for the old time, or none.
	if read {
		c.in.cond.Broadcast()
	}
	if write {
		c.out.cond.Broadcast()
	}
	return nil
}
