package httpsm

import (
	"sync"
	"time"
)

// A crew is the goroutines of transactions that have to wait. A goroutine whose
// work is done is parked and used again, the last one first, so that its stack
// has the size that the work needs: a new goroutine's is grown by copying, which
// costs more than the rest of starting one.
//
// How many are parked is bounded, how many work is not: that is the bound on
// transactions. One that was not needed for sweepWorkers ends. The zero crew is
// ready. It is safe for concurrent use.
type crew struct {
	mu     sync.Mutex
	parked []*worker   // the one used last at the end
	least  int         // the fewest parked since the last sweep: so many were not needed
	timer  *time.Timer // of sweep; nil: none was needed yet
	armed  bool
	closed bool
	_      [64]byte // crews lie side by side: no cache line is shared
}

// A worker is one goroutine of a crew.
type worker struct {
	work chan func() // holds one; closed: the goroutine ends
}

const (
	crewCount    = 8
	maxParked    = 64 // of each crew; a parked goroutine costs its stack, 8 KiB here
	sweepWorkers = 5 * time.Second
)

// do has a worker run f. It does not block.
func (c *crew) do(f func()) {
	c.mu.Lock()
	n := len(c.parked) - 1
	if n < 0 {
		c.mu.Unlock()
		w := &worker{work: make(chan func(), 1)}
		go w.run(c, f)
		return
	}
	w := c.parked[n]
	c.parked[n] = nil
	c.parked = c.parked[:n]
	c.least = min(c.least, n)
	c.mu.Unlock()
	w.work <- f
}

func (w *worker) run(c *crew, f func()) {
	for ok := true; ok; {
		f()
		if !c.park(w) {
			return
		}
		f, ok = <-w.work
	}
}

// park puts w by for the next. false: w is to end.
func (c *crew) park(w *worker) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.parked) == maxParked {
		return false
	}
	c.parked = append(c.parked, w)
	if !c.armed {
		c.armed, c.least = true, 0
		c.arm()
	}
	return true
}

// arm has sweep called. With mu held.
func (c *crew) arm() {
	if c.timer == nil {
		c.timer = time.AfterFunc(sweepWorkers, c.sweep)
		return
	}
	c.timer.Reset(sweepWorkers)
}

// sweep ends the workers that were parked all the time since the last sweep,
// which are those parked longest. It goes on while there are any.
func (c *crew) sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.dismiss(c.least)
	c.least = len(c.parked)
	if c.armed = c.least > 0; c.armed {
		c.arm()
	}
}

// dismiss ends the n workers parked longest. With mu held.
func (c *crew) dismiss(n int) {
	for _, w := range c.parked[:n] {
		close(w.work)
	}
	rest := copy(c.parked, c.parked[n:])
	clear(c.parked[rest:])
	c.parked = c.parked[:rest]
}

// close ends the parked workers, now and from now on; those at work end when it
// is done. do can still be used.
func (c *crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.dismiss(len(c.parked))
}
