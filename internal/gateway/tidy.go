package gateway

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// A tidier gives memory back when the gateway comes to rest. The runtime keeps
// what a burst of connections has left behind, garbage and free pages, for
// minutes: as much again as thousands of idle sessions hold. So when sessions
// have rested or ended, and for a moment no more did, it is collected and
// returned if it is worth it. Nothing runs while nothing happens, nor while the
// coming and going never pauses.
type tidier struct {
	last  atomic.Int64 // when note was called last, in Unix nanoseconds
	armed atomic.Bool  // a timer is set
	left  atomic.Int64 // sessions that have ended or come to rest since it was tidied last
	tidy  func(garbage int64) bool
}

const (
	// tidyPause is how long nothing must have come to rest.
	tidyPause = 500 * time.Millisecond
	// leastTidied is what is worth a collection, if it is tidyShare of all
	// memory, too: what follows has to fault in pages again.
	leastTidied = 2 << 20
	tidyShare   = 8
	// leastSession is what a session that ends or comes to rest leaves behind at
	// least, some of it in pools, which the runtime takes for alive. Nobody knows
	// that it is garbage before it is looked for.
	leastSession = 8 << 10
)

// note tells that a session has ended or come to rest. It costs next to nothing.
func (t *tidier) note() {
	t.left.Add(1)
	t.last.Store(time.Now().UnixNano())
	if !t.armed.Load() && t.armed.CompareAndSwap(false, true) {
		time.AfterFunc(tidyPause, t.look)
	}
}

// look tidies up when there was a pause, and otherwise looks again later.
func (t *tidier) look() {
	since := time.Since(time.Unix(0, t.last.Load()))
	if since < tidyPause {
		time.AfterFunc(tidyPause-since, t.look)
		return
	}
	t.armed.Store(false)
	if n := t.left.Load(); t.tidy(n * leastSession) {
		t.left.Add(-n)
	}
}

// tidyUp gives memory back, if it is worth it. garbage is what is known to have
// become garbage. If what rests has large stacks, it moves to small ones, which
// calls note; their memory is given back then.
func (g *Gateway) tidyUp(garbage int64) bool {
	again := g.resettled.Swap(false)
	if !again && !worthwhile(garbage) && !stacksAreLarge() {
		return false
	}
	giveBack()
	if !again && stacksAreLarge() {
		g.resettled.Store(g.h2.Resettle()+g.h2c.Resettle() > 0)
	}
	return true
}

// giveBack collects twice, for what is in a sync.Pool survives one collection.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}

// worthwhile reports whether much memory is held for nothing.
func worthwhile(garbage int64) bool {
	s := []metrics.Sample{
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(s)
	free, objects, live, total, released := s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64(), s[3].Value.Uint64(), s[4].Value.Uint64()
	held := free + uint64(garbage)
	if objects > live {
		held += objects - live // garbage, if nothing new is alive
	}
	return held >= leastTidied && held >= (total-released)/tidyShare
}

const (
	// largeStack is the average from which on stacks are larger than waiting
	// needs: that is 2 KiB, the smallest there is, and some are in use.
	largeStack = 3 << 10
	// leastStacks is how many goroutines are worth the trouble.
	leastStacks = 500
)

func stacksAreLarge() bool {
	s := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/sched/goroutines:goroutines"}}
	metrics.Read(s)
	n := s[1].Value.Uint64()
	return n >= leastStacks && s[0].Value.Uint64() >= n*largeStack
}
