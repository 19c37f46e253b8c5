package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// The metrics that a tally tells.
var (
	streamsFamily  = counterFamily("streams_total", "Streams (HTTP/1.1: requests) ended, refused ones included: one access line each.", "proto")
	requestsFamily = counterFamily("requests_total", "Requests ended, by status code to the client (* when none was sent).", "proto", "method", "code")
	outcomesFamily = counterFamily("outcomes_total", "Requests ended, by outcome.", "proto", "outcome")
	answersFamily  = counterFamily("origin_requests_total", "Requests answered by an origin, by its status code.", "origin", "endpoint", "code")
	durationDesc   = prometheus.NewDesc(namespace+"_request_duration_seconds",
		"From the first byte of a request to the end of its response. Streams refused without a transaction are not in it.", []string{"proto"}, nil)
	ttfbDesc = prometheus.NewDesc(namespace+"_time_to_first_byte_seconds",
		"From the first byte of a request to the first byte of its response.", []string{"proto"}, nil)
)

// Describe implements prometheus.Collector.
func (t *tally) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		streamsFamily.desc, requestsFamily.desc, outcomesFamily.desc, answersFamily.desc, durationDesc, ttfbDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (t *tally) Collect(ch chan<- prometheus.Metric) {
	sum := t.sum()
	for key, n := range sum.answers {
		t.tell(ch, answersFamily, *n, key.origin, key.endpoint, codeLabel(key.code))
	}
	for p, of := range sum.protos {
		if of == nil {
			continue
		}
		proto := protoNames[p]
		t.tell(ch, streamsFamily, of.streams, proto)
		for key, n := range of.requests {
			t.tell(ch, requestsFamily, *n, proto, methodNames[key.method], codeLabel(key.code))
		}
		for outcome, n := range of.outcomes {
			t.tell(ch, outcomesFamily, *n, proto, outcome)
		}
		t.tellTiming(ch, durationDesc, &of.duration, proto)
		t.tellTiming(ch, ttfbDesc, &of.ttfb, proto)
	}
}

func (t *tally) tell(ch chan<- prometheus.Metric, f family, n uint64, labels ...string) {
	ch <- prometheus.MustNewConstMetricWithCreatedTimestamp(f.desc, f.kind, float64(n), t.created, labels...)
}

// sum returns the counts of all shards in one. Each transaction is in it whole or
// not at all.
func (t *tally) sum() *tallyShard {
	sum := &tallyShard{answers: make(map[answer]*uint64)}
	for i := range t.shards {
		t.shards[i].addTo(sum)
	}
	return sum
}

func (s *tallyShard) addTo(sum *tallyShard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	addCells(sum.answers, s.answers)
	for p, of := range s.protos {
		if of == nil {
			continue
		}
		to := sum.proto(p)
		to.streams += of.streams
		to.duration.add(&of.duration)
		to.ttfb.add(&of.ttfb)
		addCells(to.requests, of.requests)
		addCells(to.outcomes, of.outcomes)
	}
}

func addCells[K comparable](to, from map[K]*uint64) {
	for key, n := range from {
		*cell(to, key) += *n
	}
}

// codeLabel is the label of a codeIndex.
func codeLabel(i int) string {
	switch i {
	case codeOther:
		return other
	case codeAbsent:
		return absent
	}
	return strconv.Itoa(i + 100)
}

// A timingMetric is one series of a histogram: classic buckets, and native ones
// beside them.
type timingMetric struct {
	prometheus.Metric
	timing *timing
}

func (t *tally) tellTiming(ch chan<- prometheus.Metric, desc *prometheus.Desc, of *timing, proto string) {
	ch <- timingMetric{prometheus.MustNewConstHistogramWithCreatedTimestamp(
		desc, of.count, of.sum(), of.buckets(), t.created, proto), of}
}

// Write implements prometheus.Metric.
func (m timingMetric) Write(out *dto.Metric) error {
	if err := m.Metric.Write(out); err != nil {
		return err
	}
	m.timing.writeNative(out.Histogram)
	return nil
}
