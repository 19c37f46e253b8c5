package origin

import "runtime"

// Requests on a shared connection are collected, and written together. There is
// always one at most who writes or is about to, and takes with him what is there
// when he does: pipeline.writing.
//
//	who                                        when
//	the poller whose round it is (Flush)       at the end of the round in which the first of them
//	                                           was added; what the socket does not take at once
//	                                           goes to the next
//	a goroutine of its own (write)             after others that can run have run, where there is
//	                                           no round, or the connection has no poller

// TryWriteLater is Shared's.
func (t *turn) TryWriteLater(b []byte, later Later) (int, error) {
	p := t.p
	p.mu.Lock()
	n, err := t.writeLocked(b)
	first := err == nil && !p.writing
	if first {
		p.writing = true
	}
	p.mu.Unlock()
	switch {
	case !first:
	case later != nil && p.fills == nil:
		later.Later(p)
	default:
		go p.bound.write()
	}
	return n, err
}

// TryWrite hands the request to who writes next.
func (t *turn) TryWrite(b []byte) (int, error) { return t.TryWriteLater(b, nil) }

// Write is TryWrite: collecting never blocks.
func (t *turn) Write(b []byte) (int, error) { return t.TryWriteLater(b, nil) }

func (t *turn) writeLocked(b []byte) (int, error) {
	p := t.p
	switch {
	case t.aborted:
		return 0, ErrAborted
	case t.number != 0:
		return 0, errTwoWrites
	case p.err != nil || p.last:
		return 0, ErrBroken
	}
	now := p.s.ticks.Load()
	t.waited = p.done != p.queued
	p.queued++
	t.number, t.written, t.first = p.queued, now, now
	p.ring[(t.number-1)%uint64(len(p.ring))] = t
	if l := p.s.lifetime.Load(); l != 0 && t.number >= l {
		p.shut.Or(shutAged)
	}
	p.out = append(p.out, b...)
	if len(p.out) >= maxUnwritten {
		p.shut.Or(shutFull)
	}
	return len(b), nil
}

// Flush is for who was told of it in TryWriteLater: it writes without waiting.
func (p *pipeline) Flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.err == nil && len(p.out) > 0 {
		batch := p.takeBatchLocked()
		p.mu.Unlock()
		n, err := p.x.TryWrite(batch)
		p.mu.Lock()
		if err == nil && n < len(batch) {
			go p.writeFrom(batch, n)
			return
		}
		p.wroteLocked(batch, err)
	}
	p.wroteAllLocked()
}

// write writes as long as there is something, and waits where it must.
func (p *pipeline) write() { p.writeFrom(nil, 0) }

// writeFrom is write; of batch n bytes are written.
func (p *pipeline) writeFrom(batch []byte, n int) {
	for {
		if batch != nil {
			_, err := p.x.Write(batch[n:])
			p.mu.Lock()
			p.wroteLocked(batch, err)
			p.mu.Unlock()
		}
		// Others that are about to add a request get to do so first.
		runtime.Gosched()
		p.mu.Lock()
		if p.err != nil || len(p.out) == 0 {
			p.wroteAllLocked()
			p.mu.Unlock()
			return
		}
		batch, n = p.takeBatchLocked(), 0
		p.mu.Unlock()
	}
}

// takeBatchLocked is what the caller is to write.
func (p *pipeline) takeBatchLocked() []byte {
	batch := p.out
	p.out, p.sent = p.spare[:0], p.queued
	p.spare = nil
	p.count.batches++
	return batch
}

// wroteLocked notes that a batch is written, or cannot be.
func (p *pipeline) wroteLocked(batch []byte, err error) {
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

// wroteAllLocked ends the writing: who adds the next request sees to it.
func (p *pipeline) wroteAllLocked() {
	p.writing = false
	p.kickLocked() // the connection may only have waited for that to be closed
}
