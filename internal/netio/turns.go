package netio

import "sync/atomic"

// News is called when another Read may be worth while: something has arrived, the
// read deadline has passed, or somebody has closed the connection. It may be
// called for nothing. It is called with no lock held, by the Poller's goroutine,
// with a later that is for the time of the call (see Round), or by another
// goroutine, with nil; it must not block.
type News = func(later interface{ Later(f interface{ Flush() }) })

// Turns have something done whenever there is news for it, by whoever has the
// news, one at a time. The zero Turns are ready.
type Turns struct{ state atomic.Uint32 }

const (
	turnOver  uint32 = iota // nobody does it
	turnRuns                // somebody does
	turnAgain               // ... and is to do it once more
	turnLast                // it is done with
)

// Run calls do, and again as often as Run was called meanwhile. If somebody is
// about it, he will. Once do is false there are no turns any more.
func (t *Turns) Run(do func() (again bool)) {
	for !t.state.CompareAndSwap(turnOver, turnRuns) {
		s := t.state.Load()
		if s == turnAgain || s == turnLast || s == turnRuns && t.state.CompareAndSwap(turnRuns, turnAgain) {
			return
		}
	}
	for do() {
		if t.state.CompareAndSwap(turnRuns, turnOver) {
			return
		}
		t.state.Store(turnRuns) // it was turnAgain
	}
	t.state.Store(turnLast)
}
