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

// A pacer keeps the collector's percentage so that there is headroom. It runs
// once after each collection, and never otherwise.
type pacer struct {
	percent int // in force
	live    []metrics.Sample
}

// paceCollector begins, unless the environment says how to collect.
func paceCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	p := &pacer{percent: 100, live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	p.adjust()
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
	want := percentFor(p.live[0].Value.Uint64())
	// Setting it stops the world for a moment: not for every little change.
	if want*4 < p.percent*5 && p.percent*4 < want*5 {
		return
	}
	p.percent = want
	debug.SetGCPercent(want)
}

// percentFor is the percentage (see GOGC) by which a heap with so many live bytes
// grows by at least leastHeadroom.
func percentFor(live uint64) int {
	const least = 1 << 20 // before the first collection nothing is known to live
	return max(100, int(100*leastHeadroom/max(live, least)))
}
