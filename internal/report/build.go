package report

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/h2gw/h2gw/pitag"
)

// builder makes the Summary when all workers have ended.
type builder struct {
	seq   *sequencer
	tally *tally
	voc   *vocabulary
	open  map[uint32]*hist // by tag: streams of connections still open
	// missing and missingConns are of the followed connections.
	missing, missingConns uint64
}

func (b *builder) summary(inputs []Input) *Summary {
	s := &Summary{Inputs: inputs, Lines: b.seq.total, Broken: b.seq.broken, PercentileError: PercentileError}
	for i, c := range b.seq.inputs {
		s.Inputs[i].Lines, s.Inputs[i].Broken = c.lines, c.broken
	}
	if s.Broken == nil {
		s.Broken = []BrokenLine{}
	}
	if t := b.tally; t.from <= t.to {
		from, to := time.UnixMicro(t.from).UTC(), time.UnixMicro(t.to).UTC()
		s.From, s.To, s.Seconds = &from, &to, to.Sub(from).Seconds()
	}
	b.unsettled()
	b.protocols(s)
	b.origins(s)
	b.busiest(s)
	b.balance(s)
	return s
}

// unsettled goes through the connections that do not add up.
func (b *builder) unsettled() {
	g := b.seq.ledger
	b.open = map[uint32]*hist{}
	for k, c := range g.conns {
		if c.balance < 0 {
			b.missing += uint64(-c.balance)
			b.missingConns++
			continue
		}
		if b.open[k.tag] == nil {
			b.open[k.tag] = newHist()
		}
		b.open[k.tag].add(uint64(c.balance), 1)
		g.top.offer(topEntry{key: k, client: c.client, streams: uint64(c.balance), in: c.in, out: c.out, open: true})
	}
}

func (b *builder) protocols(s *Summary) {
	s.Protocols = []Protocol{}
	for id, p := range b.tally.protocols {
		if p != nil {
			s.Protocols = append(s.Protocols, b.protocol(id, p))
		}
	}
	slices.SortFunc(s.Protocols, func(x, y Protocol) int {
		return cmp.Or(
			cmp.Compare(y.Connections.Closed+y.Connections.Open, x.Connections.Closed+x.Connections.Open),
			cmp.Compare(x.Name, y.Name))
	})
	for _, p := range s.Protocols {
		s.Connections.Closed += p.Connections.Closed
		s.Connections.Open += p.Connections.Open
	}
}

func (b *builder) protocol(id int, p *protoTally) Protocol {
	open, scale := b.open[uint32(id)], uint64(1)<<b.seq.ledger.level
	out := Protocol{
		Name:        b.tag(uint32(id)),
		Connections: Connections{Closed: p.sessions},
		AccessLines: p.access, InSessions: p.streams, Refused: p.refused, PeakStreams: p.peak,
		StreamsPerConnection: p.perConn.distribution(1), StreamBuckets: p.perConn.buckets(),
		StreamsPerOpen: open.distribution(1),
		LifetimeMS:     p.lifetime.distribution(1000), LatencyMS: p.latency.distribution(1000), TTFBMS: p.ttfb.distribution(1000),
		Statuses: map[string]uint64{}, Outcomes: b.words(p.outcomes), H2Errors: b.words(p.h2Errors),
		Causes: b.words(p.causes), GoAways: b.words(p.goaways),
		ResetsIn: p.resetsIn, ResetsOut: p.resetsOut, Retries: p.retries,
		Bodies: Traffic{In: p.bodyIn, Out: p.bodyOut}, Wire: Traffic{In: p.connIn, Out: p.connOut},
	}
	if open != nil {
		out.Connections.Open = open.n * scale
		out.StreamsPerOpen.Count *= scale
	}
	if out.StreamBuckets == nil {
		out.StreamBuckets = []Bucket{}
	}
	for code, n := range p.status {
		switch {
		case n > 0 && code == 0:
			out.Statuses["none"] = n
		case n > 0:
			out.Statuses[strconv.Itoa(code)] = n
		}
	}
	return out
}

// tag returns the name of a protocol as text forms and metrics have it.
func (b *builder) tag(id uint32) string {
	return pitag.Identity{Tag: b.voc.tags.list[id]}.TagText()
}

func (b *builder) words(c counts) map[string]uint64 {
	m := map[string]uint64{}
	for id, n := range c {
		if n > 0 {
			m[b.voc.words.list[id]] = n
		}
	}
	return m
}

func (b *builder) origins(s *Summary) {
	s.Origins = []Origin{}
	for id, o := range b.tally.origins {
		if o == nil {
			continue
		}
		out := Origin{
			Name: b.voc.origins.list[id], Requests: o.requests, Connections: o.onConn - o.reused,
			Retries: o.retries, Failed: o.failed, LatencyMS: o.latency.distribution(1000),
		}
		if o.onConn > 0 {
			out.ReusedShare = rounded(float64(o.reused) / float64(o.onConn))
		}
		if out.Connections > 0 {
			out.RequestsPerConnection = rounded(float64(o.onConn) / float64(out.Connections))
		}
		s.Origins = append(s.Origins, out)
	}
	slices.SortFunc(s.Origins, func(x, y Origin) int {
		return cmp.Or(cmp.Compare(y.Requests, x.Requests), cmp.Compare(x.Name, y.Name))
	})
}

func (b *builder) busiest(s *Summary) {
	s.Busiest = []Connection{}
	for _, e := range b.seq.ledger.top.entries {
		s.Busiest = append(s.Busiest, Connection{
			Protocol: b.tag(e.key.tag), ID: e.key.id, Client: e.client,
			Streams: e.streams, BytesIn: e.in, BytesOut: e.out, Open: e.open,
		})
	}
}

// balance fills in what compares access lines with sessions.
func (b *builder) balance(s *Summary) {
	g, open := b.seq.ledger, uint64(0)
	sampled := uint64(0)
	for _, h := range b.open {
		open += h.sum
		sampled += h.n
	}
	scale := uint64(1) << g.level
	s.Followed = Followed{Exact: g.level == 0, Bound: g.max, OneIn: scale}
	if g.level > 0 && sampled > 0 {
		// The size of a Bernoulli sample with rate 1/scale: standard error
		// sqrt((1-rate)/n), times 1.96 for 95 %.
		s.Followed.RelativeError = 1.96 * math.Sqrt((1-1/float64(scale))/float64(sampled))
	}
	st := &s.Streams
	st.AccessLines = s.Lines.Access
	for _, p := range s.Protocols {
		st.InSessions += p.InSessions
	}
	st.Unidentified = g.unidentified
	st.InOpenConnections, st.Missing, st.MissingConnections = open*scale, b.missing*scale, b.missingConns*scale
	if !s.Followed.Exact {
		st.settle(b.missing > 0)
	}
	st.Complete = st.Missing == 0 && st.Unidentified >= 0
}

// settle corrects the larger of two estimates, so that the sum, which is known
// exactly, comes out: with nothing missing the open streams are then exact.
func (st *StreamBalance) settle(missing bool) {
	surplus := int64(st.AccessLines) - int64(st.InSessions) - st.Unidentified // open - missing
	if surplus >= 0 && !missing {
		st.Missing, st.InOpenConnections = 0, uint64(surplus)
	} else if open := surplus + int64(st.Missing); open >= 0 {
		st.InOpenConnections = uint64(open)
	} else {
		st.InOpenConnections, st.Missing = 0, uint64(-surplus)
	}
}
