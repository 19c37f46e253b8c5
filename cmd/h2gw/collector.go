package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leastHeadroom is how much may be allocated, at least, between two runs of the
// garbage collector. A gateway at work holds a few megabytes and makes tens of
// them in a second; the runtime's rule, to collect when the heap has doubled,
// would have it collect ten times a second to save what a single process of
// other gateways has in buffers. Above this much that is alive the rule holds.
const leastHeadroom = 16 << 20

// leastGrowth is how much more must be alive than at the collection before, and
// growthShare what share of that, for the heap to be growing.
const (
	leastGrowth = 512 << 10
	growthShare = 8
)

// A pacer keeps the collector's percentage so that there is headroom. It runs
// once after each collection, and never otherwise.
type pacer struct {
	percent int    // in force
	last    uint64 // bytes alive after the collection before
	live    []metrics.Sample
}

// paceCollector begins, unless the environment says how to collect.
func paceCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	p := &pacer{percent: 100, live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	p.watch()
}

// watch has adjust called after the next collection, which finds that nobody
// refers to what is made here.
func (p *pacer) watch() {
	type sentinel struct{ p *pacer }
	runtime.SetFinalizer(&sentinel{p}, func(s *sentinel) {
		s.p.adjust()
		s.p.watch()
	})
}

func (p *pacer) adjust() {
	metrics.Read(p.live)
	live := p.live[0].Value.Uint64()
	want := percentFor(p.last, live)
	p.last = live
	// Setting it stops the world for a moment: not for every little change.
	if want*4 < p.percent*5 && p.percent*4 < want*5 {
		return
	}
	p.percent = want
	debug.SetGCPercent(want)
}

// percentFor is the percentage (see GOGC) by which a heap with so many live bytes
// grows by at least leastHeadroom. It is 100 while more and more is alive: what
// new connections keep lies among the garbage of their handshakes, and the more
// there is of that, the more pages stay half empty for as long as they last.
func percentFor(last, live uint64) int {
	if live >= last+max(leastGrowth, last/growthShare) {
		return 100
	}
	return max(100, int(100*leastHeadroom/max(live, 1<<20)))
}
