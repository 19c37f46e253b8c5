package origin

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"
)

// idleTicks is how many sweeps an idle connection outlives: it is closed by
// the fourth after it was put back, which is three to four quarters of
// IdleTimeout later. Counting sweeps spares a look at the clock per request.
const idleTicks = 4

// A pool keeps an endpoint's books: which connections are idle, how many exist,
// who waits. It does no I/O but closing expired connections. Its mutex guards
// everything and is held for a few instructions.
type pool struct {
	mu       sync.Mutex
	idle     []*conn // the one used last at the end
	open     int     // connections that exist or are being made
	quick    uint64  // exchanges begun without a look
	waiting  list.List
	shutdown bool
	tick     uint32 // sweeps so far
	sweeping bool   // the timer is armed
	timer    *time.Timer

	maxOpen int           // < 0: no limit
	maxIdle int           // <= 0: none kept
	period  time.Duration // between sweeps; <= 0: none kept
}

// A waiter is a request that waits for a connection or for a place to make one.
type waiter struct {
	fresh bool
	ready chan grant // holds one
	elem  *list.Element
}

// A grant is what a waiter gets: a connection, or a place (conn nil), or the
// news that the pool is closed.
type grant struct {
	conn   *conn
	closed bool
}

// A taking is what take found; exactly one of the first four is set.
type taking struct {
	conn   *conn   // an idle connection, to be checked
	place  bool    // the caller may make a connection
	waiter *waiter // the caller waits
	closed bool
	victim *conn // with place: an idle connection that made room, to be closed
}

// take finds the caller a connection, or a place to make one, or a place in
// the queue. With fresh, idle connections are not used.
func (p *pool) take(fresh bool) taking {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	switch {
	case p.shutdown:
		return taking{closed: true}
	case !fresh && n > 0:
		return taking{conn: p.popLocked()}
	case p.maxOpen < 0 || p.open < p.maxOpen:
		p.open++
		return taking{place: true}
	case n > 0: // only with fresh: the place of the one unused longest
		return taking{place: true, victim: p.shiftLocked(1)[0]}
	}
	w := &waiter{fresh: fresh, ready: make(chan grant, 1)}
	w.elem = p.waiting.PushBack(w)
	return taking{waiter: w}
}

// takeAttended returns the connection used last if there is one and it has an
// attendant, else nil. quiet: he has seen nothing, and the caller, who does not
// want to be certain of that, uses it without a look; it is counted here.
func (p *pool) takeAttended(certain bool) (c *conn, quiet bool) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 && p.idle[n-1].rc != nil && !p.shutdown {
		c = p.popLocked()
		if quiet = !certain && c.state.Load()&(ready|gone) == 0; quiet {
			p.quick++
		}
	}
	p.mu.Unlock()
	return c, quiet
}

// popLocked takes the connection used last; there is one.
func (p *pool) popLocked() *conn {
	n := len(p.idle) - 1
	c := p.idle[n]
	p.idle[n] = nil
	p.idle = p.idle[:n]
	c.pooled = false
	return c
}

// remove takes c out, whose place stays taken; false: it is not idle.
func (p *pool) remove(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.pooled {
		return false
	}
	i := slices.Index(p.idle, c)
	p.idle = slices.Delete(p.idle, i, i+1)
	c.pooled = false
	return true
}

// put keeps c, or hands it to the request that has waited longest. It returns
// false if the connection cannot be kept: the caller closes it and calls drop.
func (p *pool) put(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shutdown {
		return false
	}
	if front := p.waiting.Front(); front != nil {
		w := front.Value.(*waiter)
		if w.fresh {
			return false // drop passes the place on
		}
		p.waiting.Remove(front)
		w.ready <- grant{conn: c}
		return true
	}
	if len(p.idle) >= p.maxIdle || p.period <= 0 {
		return false
	}
	c.idleTick, c.pooled = p.tick, true
	p.idle = append(p.idle, c)
	if !p.sweeping {
		p.sweeping = true
		p.armLocked()
	}
	return true
}

// drop gives back the place of a connection that is gone or was never made.
func (p *pool) drop() {
	p.mu.Lock()
	p.dropLocked(1)
	p.mu.Unlock()
}

func (p *pool) dropLocked(n int) {
	p.open -= n
	for p.waiting.Len() > 0 && p.open < p.maxOpen {
		p.open++
		p.waiting.Remove(p.waiting.Front()).(*waiter).ready <- grant{}
	}
}

// wait waits for w's turn, at most d (d <= 0: until ctx ends).
func (p *pool) wait(ctx context.Context, w *waiter, d time.Duration) (grant, error) {
	var expired <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		expired = t.C
	}
	var err error
	select {
	case g := <-w.ready:
		return g, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-expired:
		err = errLimit
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case g := <-w.ready: // granted while we gave up: take it after all
		return g, nil
	default:
		p.waiting.Remove(w.elem)
		return grant{}, err
	}
}

// shiftLocked removes the n connections unused longest.
func (p *pool) shiftLocked(n int) []*conn {
	out := append([]*conn(nil), p.idle[:n]...)
	for _, c := range out {
		c.pooled = false
	}
	rest := copy(p.idle, p.idle[n:])
	clear(p.idle[rest:])
	p.idle = p.idle[:rest]
	return out
}

func (p *pool) armLocked() {
	if p.timer == nil {
		p.timer = time.AfterFunc(p.period, p.sweep)
		return
	}
	p.timer.Reset(p.period)
}

// sweep closes connections that have been idle too long. One timer serves all
// of an endpoint's connections, and it runs only while some are idle.
func (p *pool) sweep() {
	p.mu.Lock()
	if p.shutdown {
		p.mu.Unlock()
		return
	}
	p.tick++
	n := 0
	for n < len(p.idle) && p.tick-p.idle[n].idleTick >= idleTicks {
		n++
	}
	expired := p.shiftLocked(n)
	p.dropLocked(n)
	if p.sweeping = len(p.idle) > 0; p.sweeping {
		p.armLocked()
	}
	p.mu.Unlock()
	closeIdle(expired)
}

// flush closes what is idle now.
func (p *pool) flush() {
	p.mu.Lock()
	n := len(p.idle)
	flushed := p.shiftLocked(n)
	p.dropLocked(n)
	p.mu.Unlock()
	closeIdle(flushed)
}

// retire makes the pool keep nothing from now on; it can still be used.
func (p *pool) retire() {
	p.mu.Lock()
	p.maxIdle = 0
	p.mu.Unlock()
	p.flush()
}

// shut closes what is idle and fails who waits, now and from now on.
func (p *pool) shut() {
	p.mu.Lock()
	p.shutdown = true
	for p.waiting.Len() > 0 {
		p.waiting.Remove(p.waiting.Front()).(*waiter).ready <- grant{closed: true}
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.flush()
}

func (p *pool) counts() (active, idle, waiting int, quick uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open - len(p.idle), len(p.idle), p.waiting.Len(), p.quick
}

func closeIdle(conns []*conn) {
	for _, c := range conns {
		c.closeIdle()
	}
}
