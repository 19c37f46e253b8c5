package vconn

import (
	"sync"
	"time"
)

// A waiter is what a direction needs for those who wait on it. It is made by the
// first that waits or sets a deadline: most connections live without.
type waiter struct {
	// cond is where the reader waits for bytes and the writer for room. They
	// never wait together (a bound is at least 1), so one is enough. A wait
	// on it is durable in a testing/synctest bubble.
	cond            sync.Cond
	waiting         int // goroutines in sleep
	readBy, writeBy deadline
}

var waiterPool sync.Pool

// waiter returns h's, made if need be. With the lock held.
func (h *half) waiter(mu *sync.Mutex) *waiter {
	if h.wait == nil {
		w, ok := waiterPool.Get().(*waiter)
		if !ok {
			w = new(waiter)
		}
		w.cond.L = mu
		h.wait = w
	}
	return h.wait
}

// letGo gives the waiter of a connection back that has closed at both ends, unless
// somebody still looks at it: one that sleeps, or a timer. Who has it still to
// wake wakes another's, who finds nothing and sleeps on. With the lock held.
func (h *half) letGo() {
	w := h.wait
	if w == nil || w.waiting > 0 || w.readBy.timer != nil || w.writeBy.timer != nil {
		return
	}
	h.wait, w.cond.L = nil, nil
	waiterPool.Put(w)
}

// sleep waits, until d at the latest, to be woken. With the lock held.
func (w *waiter) sleep(d *deadline) {
	d.arm(&w.cond)
	w.waiting++
	w.cond.Wait()
	w.waiting--
}

// wake wakes all who wait. Read h.wait with the lock held; call this on it with
// or without.
func (w *waiter) wake() {
	if w != nil {
		w.cond.Broadcast()
	}
}

// stopReading and stopWriting forget the deadline of an end that has closed.
func (h *half) stopReading() {
	if h.wait != nil {
		h.wait.readBy.stop()
	}
}

func (h *half) stopWriting() {
	if h.wait != nil {
		h.wait.writeBy.stop()
	}
}

// readLate and writeLate report whether the deadline has passed.
func (h *half) readLate() bool  { return h.wait != nil && h.wait.readBy.passed() }
func (h *half) writeLate() bool { return h.wait != nil && h.wait.writeBy.passed() }

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
	p := c.pair
	p.mu.Lock()
	if c.closed {
		p.mu.Unlock()
		return errSetClosed
	}
	var readers, writers *waiter
	if read {
		readers = c.in().setReadBy(&p.mu, t)
	}
	if write {
		writers = c.out().setWriteBy(&p.mu, t)
	}
	p.mu.Unlock()
	// A waiting operation armed its timer for the old time, or none.
	readers.wake()
	writers.wake()
	return nil
}

// setReadBy and setWriteBy set a deadline and return who has to look at it.
func (h *half) setReadBy(mu *sync.Mutex, t time.Time) *waiter {
	if h.wait != nil || !t.IsZero() {
		h.waiter(mu).readBy.at = t
	}
	return h.wait
}

func (h *half) setWriteBy(mu *sync.Mutex, t time.Time) *waiter {
	if h.wait != nil || !t.IsZero() {
		h.waiter(mu).writeBy.at = t
	}
	return h.wait
}
