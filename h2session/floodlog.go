package h2session

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A floodLog keeps a flood from flooding the log: of each bound one line in
// floodEvery is written, with the number of those that were not.
type floodLog struct {
	last, quiet [NumBounds]atomic.Int64
}

const floodEvery = 10 * time.Second

// due reports whether a line of b may be written at now, and how many were left
// out since the last.
func (l *floodLog) due(b Bound, now time.Time) (quiet int64, ok bool) {
	last, t := l.last[b].Load(), now.UnixNano()
	if last != 0 && t-last < int64(floodEvery) || !l.last[b].CompareAndSwap(last, t) {
		l.quiet[b].Add(1)
		return 0, false
	}
	return l.quiet[b].Swap(0), true
}

// tellFloods logs the bounds that were passed since the last call, a bit for
// each. It is called without the lock.
func (s *Session) tellFloods(passed uint32) {
	for ; passed != 0; passed &= passed - 1 {
		b := Bound(bits.TrailingZeros32(passed))
		quiet, ok := s.srv.told.due(b, time.Now())
		if !ok {
			continue
		}
		what := "flood: session closed"
		limit := s.cfg.flood(b)
		if limit.Observe {
			what = "flood: observed only"
		}
		s.cfg.Log.Warn().Str("pitag", s.sess.Identity.TagText()).Uint64("piid", s.sess.Identity.ID).
			Stringer("client", s.sess.Client).Str("bound", b.String()).Stringer("limit", limit).
			Int64("more", quiet).Msg(what)
	}
}
