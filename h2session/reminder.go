package h2session

import (
	"sync"
	"time"
)

// A reminder has sessions run a turn that have left something for a moment, at the
// end of one: with one timer for all of them, which runs only while there are any. A
// timer for each would have to be set and stopped in nearly every turn, and setting
// one wakes a thread that sleeps. The zero reminder is ready.
type reminder struct {
	mu       sync.Mutex
	timer    *time.Timer // nil until there was a session
	sessions []*Session  // which have begins.reminded
	spare    []*Session  // empty
}

// add has s reminded within bodyPatience. The caller has set begins.reminded.
func (r *reminder) add(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions = append(r.sessions, s)
	switch {
	case len(r.sessions) > 1:
	case r.timer == nil:
		r.timer = time.AfterFunc(bodyPatience, r.remind)
	default:
		r.timer.Reset(bodyPatience)
	}
}

func (r *reminder) remind() {
	r.mu.Lock()
	list := r.sessions
	r.sessions = r.spare
	r.spare = nil
	r.mu.Unlock()
	for i, s := range list {
		list[i] = nil
		s.begins.reminded.Store(false)
		if s.begins.left.Load() {
			s.news(nil)
		}
	}
	r.mu.Lock()
	r.spare = list[:0]
	r.mu.Unlock()
}
