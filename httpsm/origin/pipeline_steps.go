package origin

// What comes on a shared connection is passed on in steps, each of which follows
// from what holds: there is something to be resumed, or nothing is left and more
// is to be read. Who makes a step possible takes it and those that follow, in a
// row, one goroutine at a time: the poller that has received something, which
// does most of it, for the transactions resumed go on within its round; who waits
// in Fill, for himself; or, where the caller may hold locks that a transaction
// needs, a goroutine made for it. Whoever finds that somebody takes steps leaves
// the rest to him: he looks once more, with the lock held, before he leaves.
//
// So while nobody takes steps there is none to be taken, and none waits but for
// the origin, which is the poller's doing. Where no poller waits for the
// connection, the filler does: a goroutine that reads when it is told to.

// A step is what comes next on a shared connection.
type step uint8

const (
	stepNone   step = iota
	stepResume      // the first exchange goes on with what is there
	stepFill        // more is read
	stepPass        // those behind the last response learn that it is the last
	stepStray       // there are bytes that belong to nobody
	stepTell        // everybody learns that the connection has ended
	stepClose       // nobody uses it any more
)

// nextLocked is the step that comes next. While somebody holds the bytes read, or
// more are waited for, nobody else may look at them.
func (p *pipeline) nextLocked() step {
	t := p.firstLocked()
	switch {
	case p.err != nil && !p.told:
		return stepTell
	case p.err != nil:
		if p.closed || p.holder != nil || p.awaits || p.writing {
			return stepNone
		}
		return stepClose
	case p.passed:
		return stepPass
	case p.holder != nil || p.awaits:
		return stepNone
	case p.strayLocked():
		return stepStray
	case t == nil:
		return stepFill
	case !t.waits: // it is still on its way here
		return stepNone
	case t.seen == len(p.x.Buffered()) && t.fault == nil:
		return stepFill
	}
	return stepResume
}

// advanceLocked takes steps as long as there are any, if nobody does. later is
// for those that are resumed; nil: what they leave for later is done here. The
// lock is let go of meanwhile.
func (p *pipeline) advanceLocked(later Later) {
	if p.advancing {
		return
	}
	p.advancing = true
	own := later == nil
	if own {
		later = &p.round
	}
	for {
		s := p.nextLocked()
		switch {
		case s != stepNone:
			p.takeStepLocked(s, later)
		case own && !p.round.Empty():
			p.mu.Unlock()
			p.round.End()
			p.mu.Lock()
		default:
			p.advancing = false
			return
		}
	}
}

func (p *pipeline) takeStepLocked(s step, later Later) {
	switch s {
	case stepResume:
		p.resumeLocked(p.firstLocked(), later)
	case stepFill:
		p.fillLocked()
	case stepPass:
		p.passed = false
		p.wakeLocked(p.done+2, func(*turn) bool { return true })
	case stepStray:
		p.count.stray++
		p.endLocked(ErrStray)
	case stepTell:
		p.told = true
		p.wakeLocked(p.done+1, func(*turn) bool { return true })
	case stepClose:
		p.closeLocked()
	}
}

// kickLocked has the steps taken that the caller has made possible. He may hold
// locks that transactions need, so only what touches none is done here.
func (p *pipeline) kickLocked() {
	for !p.advancing {
		switch s := p.nextLocked(); {
		case s == stepNone:
			return
		case s == stepFill && !p.x.arrived():
			p.awaitLocked()
		case s == stepResume && p.firstLocked().resumer == nil: // it waits in Fill
			p.resumeLocked(p.firstLocked(), nil)
		default:
			if !p.kicked {
				p.kicked = true
				go p.bound.advance()
			}
			return
		}
	}
}

// advance takes steps in a goroutine of its own.
func (p *pipeline) advance() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kicked = false
	p.advanceLocked(nil)
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
	return p.heard <= p.done && len(p.x.Buffered()) > 0
}

// resumeLocked makes t the holder and has it go on.
func (p *pipeline) resumeLocked(t *turn, later Later) {
	p.holder, t.holds = t, true
	if r := t.wakeLocked(); r != nil {
		p.mu.Unlock()
		r.Resume(later)
		p.mu.Lock()
	}
}

// fillLocked reads once, or has it be waited for. What comes is for the first
// exchange.
func (p *pipeline) fillLocked() {
	p.asked = p.firstLocked()
	if !p.x.arrived() {
		p.awaitLocked()
		return
	}
	p.mu.Unlock()
	err := p.x.fillNow()
	p.mu.Lock()
	if err == errWouldBlock {
		p.awaitLocked()
		return
	}
	p.filledLocked(err)
}

// awaitLocked leaves the reading side of the connection to the poller, or the
// filler, until either calls heardOf.
func (p *pipeline) awaitLocked() {
	p.asked, p.awaits = p.firstLocked(), true
	if p.fills != nil {
		p.fills <- struct{}{} // there is room: nothing is waited for yet
		return
	}
	p.x.Spare()
	if !p.x.Await(p) { // only when it was aborted
		p.awaits = false
		p.endLocked(ErrBroken)
	}
}

// Resume is the poller's: something has come, or the end has.
func (p *pipeline) Resume(later Later) { p.heardOf(p.x.takeFailure(), later) }

// fill is the filler. It ends when the connection is closed.
func (p *pipeline) fill() {
	for range p.fills {
		p.heardOf(p.x.Fill(), nil)
	}
}

// heardOf goes on with what was waited for.
func (p *pipeline) heardOf(err error, later Later) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaits = false
	p.filledLocked(err)
	p.advanceLocked(later)
}

// filledLocked notes what reading has come to.
func (p *pipeline) filledLocked(err error) {
	p.heard = p.sent
	switch t := p.firstLocked(); {
	case err == nil:
	case err == ErrBufferFull && t != nil && t == p.asked:
		t.fault = err
	default:
		p.endLocked(err)
	}
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
