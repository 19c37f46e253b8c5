package netio

import "time"

// A Round is one turn of a Poller, calls of Ready that follow one another, or of
// whoever else tells several of what they waited for. It is for one goroutine.
// The zero Round is ready.
type Round struct{ flushers []interface{ Flush() } }

// Later has f.Flush called, once for each call of Later, when all of the round
// have been told. Flush must not block or panic. It may call Later.
func (r *Round) Later(f interface{ Flush() }) { r.flushers = append(r.flushers, f) }

// Empty says that nothing was left to be done at the end.
func (r *Round) Empty() bool { return len(r.flushers) == 0 }

// End ends the round, and begins another.
func (r *Round) End() {
	for i := 0; i < len(r.flushers); i++ {
		r.flushers[i].Flush()
		r.flushers[i] = nil
	}
	r.flushers = r.flushers[:0]
}

var noDeadline time.Time
