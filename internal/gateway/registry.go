package gateway

import (
	"sync"

	"github.com/h2gw/h2gw/pitag"
)

// A registry knows the client connections being served.
type registry struct {
	mu   sync.Mutex
	open map[uint64]*pitag.Session // by Identity.ID
}

func (r *registry) add(s *pitag.Session) {
	r.mu.Lock()
	r.open[s.Identity.ID] = s
	r.mu.Unlock()
}

func (r *registry) remove(s *pitag.Session) {
	r.mu.Lock()
	delete(r.open, s.Identity.ID)
	r.mu.Unlock()
}

func (r *registry) list() []*pitag.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*pitag.Session, 0, len(r.open))
	for _, s := range r.open {
		all = append(all, s)
	}
	return all
}
