package netio

import "time"

// A Round is one turn of a Poller: calls of Ready that follow one another. It is
// for the Poller's goroutine.
type Round struct{ flushers []interface{ Flush() } }

// Later has f.Flush called, once for each call of Later, when all of the round
// have been told. Flush must not block or panic. It may call Later.
func (r *Round) Later(f interface{ Flush() }) { r.flushers = append(r.flushers, f) }

func (r *Round) end() {
	for i := 0; i < len(r.flushers); i++ {
		r.flushers[i].Flush()
		r.flushers[i] = nil
	}
	r.flushers = r.flushers[:0]
}

var (
	noDeadline time.Time
	longAgo    = time.Unix(1, 0)
)
