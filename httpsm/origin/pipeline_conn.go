package origin

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/h2gw/h2gw/internal/netio"
)

// Why a shared connection takes no more requests; bits of pipeline.shut.
const (
	shutOver  uint32 = 1 << iota // it ends, or is to end
	shutSlow                     // a request on it has waited for long
	shutLarge                    // a large response passes
	shutFull                     // it does not take what is written to it
	shutAged                     // the origin is expected to end it with a response that is outstanding
)

// A pipeline is one shared connection. Requests are collected and written in
// batches (pipeline_write.go); what comes is read, and each exchange in turn goes
// on with it (pipeline_steps.go). A plain connection has no goroutine for either:
// pollers do both, in whose rounds the requests come, and the responses.
//
// The bytes read belong to the exchange whose turn it is, the holder, from the
// moment that it is resumed until it waits again or is released; while there is
// a holder nothing is read.
type pipeline struct {
	s    *pipelines
	x    *conn // the connection itself
	info Info

	fills chan struct{}                   // tells the filler to read; nil: a poller waits for the connection
	round netio.Round                     // of who advances outside a poller's
	bound struct{ write, advance func() } // bound once: binding allocates

	taken atomic.Int32  // exchanges that exist
	shut  atomic.Uint32 // no more are taken while not 0

	mu        sync.Mutex // guards what follows
	advancing bool       // somebody takes steps
	kicked    bool       // a goroutine is about to
	awaits    bool       // more is waited for: what reads is not ours until then
	asked     *turn      // the first, as that began
	writing   bool       // somebody writes, or is about to

	// Written requests have numbers from 1. Those done have been answered; those
	// sent have been handed to the connection.
	ring               []*turn // of request n at (n-1)%len
	queued, sent, done uint64
	heard              uint64 // sent, when the last bytes were read
	out, spare         []byte // requests not sent yet; the other buffer
	holder             *turn  // who uses the bytes read
	last               bool   // the present response is the last
	passed             bool   // ... and those behind are to learn it
	err                error  // the connection has ended
	told               bool   // ... and everybody knows
	closed             bool   // ... and it is closed

	idleSince time.Time
	idleAt    uint64 // done, when last looked at
	count     pipelineCounts
}

func newPipeline(s *pipelines, x *conn) *pipeline {
	p := &pipeline{s: s, x: x, info: x.Info(), ring: make([]*turn, s.depth)}
	p.info.Reused = true
	p.info.ConnectStart, p.info.ConnectEnd = time.Time{}, time.Time{}
	p.bound.write, p.bound.advance = p.write, p.advance
	x.written = true // what comes before the first request is ours to find
	if x.poller == nil {
		p.fills = make(chan struct{}, 1)
	}
	return p
}

// begin has the connection read from now on.
func (p *pipeline) begin() {
	if p.fills != nil {
		go p.fill()
	}
	p.mu.Lock()
	p.kickLocked()
	p.mu.Unlock()
}

// of says whether the poller of lane waits for the connection, or none does.
func (p *pipeline) of(lane int) bool { return p.fills != nil || p.x.lane == lane }

// take reserves room for one request.
func (p *pipeline) take(depth int32) bool {
	if p.shut.Load() != 0 || p.taken.Load() >= depth {
		return false
	}
	if p.taken.Add(1) <= depth && p.shut.Load()&shutOver == 0 {
		return true
	}
	p.untake()
	return false
}

func (p *pipeline) untake() {
	if p.taken.Add(-1) == 0 && p.shut.Load()&shutOver != 0 {
		p.retire()
	}
}

// retire ends the connection when nobody uses it, now or later.
func (p *pipeline) retire() {
	p.shut.Or(shutOver)
	if p.taken.Load() == 0 {
		p.mu.Lock()
		p.endLocked(errUnused)
		p.mu.Unlock()
	}
}

// endLocked ends the connection. Everybody is told in steps.
func (p *pipeline) endLocked(err error) {
	if p.err != nil {
		return
	}
	p.err = err
	switch {
	case err == ErrStray:
		p.s.pauseFor(strayPause)
	case err != errUnused && p.done < uint64(len(p.ring)):
		p.s.pauseFor(brokenPause)
	}
	p.shut.Or(shutOver)
	p.x.Abort()
	p.kickLocked()
}

// closeLocked ends everything: nobody uses the connection any more.
func (p *pipeline) closeLocked() {
	p.closed = true
	p.mu.Unlock()
	p.s.remove(p)
	if p.fills != nil {
		close(p.fills)
	}
	p.drop()
	p.mu.Lock()
}

// drop gives the connection back, closed.
func (p *pipeline) drop() {
	p.s.e.load.Add(1) // which Release takes away, but no request was counted
	p.x.Release(false)
}

// age looks at all exchanges as a tick has passed, and at the connection's own
// idle time.
func (p *pipeline) age(now uint32, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	if p.taken.Load() == 0 {
		p.idleLocked(at)
		return
	}
	p.idleSince = time.Time{}
	first := p.firstLocked()
	if first != nil && first.standing(now).slow() {
		p.shut.Or(shutSlow)
	} else {
		p.shut.And(^shutSlow)
	}
	p.wakeLocked(p.done+1, func(t *turn) bool {
		if t.fault == nil && t.standing(now).stuck() {
			t.fault = ErrBehind
		}
		return t.fault != nil || t.expired(at)
	})
}

// idleLocked ends a connection unused for three quarters of IdleTimeout.
func (p *pipeline) idleLocked(at time.Time) {
	p.shut.And(^shutSlow)
	if p.idleSince.IsZero() || p.idleAt != p.done {
		p.idleSince, p.idleAt = at, p.done
		return
	}
	idle := p.s.e.group.cfg.IdleTimeout
	if at.Sub(p.idleSince) < idle-idle/idleTicks {
		return
	}
	p.shut.Or(shutOver)
	if p.taken.Load() == 0 { // else whoever took it ends it
		p.endLocked(errUnused)
	}
}

func (p *pipeline) counts() pipelineCounts {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count.requests = p.queued
	return p.count
}
