package metrics

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m)) }

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func session(tag string, id uint64) *pitag.Session {
	return &pitag.Session{
		Identity: pitag.Identity{Tag: tag, ID: id},
		Client:   netip.MustParseAddrPort("203.0.113.9:50123"),
		Listener: "public", Start: start,
	}
}

func closed(s *pitag.Session, streams uint64, cause pitag.Cause) *pitag.SessionRecord {
	return &pitag.SessionRecord{Session: s, End: s.Start.Add(2 * time.Second), Streams: streams, Cause: cause}
}

func record(s *pitag.Session, method string, status int, outcome httpsm.Outcome) *httpsm.Record {
	return &httpsm.Record{
		Session: s, Method: method, Status: status, Outcome: outcome, Group: "default",
		Start: start, FirstByte: start.Add(2 * time.Millisecond), End: start.Add(30 * time.Millisecond), OriginStatus: status,
	}
}

// setup returns metrics on a registry that checks what it gathers.
func setup(t testing.TB) (*Metrics, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	return New(reg, Config{Version: "v1.2.3", Revision: "abc", GoVersion: "go1.26"}), reg
}

// sources are all sources, each metric with a value of its own.
func sources() Sources {
	return Sources{
		H2: []H2Source{
			{Tag: pitag.TagH2, Stats: func() h2session.Stats {
				return h2session.Stats{
					Sessions: 2, Streams: 7, Panics: 1,
					FramesIn:  map[string]uint64{"HEADERS": 10, "UNKNOWN": 2},
					FramesOut: map[string]uint64{"DATA": 20},
					ResetsIn:  map[string]uint64{"CANCEL": 3, "UNKNOWN": 4},
					ResetsOut: map[string]uint64{"REFUSED_STREAM": 5},
					GoAways:   map[h2session.GoAway]uint64{{Direction: "out", Code: "NO_ERROR", Cause: "idle_timeout"}: 6},
					Stalled:   map[string]time.Duration{"socket": 1500 * time.Millisecond},
				}
			}},
			{Tag: pitag.TagH2C, Stats: func() h2session.Stats {
				return h2session.Stats{Streams: 1, FramesOut: map[string]uint64{"DATA": 1}}
			}},
		},
		HTTP: func() httpsm.Stats {
			return httpsm.Stats{Active: 9, HTTP1Active: 3, Panics: 2, Retries: map[httpsm.Retry]uint64{
				{Group: "default", Endpoint: "b:1", Reason: "reused_closed"}: 8,
				{Reason: "not_sent"}: 1,
			}}
		},
		VConns: func() []vconn.TagStats {
			return []vconn.TagStats{
				{Tag: "h2", Opened: 12, Closed: 5, BytesIn: 100, BytesOut: 200},
				{Opened: 1, Closed: 1, BytesIn: 1},
			}
		},
		Origins: func() []OriginGroup {
			return []OriginGroup{{Name: "default", Endpoints: []origin.EndpointStats{
				{
					Endpoint: "a:1", Active: 2, Idle: 3, Connects: map[string]uint64{"ok": 5}, Healthy: true, Pipelining: true,
					Pipelines: 2, PipelineInFlight: 14, PipelineRequests: 300, PipelineBatches: 20, PipelineStray: 1, PipelineDiscarded: 15,
				},
				{Endpoint: "b:1", Active: 1, Connects: map[string]uint64{"ok": 1, "refused": 4}},
			}}}
		},
		Certificates:     func() map[string]time.Time { return map[string]time.Time{"www.example.org": time.Unix(1800000000, 0)} },
		AccessLogDropped: func() uint64 { return 13 },
		Panics:           func() map[string]uint64 { return map[string]uint64{"gateway": 1} },
	}
}

// want compares the metrics named with the text expected of them.
func want(t testing.TB, reg prometheus.Gatherer, text string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(reg, strings.NewReader(text), names...); err != nil {
		t.Error(err)
	}
}

// gather returns all metric families by name.
func gather(t testing.TB, reg prometheus.Gatherer) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]*dto.MetricFamily)
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

// total adds up a family: values of counters and gauges, sums of histograms.
func total(f *dto.MetricFamily) float64 {
	sum := 0.0
	for _, m := range f.GetMetric() {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetHistogram().GetSampleSum()
	}
	return sum
}
