package metrics

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/h2gw/h2gw/httpsm"
)

// hot holds the children that a transaction needs, bound before it comes or at
// their first use: an index or one look-up in a read-only map finds each.
type hot struct {
	m       *Metrics
	protos  [numProtos]atomic.Pointer[protoChildren]
	origins *table[table[codeTable]] // by group, then endpoint
}

// protoChildren are the children of one protocol.
type protoChildren struct {
	streams        prometheus.Counter
	duration, ttfb prometheus.Observer
	requests       [numMethods]codeTable
	outcomes       *table[prometheus.Counter]
}

// A codeTable holds one counter per status code, bound when the code is first
// seen: a series for each possible code would be mostly zeros.
type codeTable struct {
	bind  func(code string) prometheus.Counter
	codes [numCodes]atomic.Pointer[prometheus.Counter]
}

func (t *codeTable) get(status int) prometheus.Counter {
	i := codeIndex(status)
	if c := t.codes[i].Load(); c != nil {
		return *c
	}
	label := strconv.Itoa(status)
	switch i {
	case codeOther:
		label = other
	case codeAbsent:
		label = absent
	}
	c := t.bind(label) // the same child for whoever comes at the same time
	t.codes[i].Store(&c)
	return c
}

// init binds the protocols that a gateway serves, so that they are there, at 0,
// before the first request. The others stay out of sight until used.
func (h *hot) init(m *Metrics) {
	h.m = m
	h.origins = newTable(maxOrigins, func(origin string) *table[codeTable] {
		return newTable(maxEndpoints, func(endpoint string) *codeTable {
			return &codeTable{bind: func(code string) prometheus.Counter {
				return m.originRequests.WithLabelValues(origin, endpoint, code)
			}}
		})
	})
	for p := protoH2; p <= protoHTTP1; p++ {
		for _, outcome := range httpsm.Outcomes() {
			h.proto(p).outcomes.get(string(outcome))
		}
	}
}

func (h *hot) proto(p int) *protoChildren {
	if c := h.protos[p].Load(); c != nil {
		return c
	}
	// Whoever comes at the same time binds the same children of the vectors.
	h.protos[p].CompareAndSwap(nil, h.bind(protoNames[p]))
	return h.protos[p].Load()
}

func (h *hot) bind(proto string) *protoChildren {
	m := h.m
	c := &protoChildren{
		streams:  m.streams.WithLabelValues(proto),
		duration: m.duration.WithLabelValues(proto),
		ttfb:     m.ttfb.WithLabelValues(proto),
		outcomes: newTable(maxOutcomes, func(outcome string) *prometheus.Counter {
			o := m.outcomes.WithLabelValues(proto, outcome)
			return &o
		}),
	}
	for i, method := range methodNames {
		c.requests[i].bind = func(code string) prometheus.Counter {
			return m.requests.WithLabelValues(proto, method, code)
		}
	}
	return c
}
