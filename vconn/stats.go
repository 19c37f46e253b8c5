package vconn

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// TagStats counts the connections of one tag. Opened less Closed are open now.
type TagStats struct {
	// Tag is that of the identity; "" for connections without one.
	Tag string
	// Opened counts connections made, Closed those of which both ends have
	// closed.
	Opened, Closed uint64
	// BytesIn and BytesOut count bytes written, towards the passive end
	// (requests) and towards the active end (responses). Of a connection that
	// is still open, up to 256 KiB each way may not be counted yet.
	BytesIn, BytesOut uint64
}

// countEvery is how many bytes a direction gathers before it adds them to the
// shared counters: most connections do so once, when they close.
const countEvery = 256 << 10

// tagCounters are the counters of one tag, in several places: the connections of
// a session count in one of them, so that sessions on different processors share
// no cache line.
type tagCounters struct {
	tag    string
	places [16]counters
}

type counters struct {
	opened, closed    atomic.Uint64
	bytesIn, bytesOut atomic.Uint64
	_                 [32]byte // to a cache line
}

// place returns where connections with an identity's id count.
func (t *tagCounters) place(id uint64) *counters { return &t.places[id%uint64(len(t.places))] }

func (t *tagCounters) sum() TagStats {
	s := TagStats{Tag: t.tag}
	// Closed is read first: it never shows more than Opened.
	for i := range t.places {
		s.Closed += t.places[i].closed.Load()
	}
	for i := range t.places {
		c := &t.places[i]
		s.Opened += c.opened.Load()
		s.BytesIn += c.bytesIn.Load()
		s.BytesOut += c.bytesOut.Load()
	}
	return s
}

// A registry holds the counters of every tag a family of Connectors has used.
// Tags are a small closed set (protocols), so it only grows.
type registry struct {
	tags sync.Map // string → *tagCounters
}

func (c *Connector) countersFor(tag string) *tagCounters {
	if t := c.recent.Load(); t != nil && t.tag == tag {
		return t
	}
	v, ok := c.stats.tags.Load(tag)
	if !ok {
		v, _ = c.stats.tags.LoadOrStore(tag, &tagCounters{tag: tag})
	}
	t := v.(*tagCounters)
	c.recent.Store(t)
	return t
}

// count adds what h has gathered to the tag's counters. With the lock held.
func (p *pair) count(h *half) {
	if h.counted == h.written {
		return
	}
	to := &p.counters.bytesOut
	if h == &p.toEnd[passive] {
		to = &p.counters.bytesIn
	}
	to.Add(h.written - h.counted)
	h.counted = h.written
}

// Stats returns the counters of every tag used so far, in the order of the
// tags. Connectors made by For share them.
func (c *Connector) Stats() []TagStats {
	if c.stats == nil {
		return nil
	}
	var all []TagStats
	c.stats.tags.Range(func(_, v any) bool {
		all = append(all, v.(*tagCounters).sum())
		return true
	})
	slices.SortFunc(all, func(a, b TagStats) int { return strings.Compare(a.Tag, b.Tag) })
	return all
}
