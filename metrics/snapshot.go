package metrics

import (
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/vconn"
)

// A family is a metric that is read at scrape time.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func counterFamily(name, help string, labels ...string) family {
	return family{prometheus.NewDesc(namespace+"_"+name, help, labels, nil), prometheus.CounterValue}
}

func gaugeFamily(name, help string, labels ...string) family {
	return family{prometheus.NewDesc(namespace+"_"+name, help, labels, nil), prometheus.GaugeValue}
}

// snapshot collects what the sources tell. It keeps nothing between scrapes.
type snapshot struct {
	m *Metrics
	// tags, where and reasons bound what comes from outside this package.
	tags, where, reasons nameSet

	buffered, floods                                        family
	streamsActive, rst, goaway, frames, stall, panics       family
	vconnOpen, vconnBytes                                   family
	originConns, originConnects, originRetries, originAlive family
	pipelines, pipelined, pipelineRequests, pipelineBatches family
	pipelineStray, pipelineDiscarded                        family
	certificates, logDropped                                family
}

func newSnapshot(m *Metrics) *snapshot {
	return &snapshot{
		m: m, tags: newNameSet(maxResults), where: newNameSet(maxResults), reasons: newNameSet(maxResults),
		streamsActive:  gaugeFamily("streams_active", "Streams (HTTP/1.1: requests) open now.", "proto"),
		rst:            counterFamily("h2_rst_stream_total", "RST_STREAM frames, by error code.", "direction", "code"),
		goaway:         counterFamily("h2_goaway_total", "GOAWAY frames, by error code and why the connection ended.", "direction", "code", "cause"),
		floods:         counterFamily("h2_flood_total", "Times a flood bound was passed: the connection was closed, or it is observed only.", "bound"),
		buffered:       gaugeFamily("memory_buffered_bytes", "Bytes held for client connections, of limits.memory: buffers, and an estimate for each connection and stream."),
		frames:         counterFamily("h2_frames_total", "HTTP/2 frames, by type.", "direction", "type"),
		stall:          counterFamily("stall_seconds_total", "Time in which response bytes waited for a client's window or socket.", "where"),
		panics:         counterFamily("panics_total", "Panics recovered; each ended one connection or transaction.", "where"),
		vconnOpen:      gaugeFamily("vconn_open", "Virtual connections open now.", "tag"),
		vconnBytes:     counterFamily("vconn_bytes_total", "Bytes written to virtual connections: in are requests, out responses.", "tag", "direction"),
		originConns:    gaugeFamily("origin_connections", "Connections to an origin: active in use or being made, idle kept.", "origin", "endpoint", "state"),
		originConnects: counterFamily("origin_connects_total", "Attempts to connect to an origin, by result.", "origin", "endpoint", "result"),
		originRetries:  counterFamily("origin_retries_total", "Requests sent again, by the endpoint that failed them and the reason.", "origin", "endpoint", "reason"),
		originAlive:    gaugeFamily("origin_healthy", "Whether the last attempts to connect to an endpoint did not fail: 1 or 0.", "origin", "endpoint"),
		pipelines:      gaugeFamily("origin_pipeline_connections", "Connections to an origin that requests share, of those in origin_connections.", "origin", "endpoint"),
		pipelined:      gaugeFamily("origin_pipeline_in_flight", "Requests outstanding on shared connections.", "origin", "endpoint"),

		pipelineRequests:  counterFamily("origin_pipeline_requests_total", "Requests written to shared connections.", "origin", "endpoint"),
		pipelineBatches:   counterFamily("origin_pipeline_batches_total", "Writes that carried them.", "origin", "endpoint"),
		pipelineStray:     counterFamily("origin_pipeline_stray_total", "Shared connections closed because bytes came that belonged to no response.", "origin", "endpoint"),
		pipelineDiscarded: counterFamily("origin_pipeline_discarded_total", "Responses on shared connections that nobody waited for any more.", "origin", "endpoint"),

		certificates: gaugeFamily("tls_certificate_not_after_seconds", "When a certificate expires, in seconds since 1970.", "name"),
		logDropped:   counterFamily("access_log_dropped_total", "Access log lines lost because the output could not take them."),
	}
}

// Describe implements prometheus.Collector.
func (s *snapshot) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range []family{
		s.buffered, s.floods, s.streamsActive, s.rst, s.goaway, s.frames, s.stall, s.panics, s.vconnOpen, s.vconnBytes,
		s.originConns, s.originConnects, s.originRetries, s.originAlive, s.certificates, s.logDropped,
		s.pipelines, s.pipelined, s.pipelineRequests, s.pipelineBatches, s.pipelineStray, s.pipelineDiscarded,
	} {
		ch <- f.desc
	}
}

// A reading is what one scrape has read.
type reading struct {
	*Sources
	h2      []h2session.Stats // of Sources.H2, in its order
	machine httpsm.Stats
	vconns  []vconn.TagStats
}

// Collect implements prometheus.Collector.
func (s *snapshot) Collect(ch chan<- prometheus.Metric) {
	src := reading{Sources: s.m.sources.Load()}
	for _, h := range src.H2 {
		src.h2 = append(src.h2, h.Stats())
	}
	if src.HTTP != nil {
		src.machine = src.HTTP()
	}
	if src.VConns != nil {
		src.vconns = src.VConns()
	}
	s.collectStreams(ch, src)
	s.collectH2(ch, src)
	s.collectVConns(ch, src)
	s.collectOrigins(ch, src)
	if src.Buffered != nil {
		sums := sums{}
		sums.add(float64(src.Buffered()))
		sums.send(ch, s.buffered)
	}
	if src.Certificates != nil {
		sums := sums{}
		for name, at := range src.Certificates() {
			sums.set(float64(at.Unix()), s.m.origins.label(name))
		}
		sums.send(ch, s.certificates)
	}
	if src.AccessLogDropped != nil {
		sums := sums{}
		sums.add(float64(src.AccessLogDropped()))
		sums.send(ch, s.logDropped)
	}
}

// collectStreams tells the streams open now, and the requests of HTTP/1.1
// clients that are being served.
func (s *snapshot) collectStreams(ch chan<- prometheus.Metric, src reading) {
	active := sums{}
	for i, st := range src.h2 {
		active.add(float64(st.Streams), protoName(src.H2[i].Tag))
	}
	if src.HTTP != nil {
		active.add(float64(src.machine.HTTP1Active), protoNames[protoHTTP1])
	}
	active.send(ch, s.streamsActive)
}

func (s *snapshot) collectH2(ch chan<- prometheus.Metric, src reading) {
	rst, goaway, frames, stall, panics := sums{}, sums{}, sums{}, sums{}, sums{}
	floods := sums{}
	for _, st := range src.h2 {
		panics.add(float64(st.Panics), "h2session")
		for code, n := range st.ResetsIn {
			rst.add(float64(n), "in", errorCodes.label(code))
		}
		for code, n := range st.ResetsOut {
			rst.add(float64(n), "out", errorCodes.label(code))
		}
		for kind, n := range st.FramesIn {
			frames.add(float64(n), "in", frameTypes.label(kind))
		}
		for kind, n := range st.FramesOut {
			frames.add(float64(n), "out", frameTypes.label(kind))
		}
		s.addGoAways(goaway, st.GoAways)
		for bound, n := range st.Floods {
			floods.add(float64(n), s.where.label(bound))
		}
		for place, d := range st.Stalled {
			stall.add(d.Seconds(), s.where.label(place))
		}
	}
	if src.HTTP != nil {
		panics.add(float64(src.machine.Panics), "httpsm")
	}
	if src.Panics != nil {
		for place, n := range src.Panics() {
			panics.add(float64(n), s.where.label(place))
		}
	}
	floods.send(ch, s.floods)
	rst.send(ch, s.rst)
	goaway.send(ch, s.goaway)
	frames.send(ch, s.frames)
	stall.send(ch, s.stall)
	panics.send(ch, s.panics)
}

func (s *snapshot) addGoAways(to sums, counts map[h2session.GoAway]uint64) {
	for g, n := range counts {
		to.add(float64(n), directions.label(g.Direction), errorCodes.label(g.Code), s.m.causes.label(g.Cause))
	}
}

func (s *snapshot) collectVConns(ch chan<- prometheus.Metric, src reading) {
	open, bytes := sums{}, sums{}
	for _, t := range src.vconns {
		tag := s.tags.label(t.Tag)
		open.add(float64(t.Opened)-float64(t.Closed), tag)
		bytes.add(float64(t.BytesIn), tag, "in")
		bytes.add(float64(t.BytesOut), tag, "out")
	}
	open.send(ch, s.vconnOpen)
	bytes.send(ch, s.vconnBytes)
}

var truth = map[bool]float64{true: 1}

// endpoint is the label that stands in access lines as "origin".
func (s *snapshot) endpoint(addr string) string { return s.m.endpoints.label(addr) }

func (s *snapshot) collectOrigins(ch chan<- prometheus.Metric, src reading) {
	var groups []OriginGroup
	if src.Origins != nil {
		groups = src.Origins()
	}
	conns, connects, retries, alive := sums{}, sums{}, sums{}, sums{}
	for _, g := range groups {
		name := s.m.origins.label(g.Name)
		for _, e := range g.Endpoints {
			addr := s.endpoint(e.Endpoint)
			conns.add(float64(e.Active), name, addr, "active")
			conns.add(float64(e.Idle), name, addr, "idle")
			alive.add(truth[e.Healthy], name, addr)
			for result, n := range e.Connects {
				connects.add(float64(n), name, addr, s.m.results.label(result))
			}
		}
	}
	s.collectPipelines(ch, groups)
	for r, n := range src.machine.Retries {
		retries.add(float64(n), s.m.origins.label(r.Group), s.endpoint(r.Endpoint), s.reasons.label(r.Reason))
	}
	conns.send(ch, s.originConns)
	connects.send(ch, s.originConnects)
	retries.send(ch, s.originRetries)
	alive.send(ch, s.originAlive)
}

// collectPipelines tells of endpoints that are set up for it only.
func (s *snapshot) collectPipelines(ch chan<- prometheus.Metric, groups []OriginGroup) {
	conns, inFlight, requests, batches, stray, discarded := sums{}, sums{}, sums{}, sums{}, sums{}, sums{}
	for _, g := range groups {
		name := s.m.origins.label(g.Name)
		for _, e := range g.Endpoints {
			if !e.Pipelining {
				continue
			}
			addr := s.endpoint(e.Endpoint)
			conns.add(float64(e.Pipelines), name, addr)
			inFlight.add(float64(e.PipelineInFlight), name, addr)
			requests.add(float64(e.PipelineRequests), name, addr)
			batches.add(float64(e.PipelineBatches), name, addr)
			stray.add(float64(e.PipelineStray), name, addr)
			discarded.add(float64(e.PipelineDiscarded), name, addr)
		}
	}
	conns.send(ch, s.pipelines)
	inFlight.send(ch, s.pipelined)
	requests.send(ch, s.pipelineRequests)
	batches.send(ch, s.pipelineBatches)
	stray.send(ch, s.pipelineStray)
	discarded.send(ch, s.pipelineDiscarded)
}

// sums adds up values per label values: two sources, or two values of one
// "_other", never give one series twice, which would fail the whole scrape.
type sums map[string]float64

const labelSep = "\xff" // in no label: they are UTF-8

func (s sums) add(v float64, labels ...string) { s[strings.Join(labels, labelSep)] += v }
func (s sums) set(v float64, labels ...string) { s[strings.Join(labels, labelSep)] = v }

func (s sums) send(ch chan<- prometheus.Metric, f family) {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		var labels []string
		if key != "" {
			labels = strings.Split(key, labelSep)
		}
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, s[key], labels...)
	}
}
