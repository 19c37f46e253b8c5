package report

import "math"

// vocabulary is the names that all workers number alike.
type vocabulary struct {
	tags, origins, words *names
}

func newVocabulary() *vocabulary {
	return &vocabulary{tags: newNames(maxTags), origins: newNames(maxOrigins), words: newNames(maxWords)}
}

// A tally is what one worker has counted. Everything in it is a sum, a smallest
// or a largest, so that it does not matter which worker saw which line.
type tally struct {
	voc       *vocabulary
	protocols []*protoTally  // by number of tag, nil where nothing was counted
	origins   []*originTally // by number of origin
	from, to  int64          // microseconds; from > to: no time seen
	clock     clock
}

type protoTally struct {
	access           uint64
	status           [1000]uint64 // 0: none was sent
	outcomes         counts
	h2Errors         counts
	bodyIn, bodyOut  uint64
	retries          uint64
	latency, ttfb    *hist // microseconds
	sessions         uint64
	streams, refused uint64
	peak             uint64
	resetsIn         uint64
	resetsOut        uint64
	connIn, connOut  uint64
	causes, goaways  counts
	perConn          *hist // streams of closed connections
	lifetime         *hist // microseconds
}

type originTally struct {
	requests uint64
	onConn   uint64 // requests that had an origin connection
	reused   uint64
	retries  uint64
	failed   uint64 // status 500 to 599
	latency  *hist  // microseconds
}

func newTally(voc *vocabulary) *tally {
	return &tally{voc: voc, from: math.MaxInt64, to: math.MinInt64}
}

func newProtoTally() *protoTally {
	return &protoTally{latency: newHist(), ttfb: newHist(), perConn: newHist(), lifetime: newHist()}
}

// at returns element id of list, made by make when it is missing.
func at[T any](list *[]*T, id int, make func() *T) *T {
	for id >= len(*list) {
		*list = append(*list, nil)
	}
	if (*list)[id] == nil {
		(*list)[id] = make()
	}
	return (*list)[id]
}

func (t *tally) protocol(id int) *protoTally { return at(&t.protocols, id, newProtoTally) }

func (t *tally) origin(id int) *originTally {
	return at(&t.origins, id, func() *originTally { return &originTally{latency: newHist()} })
}

// check says why a line that is JSON cannot be counted; nil when it can.
func (t *tally) check(l *line, access bool) error {
	if l.bad != nil {
		return l.bad
	}
	if access && l.has(fStatus) && (l.number(fStatus) < 100 || l.number(fStatus) > 999) {
		return errStatusCode
	}
	if ts := l.text(fTS); ts != nil {
		us, ok := t.clock.read(ts)
		if !ok {
			return errTime
		}
		t.from, t.to = min(t.from, us), max(t.to, us)
	}
	return nil
}

// access counts an access line of the protocol with number tag.
func (t *tally) access(l *line, tag int) {
	p := t.protocol(tag)
	p.access++
	p.status[l.number(fStatus)]++
	if o := l.text(fOutcome); o != nil {
		p.outcomes.add(t.voc.words.id(o), 1)
	}
	if e := l.text(fH2Error); e != nil {
		p.h2Errors.add(t.voc.words.id(e), 1)
	}
	p.bodyIn += l.number(fBytesIn)
	p.bodyOut += l.number(fBytesOut)
	p.retries += l.number(fRetries)
	if l.has(fDuration) {
		p.latency.add(l.number(fDuration), 1)
	}
	if l.has(fTTFB) {
		p.ttfb.add(l.number(fTTFB), 1)
	}
	if o := l.text(fOrigin); o != nil {
		t.origin(t.voc.origins.id(o)).access(l)
	}
}

func (o *originTally) access(l *line) {
	o.requests++
	o.retries += l.number(fRetries)
	if l.number(fOriginConn) != 0 {
		o.onConn++
		if l.has(fOriginReused) && l.reused {
			o.reused++
		}
	}
	if s := l.number(fStatus); s >= 500 && s < 600 {
		o.failed++
	}
	if l.has(fDuration) {
		o.latency.add(l.number(fDuration), 1)
	}
}

// session counts a session line of the protocol with number tag.
func (t *tally) session(l *line, tag int) {
	p := t.protocol(tag)
	p.sessions++
	p.streams += l.number(fStreams)
	p.perConn.add(l.number(fStreams), 1)
	p.refused += l.number(fStreamsRefused)
	p.peak = max(p.peak, l.number(fStreamsPeak))
	p.resetsIn += l.number(fResetsIn)
	p.resetsOut += l.number(fResetsOut)
	p.connIn += l.number(fBytesIn)
	p.connOut += l.number(fBytesOut)
	if l.has(fDuration) {
		p.lifetime.add(l.number(fDuration), 1)
	}
	if c := l.text(fCause); c != nil {
		p.causes.add(t.voc.words.id(c), 1)
	}
	if g := l.text(fGoAway); g != nil {
		p.goaways.add(t.voc.words.id(g), 1)
	}
}

// merge adds what o has counted to t.
func (t *tally) merge(o *tally) {
	t.from, t.to = min(t.from, o.from), max(t.to, o.to)
	for id, p := range o.protocols {
		if p != nil {
			t.protocol(id).merge(p)
		}
	}
	for id, g := range o.origins {
		if g != nil {
			t.origin(id).merge(g)
		}
	}
}

func (p *protoTally) merge(o *protoTally) {
	p.access += o.access
	for i, n := range o.status {
		p.status[i] += n
	}
	p.outcomes.merge(o.outcomes)
	p.h2Errors.merge(o.h2Errors)
	p.bodyIn += o.bodyIn
	p.bodyOut += o.bodyOut
	p.retries += o.retries
	p.latency.merge(o.latency)
	p.ttfb.merge(o.ttfb)
	p.sessions += o.sessions
	p.streams += o.streams
	p.refused += o.refused
	p.peak = max(p.peak, o.peak)
	p.resetsIn += o.resetsIn
	p.resetsOut += o.resetsOut
	p.connIn += o.connIn
	p.connOut += o.connOut
	p.causes.merge(o.causes)
	p.goaways.merge(o.goaways)
	p.perConn.merge(o.perConn)
	p.lifetime.merge(o.lifetime)
}

func (o *originTally) merge(g *originTally) {
	o.requests += g.requests
	o.onConn += g.onConn
	o.reused += g.reused
	o.retries += g.retries
	o.failed += g.failed
	o.latency.merge(g.latency)
}
