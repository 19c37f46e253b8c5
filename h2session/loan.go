package h2session

import "time"

// Who has news for many streams at once, as a poller of origins does, leaves a
// Flush to himself as their observer (vconn.Later): the responses then go from
// the goroutine that has got them to the socket, in one batch and one write, and
// the write loop need not be woken, or be there. The right to write is lent for
// that. There is always one at most who has it, the write loop or a borrower:
//
//	who                         when
//	the write loop              it runs and is not asleep
//	who is in Flush             loan.out; the loop is asleep, or there is none
//	nobody                      else
//
// A borrower may do all that the loop does for a batch, but not wait. What comes
// up meanwhile he finds when he gives the right back: wakeWriter leaves it to
// him. What he has not written by then, because one batch was not enough or the
// socket did not take it, is the loop's: his last unlock wakes that.
//
// A Flush that is only promised is as good as the loop awake: it comes within
// microseconds, and wakeWriter leaves to it what there is.

// A loan is the right to write while it is lent, and what is left of that. It is
// guarded by Session.mu.
type loan struct {
	out  bool // somebody is in Flush
	owed bool // the gatherer has kept something, which the write loop is to flush
	left int  // bytes of the batch that is owed: not counted as written
	runs int  // loans since the write loop had something to do
}

// spareAfter is how many loans in a row show that a session can do without its
// write loop: it ends, and is made again when there is something to do for it.
const spareAfter = 16

// spared reports whether the write loop is not needed.
func (l *loan) spared() bool { return l.runs >= spareAfter }

// Flush writes what there is to be written, as far as that goes at once: one
// batch, without waiting. It is for the vconn.Later that it was left to, and safe
// at any time.
func (s *Session) Flush() {
	if s.borrow() {
		s.giveBack(s.writeLent())
	}
}

// borrow takes the right to write if there is something to write, and nobody has
// it or is about to. Otherwise the promise is fulfilled by having heard what was
// posted, and unlock has the write loop see to the rest.
func (s *Session) borrow() bool {
	defer s.recovered() // called by who serves others, too
	s.lock()
	defer s.unlock()
	if s.loan.out || s.loop == writeRuns && !s.asleep {
		return false
	}
	s.inbox.care.Store(unattended)
	s.hear()
	if s.m.phase == closing || s.loan.owed || s.gatherer == nil || !s.m.wantsWrite() {
		return false // the last words are the loop's
	}
	s.inbox.care.Store(attended)
	s.loan.out = true
	return true
}

// A sent is what became of a batch.
type sent struct {
	n    int  // bytes of it that were written
	left int  // ... and that were not
	owed bool // the gatherer has them, or something of TLS
	err  error
}

// writeLent writes a batch.
func (s *Session) writeLent() (r sent) {
	defer s.recovered()
	g := s.gatherer
	// From here on hangUp closes the socket first, so that nobody waits for it.
	s.gathering.Store(true)
	if !g.TryGather() {
		return r // TLS is writing something of its own, and may have to wait
	}
	buf := batches.Get().(*[]byte)
	b := s.fill((*buf)[:0])
	s.account.add(cap(b) + len(b)) // it is kept twice
	if len(b) > 0 {
		r.n, r.err = s.conn.Write(b)
	}
	kept, written, err := g.TryFlush()
	if r.err == nil {
		r.err = err
	}
	all := r.n
	r.n = part(all, written, kept)
	if r.owed = written < kept && err == nil; r.owed {
		r.left = all - r.n
	}
	s.account.add(r.left - len(b))
	s.dropBatch(buf, b)
	return r
}

// giveBack ends the loan.
func (s *Session) giveBack(r sent) {
	if !s.settleLoan(r) {
		s.hangUp()
	}
}

// settleLoan is false when the connection is of no use any more.
func (s *Session) settleLoan(r sent) bool {
	defer s.recovered()
	s.lock()
	defer s.unlock()
	s.m.endTurn() // of a stream that a panic interrupted
	s.loan = loan{owed: r.owed, left: r.left, runs: s.loan.runs + 1}
	s.inbox.care.Store(unattended)
	s.hear()
	switch {
	case r.err != nil:
		s.noteWrite(r.n, r.err)
		return false
	case r.owed:
		// The write goes on: how long it takes is counted at its end.
		s.bytesOut += uint64(r.n)
		if s.m.writeSince.IsZero() { // nothing of ours: only of TLS
			s.m.writeSince = time.Now()
			s.m.remind(s.m.writeSince, s.cfg.writeStall())
		}
		return true
	}
	s.gathering.Store(false)
	if s.loop == writeRuns && s.loan.spared() {
		s.wakeLoop()
	}
	return s.noteWrite(r.n, nil)
}

// writeLeft ends what a borrower has begun to write; for the write loop.
func (s *Session) writeLeft() bool {
	kept, written, err := s.gatherer.Flush()
	s.gathering.Store(false)
	n := s.loan.left // nobody else uses it as long as it is owed
	s.account.add(-n)
	s.lock()
	s.loan = loan{}
	s.unlock()
	return s.concluded(part(n, written, kept), err)
}
