package origin

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A turn is one request's use of a shared connection.
type turn struct {
	p        *pipeline
	deadline atomic.Int64  // of reading, Unix nanoseconds; 0: none
	set      atomic.Uint32 // tick at which it was set

	holds bool // the bytes read are its own; of its owner, and who takes steps when it waits
	got   int  // bytes of the response discarded; of its owner

	// Guarded by p.mu.
	number    uint64    // 0: not written
	written   uint32    // tick
	first     uint32    // tick at which it became first
	waited    bool      // others were in front when it was written
	waits     bool      // for more than seen bytes
	seen      int       // of what is buffered
	resumer   Resumer   // who waits; nil: Fill does
	wake      sync.Cond // of Fill
	aborted   bool
	abandoned bool
	fault     error // what Fill returns from now on
}

var _ Shared = (*turn)(nil)

var turns = sync.Pool{New: func() any { return new(turn) }}

// turn returns an exchange in room that take has reserved.
func (p *pipeline) turn() *turn {
	t := turns.Get().(*turn)
	t.p, t.wake.L = p, &p.mu
	return t
}

var errTwoWrites = errors.New("origin: a second Write on a shared exchange: want the whole request in one")

func (t *turn) Buffered() []byte {
	if !t.holds {
		return nil
	}
	return t.p.x.Buffered()
}

func (t *turn) Discard(n int) {
	switch {
	case t.holds:
		t.p.x.Discard(n)
	case n != 0:
		panic("origin: Discard of more than is buffered")
	}
	before := t.got
	if t.got += n; before <= largeResponse && t.got > largeResponse {
		t.p.shut.Or(shutLarge)
	}
}

func (t *turn) Await(r Resumer) bool {
	p := t.p
	p.mu.Lock()
	t.awaitLocked(r)
	p.kickLocked()
	p.mu.Unlock()
	return true
}

func (t *turn) Abandon(r Resumer) {
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if !t.abandoned {
		t.abandoned = true
		p.count.abandoned++
		p.s.abandoned.Add(1)
	}
	t.aborted, t.fault = false, nil
	t.awaitLocked(r)
	t.seen = 0 // by r
	p.kickLocked()
}

// awaitLocked gives up what is buffered. What there is to see already is seen on
// another goroutine: this one may hold locks that Resume needs.
func (t *turn) awaitLocked(r Resumer) {
	t.waitLocked()
	if t.stateLocked() != nil {
		t.waits = false
		go r.Resume(nil)
		return
	}
	t.resumer = r
}

// waitLocked makes the exchange one that waits for more than it has seen, which
// may make a step possible.
func (t *turn) waitLocked() {
	p := t.p
	t.seen = len(t.Buffered())
	t.waits, t.holds = true, false
	if p.holder == t {
		p.holder = nil
	}
}

// wakeLocked ends the wait. It returns who is to be resumed, nil if that is a
// Fill.
func (t *turn) wakeLocked() Resumer {
	r := t.resumer
	t.waits, t.resumer = false, nil
	if r == nil {
		t.wake.Signal()
	}
	return r
}

// Fill waits until more is there, or something has gone wrong. If it is the first
// it reads what has arrived itself.
func (t *turn) Fill() error {
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	had := len(t.Buffered())
	for {
		if err := t.stateLocked(); err != nil {
			return err
		}
		if len(t.Buffered()) > had {
			return nil
		}
		if t.expired(time.Now()) {
			return os.ErrDeadlineExceeded
		}
		t.waitLocked()
		p.advanceLocked(nil)
		for t.waits {
			t.wake.Wait()
		}
	}
}

// stateLocked is what reading comes to: nil as long as it may go on.
func (t *turn) stateLocked() error {
	p := t.p
	switch {
	case t.aborted:
		return ErrAborted
	case t.fault != nil:
		return t.fault
	case p.last && t.number != p.done+1:
		return ErrLast
	case p.err == nil:
		return nil
	case p.err == ErrStray:
		return ErrStray
	case t.got > 0 || t.seen > 0 || len(t.Buffered()) > 0: // it was being answered
		return p.err
	}
	return ErrBroken
}

// standing is where the request is at tick now.
func (t *turn) standing(now uint32) standing {
	return standing{
		age: now - t.written, first: t.number == t.p.done+1, firstFor: now - t.first, waited: t.waited,
		heard: t.p.holder == t || t.got > 0 || t.seen > 0, abandoned: t.abandoned,
	}
}

// expired: the read deadline has passed.
func (t *turn) expired(now time.Time) bool {
	d := t.deadline.Load()
	return d != 0 && now.UnixNano() >= d
}

func (t *turn) SetReadDeadline(at time.Time) error {
	p := t.p
	if at.IsZero() {
		t.deadline.Store(0)
		return nil
	}
	t.set.Store(p.s.ticks.Load())
	d := at.UnixNano()
	t.deadline.Store(d)
	if d <= p.s.now.Load() { // has passed: somebody wants Fill to return now
		p.mu.Lock()
		t.interruptLocked()
		p.mu.Unlock()
	}
	return nil
}

// SetWriteDeadline has nothing to bound: Write does not wait.
func (t *turn) SetWriteDeadline(time.Time) error { return nil }

func (t *turn) Behind() bool {
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	return t.number != t.p.done+1 || int32(t.first-t.set.Load()) > 0
}

func (t *turn) Last() {
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut.Or(shutOver)
	p.last, p.passed = true, true
	if t.number >= uint64(len(p.ring)) { // else it is no bound but a mood
		p.s.lifetime.Store(t.number)
	}
	p.kickLocked()
}

// Abort ends the exchange, not the connection. The caller may hold locks that
// Resume needs.
func (t *turn) Abort() {
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	t.aborted = true
	t.interruptLocked()
}

func (t *turn) interruptLocked() {
	if t.waits {
		if r := t.wakeLocked(); r != nil {
			go r.Resume(nil)
		}
	}
}

func (t *turn) Release(reusable bool) {
	p := t.p
	if p == nil {
		panic("origin: exchange released twice")
	}
	p.mu.Lock()
	switch {
	case t.number == 0 || p.err != nil:
	case t.number != p.done+1 && p.last: // it will not be answered
	case reusable && p.holder == t && !p.last:
		p.done++
		if next := p.firstLocked(); next != nil {
			next.first = p.s.ticks.Load()
		}
		if t.got > largeResponse {
			p.shut.And(^shutLarge)
		}
		if l := p.s.lifetime.Load(); l != 0 && t.number >= l { // it lives on
			p.s.lifetime.CompareAndSwap(l, 0)
			p.shut.And(^shutAged)
		}
	default:
		p.endLocked(ErrBroken)
	}
	if t.number != 0 {
		p.ring[(t.number-1)%uint64(len(p.ring))] = nil
	}
	if p.holder == t {
		p.holder = nil
	}
	p.kickLocked()
	p.mu.Unlock()
	if t.abandoned {
		p.s.abandoned.Add(-1)
	}
	t.reset()
	p.s.e.load.Add(-1)
	p.untake()
}

// reset makes t ready for the pool.
func (t *turn) reset() {
	t.p, t.holds, t.got = nil, false, 0
	t.deadline.Store(0)
	t.set.Store(0)
	t.number, t.written, t.first, t.waited = 0, 0, 0, false
	t.waits, t.seen, t.resumer = false, 0, nil
	t.aborted, t.abandoned, t.fault = false, false, nil
	turns.Put(t)
}

// Info describes the connection. The first request on it is the only one that
// does not reuse it.
func (t *turn) Info() Info { return t.p.info }

// NetConn: a shared connection cannot become anybody's tunnel.
func (t *turn) NetConn() net.Conn {
	t.p.mu.Lock()
	t.p.endLocked(ErrBroken)
	t.p.mu.Unlock()
	return closedConn()
}
