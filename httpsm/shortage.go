package httpsm

import (
	"sync"
	"time"
)

// A shortageLog keeps a shortage, which every request meets while it lasts, from
// filling the log as well. The zero shortageLog is ready. It is safe for
// concurrent use.
type shortageLog struct {
	mu     sync.Mutex
	told   time.Time // when last; guarded by mu
	untold int       // met since then; guarded by mu
}

const shortageEvery = time.Second

// due reports whether one met now is to be told, and how many before it were not.
func (l *shortageLog) due(now time.Time) (untold int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.told.IsZero() && now.Sub(l.told) < shortageEvery {
		l.untold++
		return 0, false
	}
	untold, l.untold = l.untold, 0
	l.told = now
	return untold, true
}

// noteShortage says that requests fail for what this machine has run out of. The
// error says which, and what to do about it.
func (t *Txn) noteShortage(err error) {
	untold, ok := t.m.shortage.due(t.now)
	if !ok {
		return
	}
	t.identify(t.m.cfg.Log.Error()).Str("origin", t.rec.Origin).Int("more", untold).AnErr("error", err).
		Msg("httpsm: no connection to an origin can be made: the gateway has run out of file descriptors or memory")
}
