package httpsm

import (
	"sync"
	"weak"
)

// A registry knows all transactions there are, so that they can be counted and
// ended, at no cost to those that come and go: a Txn is added once, when it is
// made, and says itself whether it is active. It is held weakly, so that the
// pool can drop it. A registry is safe for concurrent use.
type registry struct {
	mu  sync.Mutex
	all []weak.Pointer[Txn]
}

func (r *registry) add(t *Txn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == cap(r.all) {
		r.compact()
	}
	r.all = append(r.all, weak.Make(t))
}

// compact leaves out what the pool has dropped, and makes room for as many as
// are left. With mu held.
func (r *registry) compact() {
	left := make([]weak.Pointer[Txn], 0, len(r.all))
	for _, p := range r.all {
		if p.Value() != nil {
			left = append(left, p)
		}
	}
	r.all = append(make([]weak.Pointer[Txn], 0, max(2*len(left), 64)), left...)
}

// each calls f for every active transaction until it returns false. They go on
// meanwhile: one may have ended, and another begun.
func (r *registry) each(f func(*Txn) bool) {
	r.mu.Lock()
	all := r.all[:len(r.all):len(r.all)] // only ever appended to, or replaced
	r.mu.Unlock()
	for _, p := range all {
		if t := p.Value(); t != nil && t.active.Load() && !f(t) {
			return
		}
	}
}

func (r *registry) count() (n int64) {
	r.each(func(*Txn) bool { n++; return true })
	return n
}

func (r *registry) empty() bool {
	none := true
	r.each(func(*Txn) bool { none = false; return false })
	return none
}

// register says that t is active. What it needs to be killed is set.
func (m *Machine) register(t *Txn) {
	t.active.Store(true)
	if m.killed.Load() { // after it was set, so that kill cannot miss it
		t.killed.Store(true) // seen before anything is done
	}
}

// unregister says that t has ended: from here on kill leaves it alone.
func (m *Machine) unregister(t *Txn) {
	t.exMu.Lock()
	t.active.Store(false)
	t.exMu.Unlock()
	m.noteEnd()
}

// killActive tells t to end, if it is active. It returns what ends the client's
// side, to be called without a lock: that calls back into who has its other end,
// or writes.
func (t *Txn) killActive() (end func()) {
	t.exMu.Lock()
	defer t.exMu.Unlock()
	if !t.active.Load() {
		return func() {}
	}
	code, vc, conn := t.killLocked(), t.cl.vc, t.cl.conn
	if vc == nil {
		return func() { conn.Close() }
	}
	return func() { vc.Reset(code) }
}
