package origin

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// idleTicks is how many sweeps an idle connection outlives: it is closed by
// the fourth after it was put back, which is three to four quarters of
// IdleTimeout later. Counting sweeps spares a look at the clock per request.
const idleTicks = 4

// A pool keeps an endpoint's books: which connections are idle, how many exist,
// who waits. It does no I/O but closing expired connections.
//
// While all is calm a request that uses a kept connection touches only the
// shelves. Whatever needs more has calm cleared first, and then looks at the
// shelves; who puts a connection there looks at calm after that. So one of the
// two sees the other.
type pool struct {
	idle shelves
	calm atomic.Bool   // sweeping, and nothing else needs to know of a connection put back
	tick atomic.Uint32 // sweeps so far

	mu       sync.Mutex // of what follows; held for a few instructions
	open     int        // connections that exist or are being made
	waiting  list.List
	shutdown bool
	retired  bool // nothing is kept from now on
	sweeping bool // the timer is armed
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

// calmLocked finds out whether all is calm.
func (p *pool) calmLocked() {
	p.calm.Store(p.sweeping && !p.shutdown && !p.retired && p.waiting.Len() == 0)
}

// take finds the caller a connection, or a place to make one, or a place in
// the queue. With fresh, idle connections are not used.
func (p *pool) take(fresh bool, lane int) taking {
	if !fresh {
		if c, _ := p.idle.take(anyConn, lane); c != nil {
			return taking{conn: c}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.shutdown:
		return taking{closed: true}
	case p.maxOpen < 0 || p.open < p.maxOpen:
		p.open++
		return taking{place: true}
	}
	p.calm.Store(false)
	defer p.calmLocked()
	if !fresh {
		if c, _ := p.idle.take(anyConn, lane); c != nil { // put back meanwhile
			return taking{conn: c}
		}
	} else if c := p.oldest(); c != nil { // the place of one unused long
		return taking{place: true, victim: c}
	}
	w := &waiter{fresh: fresh, ready: make(chan grant, 1)}
	w.elem = p.waiting.PushBack(w)
	return taking{waiter: w}
}

// oldest takes the connection unused longest, of the first shelf that has any.
func (p *pool) oldest() *conn {
	one := true
	out := p.idle.takeOldest(func(*conn) bool { was := one; one = false; return was })
	if len(out) == 0 {
		return nil
	}
	return out[0]
}

// put keeps c, or hands it to the request that has waited longest. It returns
// false if the connection cannot be kept: the caller closes it and calls drop.
func (p *pool) put(c *conn) bool {
	if !p.calm.Load() {
		return p.settle(c)
	}
	if p.idle.len() >= p.maxIdle {
		return false
	}
	c.idleTick = p.tick.Load()
	p.idle.put(c)
	if p.calm.Load() || !p.idle.remove(c) {
		return true
	}
	return p.settle(c)
}

// settle is put, when there is more to do.
func (p *pool) settle(c *conn) bool {
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
		p.calmLocked()
		w.ready <- grant{conn: c}
		return true
	}
	if p.retired || p.idle.len() >= p.maxIdle || p.period <= 0 {
		return false
	}
	c.idleTick = p.tick.Load()
	p.idle.put(c)
	if !p.sweeping {
		p.sweeping = true
		p.armLocked()
	}
	p.calmLocked()
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
	p.calmLocked()
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
		p.calmLocked()
		return grant{}, err
	}
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
	p.sweeping = false
	p.calm.Store(false)
	now := p.tick.Add(1)
	expired := p.idle.takeOldest(func(c *conn) bool { return now-c.idleTick >= idleTicks })
	p.dropLocked(len(expired))
	if p.sweeping = p.idle.len() > 0; p.sweeping {
		p.armLocked()
	}
	p.calmLocked()
	p.mu.Unlock()
	closeIdle(expired)
}

// flushLocked takes what is idle now out of the books; the caller closes it.
func (p *pool) flushLocked() []*conn {
	p.calm.Store(false)
	flushed := p.idle.takeOldest(func(*conn) bool { return true })
	p.dropLocked(len(flushed))
	return flushed
}

// retire makes the pool keep nothing from now on; it can still be used.
func (p *pool) retire() {
	p.mu.Lock()
	p.retired = true
	flushed := p.flushLocked()
	p.mu.Unlock()
	closeIdle(flushed)
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
	flushed := p.flushLocked()
	p.mu.Unlock()
	closeIdle(flushed)
}

// counts is a snapshot; connections that come and go meanwhile may be counted as
// either.
func (p *pool) counts() (active, idle, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle = min(p.idle.len(), p.open)
	return p.open - idle, idle, p.waiting.Len()
}

func closeIdle(conns []*conn) {
	for _, c := range conns {
		c.closeIdle()
	}
}
