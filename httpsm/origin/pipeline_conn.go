package origin

import (
	"runtime"
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
// batches by its writer; its reader reads, and has each exchange in turn go on
// with what came. Both are goroutines for as long as the connection lives.
//
// The bytes read belong to the exchange whose turn it is, the holder, from the
// moment that it is resumed until it waits again or is released; while there is
// a holder nothing is read.
type pipeline struct {
	s    *pipelines
	x    Exchange // the connection itself
	info Info

	round netio.Round // of read: the transactions that it resumes

	taken atomic.Int32  // exchanges that exist
	shut  atomic.Uint32 // no more are taken while not 0

	mu     sync.Mutex // guards what follows
	reader sync.Cond  // of who reads: there is something to do
	writer sync.Cond  // of who writes

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
	wrote              bool   // the writer has ended

	idleSince time.Time
	idleAt    uint64 // done, when last looked at
	count     pipelineCounts
}

func newPipeline(s *pipelines, x Exchange) *pipeline {
	p := &pipeline{s: s, x: x, info: x.Info(), ring: make([]*turn, s.depth)}
	p.info.Reused = true
	p.info.ConnectStart, p.info.ConnectEnd = time.Time{}, time.Time{}
	p.reader.L, p.writer.L = &p.mu, &p.mu
	return p
}

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

// endLocked ends the connection. The reader tells everybody.
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
	p.reader.Signal()
	p.writer.Signal()
}

// drop gives the connection back, closed.
func (p *pipeline) drop() {
	p.s.e.load.Add(1) // which Release takes away, but no request was counted
	p.x.Release(false)
}

// write writes requests in batches until the connection ends.
func (p *pipeline) write() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(p.out) == 0 && p.err == nil {
			p.writer.Wait()
		}
		if p.err != nil {
			break
		}
		// Others that are about to add a request get to do so first.
		p.mu.Unlock()
		runtime.Gosched()
		p.mu.Lock()
		batch := p.out
		p.out, p.sent = p.spare[:0], p.queued
		p.count.batches++
		p.mu.Unlock()
		_, err := p.x.Write(batch)
		p.mu.Lock()
		if p.spare = batch; cap(batch) > 2*maxUnwritten {
			p.spare = nil
		}
		if len(p.out) < maxUnwritten {
			p.shut.And(^shutFull)
		}
		if err != nil {
			p.endLocked(err)
		}
	}
	p.wrote = true
	p.reader.Signal()
}

// read reads, and passes turns on, until the connection ends.
func (p *pipeline) read() {
	p.mu.Lock()
	for p.err == nil {
		if p.passed {
			p.passLocked()
			continue
		}
		t := p.firstLocked()
		switch {
		case p.holder != nil:
			if p.roundOverLocked() {
				p.reader.Wait()
			}
		case p.strayLocked():
			p.count.stray++
			p.endLocked(ErrStray)
		case t == nil, t.waits && t.seen == len(p.x.Buffered()):
			if p.roundOverLocked() {
				p.fillLocked()
			}
		case !t.waits: // it is still on its way here
			if p.roundOverLocked() {
				p.reader.Wait()
			}
		default:
			p.resumeLocked(t)
		}
	}
	p.roundOverLocked()
	p.tellLocked()
	for p.holder != nil || !p.wrote {
		p.reader.Wait()
	}
	p.mu.Unlock()
	p.s.remove(p)
	p.drop()
}

// firstLocked is the exchange whose response comes next; nil: none.
func (p *pipeline) firstLocked() *turn {
	if p.done == p.queued {
		return nil
	}
	return p.ring[p.done%uint64(len(p.ring))]
}

// strayLocked: there are bytes that were here before the request whose turn it
// is was sent. They cannot be its response.
func (p *pipeline) strayLocked() bool {
	return len(p.x.Buffered()) > 0 && p.heard <= p.done
}

// fillLocked reads once. What comes is for the first exchange.
func (p *pipeline) fillLocked() {
	before := p.firstLocked()
	p.mu.Unlock()
	err := p.x.Fill()
	p.mu.Lock()
	p.heard = p.sent
	switch t := p.firstLocked(); {
	case err == nil:
	case err == ErrBufferFull && t != nil && t == before:
		t.fault = err
		if t.waits {
			p.resumeLocked(t)
		}
	default:
		p.endLocked(err)
	}
}

// resumeLocked makes t the holder and has it go on.
func (p *pipeline) resumeLocked(t *turn) {
	p.holder, t.holds = t, true
	if r := t.wakeLocked(); r != nil {
		p.mu.Unlock()
		r.Resume(&p.round)
		p.mu.Lock()
	}
}

// roundOverLocked is called before the reader waits: what those it has resumed
// have left for later is done now. It is false if there was something, since the
// lock was let go of then.
func (p *pipeline) roundOverLocked() bool {
	if p.round.Empty() {
		return true
	}
	p.mu.Unlock()
	p.round.End()
	p.mu.Lock()
	return false
}

// passLocked tells those behind the last response that theirs will not come.
func (p *pipeline) passLocked() {
	p.passed = false
	p.wakeLocked(p.done+2, func(*turn) bool { return true })
}

// tellLocked tells everybody that the connection has ended.
func (p *pipeline) tellLocked() {
	p.wakeLocked(p.done+1, func(*turn) bool { return true })
}

// wakeLocked has those go on, of requests from number on, that wait and that
// choose chooses. It lets go of the lock meanwhile: with it held again nothing
// is as it was.
func (p *pipeline) wakeLocked(from uint64, choose func(*turn) bool) {
	var list [MaxPipeline]Resumer
	woken := list[:0]
	for n := from; n <= p.queued; n++ {
		if t := p.ring[(n-1)%uint64(len(p.ring))]; t != nil && choose(t) && t.waits {
			if r := t.wakeLocked(); r != nil {
				woken = append(woken, r)
			}
		}
	}
	if len(woken) == 0 {
		return
	}
	p.mu.Unlock()
	for _, r := range woken {
		r.Resume(nil)
	}
	p.mu.Lock()
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
