package origin

import (
	"slices"
	"sync"
	"sync/atomic"
)

// shelfCount is more than there are ever at one shelf at once: each is there for
// some ten nanoseconds of a request.
const shelfCount = 4

// Shelves hold an endpoint's idle connections, the one used last first. There is
// one for each lane, or for some, so that a request that a poller has read is
// answered to the same poller, if that can be. All requests to an endpoint come
// here twice, so nobody waits here: who finds a shelf in use goes to the next. (A
// sync.Mutex that is waited for on a busy machine is handed from one waiting
// goroutine to the next, and each of them has to be scheduled for its turn.) On
// each shelf the order is nearly always exact. Only idle connections are here,
// each once.
type shelves [shelfCount]shelf

// A shelf is one stack of connections.
type shelf struct {
	mu    sync.Mutex
	count atomic.Int32 // len(conns), for who only wants to know
	conns []*conn      // the one used last at the end
	quick uint64       // exchanges begun without a look
	_     [64]byte
}

// put puts c on the shelf of its lane, or the next.
func (s *shelves) put(c *conn) {
	own := c.lane % shelfCount
	for k := range s {
		if i := (own + k) % shelfCount; s[i].mu.TryLock() {
			s[i].putLocked(c, i)
			return
		}
	}
	s[own].mu.Lock()
	s[own].putLocked(c, own)
}

// putLocked puts c on f, which is locked, as shelf i, and unlocks it.
func (f *shelf) putLocked(c *conn, i int) {
	f.conns = append(f.conns, c)
	f.count.Store(int32(len(f.conns)))
	c.shelf.Store(int32(i + 1))
	f.mu.Unlock()
}

// take returns the connection of lane that was used last, or one of another, nil
// if there is none, and whether it is
// the caller's without a look: see shelf.takeLocked.
func (s *shelves) take(what wanted, lane int) (c *conn, quiet bool) {
	busy := false
	for k := range s {
		f := &s[(lane+k)%shelfCount]
		if f.count.Load() == 0 {
			continue
		}
		if !f.mu.TryLock() {
			busy = true
			continue
		}
		if c, quiet = f.takeLocked(what); c != nil {
			return c, quiet
		}
	}
	if !busy {
		return nil, false
	}
	for i := range s {
		s[i].mu.Lock()
		if c, quiet = s[i].takeLocked(what); c != nil {
			return c, quiet
		}
	}
	return nil, false
}

// wanted is what kind of connection somebody wants to take.
type wanted uint8

const (
	anyConn    wanted = iota
	polledConn        // that a poller waits for, to be looked at
	quickConn         // the same; not to be looked at if the poller has seen nothing
)

// takeLocked takes the connection used last. quiet: its poller has seen
// nothing, and who has asked for a quick one uses it without a look; that is
// counted here. f is locked, and unlocked then.
func (f *shelf) takeLocked(what wanted) (c *conn, quiet bool) {
	if n := len(f.conns) - 1; n >= 0 && (what == anyConn || f.conns[n].poller != nil) {
		c = f.conns[n]
		f.conns[n] = nil
		f.conns = f.conns[:n]
		f.count.Store(int32(n))
		c.shelf.Store(0)
		if what == quickConn && c.state.Load()&ready == 0 {
			quiet = true
			f.quick++
		}
	}
	f.mu.Unlock()
	return c, quiet
}

// remove takes c; false: it is not here.
func (s *shelves) remove(c *conn) bool {
	f := s.holding(c)
	if f == nil {
		return false
	}
	f.removeLocked(c)
	f.mu.Unlock()
	return true
}

// holding returns the shelf that c is on, locked: nobody takes c until the caller
// unlocks it. nil: it is on none.
func (s *shelves) holding(c *conn) *shelf {
	for {
		i := c.shelf.Load() - 1
		if i < 0 {
			return nil
		}
		f := &s[i]
		f.mu.Lock()
		if c.shelf.Load() == i+1 {
			return f
		}
		f.mu.Unlock() // it was taken, and perhaps put elsewhere
	}
}

// removeLocked takes c, which is on f.
func (f *shelf) removeLocked(c *conn) {
	n := slices.Index(f.conns, c)
	f.conns = slices.Delete(f.conns, n, n+1)
	f.count.Store(int32(len(f.conns)))
	c.shelf.Store(0)
}

// takeOldest takes from each shelf the connections that have been there longest,
// as long as old says so.
func (s *shelves) takeOldest(old func(*conn) bool) []*conn {
	var out []*conn
	for i := range s {
		f := &s[i]
		f.mu.Lock()
		n := 0
		for n < len(f.conns) && old(f.conns[n]) {
			f.conns[n].shelf.Store(0)
			n++
		}
		out = append(out, f.conns[:n]...)
		f.conns = slices.Delete(f.conns, 0, n)
		f.count.Store(int32(len(f.conns)))
		f.mu.Unlock()
	}
	return out
}

// len is how many are here, more or less while others come and go.
func (s *shelves) len() int {
	n := 0
	for i := range s {
		n += int(s[i].count.Load())
	}
	return n
}

// quick is how many exchanges began without a look.
func (s *shelves) quick() uint64 {
	var n uint64
	for i := range s {
		s[i].mu.Lock()
		n += s[i].quick
		s[i].mu.Unlock()
	}
	return n
}
