package metrics

import (
	"errors"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "h2gw"

// bounds of the sets that only the configuration and other packages know.
const (
	maxListeners = 64
	maxCauses    = 64
	maxOutcomes  = 64
	maxOrigins   = 256
	maxEndpoints = 1024
	maxResults   = 32
)

// A Config says what the metrics tell of the program. The zero Config works.
type Config struct {
	// Version and Revision of the program, for h2gw_build_info. Empty ones are
	// shown as "*".
	Version, Revision string
	// GoVersion defaults to runtime.Version().
	GoVersion string
	// Gatherer is what Handler serves. The default is the registerer given to
	// New, if it can gather, as a *prometheus.Registry can.
	Gatherer prometheus.Gatherer
}

// Metrics holds the collectors. All methods are safe for concurrent use.
type Metrics struct {
	gatherer prometheus.Gatherer
	sources  atomic.Pointer[Sources]

	connections        *prometheus.CounterVec   // proto, listener
	connectionsActive  *prometheus.GaugeVec     // proto, listener
	connectionDuration *prometheus.HistogramVec // proto
	connectionStreams  *prometheus.HistogramVec // proto
	connectionsClosed  *prometheus.CounterVec   // proto, cause
	streams            *prometheus.CounterVec   // proto
	requests           *prometheus.CounterVec   // proto, method, code
	duration           *prometheus.HistogramVec // proto
	ttfb               *prometheus.HistogramVec // proto
	outcomes           *prometheus.CounterVec   // proto, outcome
	originRequests     *prometheus.CounterVec   // origin, endpoint, code
	handshakes         *prometheus.CounterVec   // version, resumed, result
	draining           prometheus.Gauge

	listeners, causes, results, origins, endpoints nameSet
	hot                                            hot
}

// New makes the collectors and registers them with reg, the Go and process
// collectors included unless reg has them. A nil reg is a new registry. Like
// prometheus.MustRegister it panics when reg has collectors of these names
// already: two gateways in one process need two registries, or
// prometheus.WrapRegistererWith.
func New(reg prometheus.Registerer, cfg Config) *Metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	m := &Metrics{
		gatherer:  cfg.Gatherer,
		listeners: newNameSet(maxListeners),
		causes:    newNameSet(maxCauses),
		results:   newNameSet(maxResults),
		origins:   newNameSet(maxOrigins),
		endpoints: newNameSet(maxEndpoints),
	}
	if m.gatherer == nil {
		m.gatherer, _ = reg.(prometheus.Gatherer)
	}
	if m.gatherer == nil {
		m.gatherer = prometheus.DefaultGatherer
	}
	m.sources.Store(&Sources{})
	m.makeConnections()
	m.makeTransactions()
	m.hot.init(m)
	reg.MustRegister(
		m.connections, m.connectionsActive, m.connectionDuration, m.connectionStreams, m.connectionsClosed,
		m.streams, m.requests, m.duration, m.ttfb, m.outcomes, m.originRequests, m.handshakes, m.draining,
		buildInfo(cfg), newSnapshot(m),
	)
	registerOnce(reg, collectors.NewGoCollector())
	registerOnce(reg, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// registerOnce registers what other parts of a program may have registered too.
func registerOnce(reg prometheus.Registerer, c prometheus.Collector) {
	var already prometheus.AlreadyRegisteredError
	if err := reg.Register(c); err != nil && !errors.As(err, &already) {
		panic(err)
	}
}

func (m *Metrics) makeConnections() {
	m.connections = counter("connections_total", "Client connections accepted.", "proto", "listener")
	m.connectionsActive = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "connections_active", Help: "Client connections open now.",
	}, []string{"proto", "listener"})
	m.connectionDuration = histogram("connection_duration_seconds", "From accepting a client connection to closing it.",
		[]float64{.01, .1, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}, "proto")
	m.connectionStreams = histogram("connection_streams", "Streams (HTTP/1.1: requests) of a client connection, observed when it closes.",
		[]float64{0, 1, 2, 5, 10, 20, 50, 100, 250, 500, 1000, 5000, 10000, 100000}, "proto")
	m.connectionsClosed = counter("connections_closed_total", "Client connections closed, by cause.", "proto", "cause")
	m.handshakes = counter("tls_handshakes_total", "TLS handshakes ended, by version (* when none was agreed on).", "version", "resumed", "result")
	m.draining = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "draining", Help: "1 while the gateway is draining, else 0.",
	})
}

func (m *Metrics) makeTransactions() {
	m.streams = counter("streams_total", "Streams (HTTP/1.1: requests) ended, refused ones included: one access line each.", "proto")
	m.requests = counter("requests_total", "Requests ended, by status code to the client (* when none was sent).", "proto", "method", "code")
	m.duration = histogram("request_duration_seconds", "From the first byte of a request to the end of its response. Streams refused without a transaction are not in it.", latencyBuckets, "proto")
	m.ttfb = histogram("time_to_first_byte_seconds", "From the first byte of a request to the first byte of its response.", latencyBuckets, "proto")
	m.outcomes = counter("outcomes_total", "Requests ended, by outcome.", "proto", "outcome")
	m.originRequests = counter("origin_requests_total", "Requests answered by an origin, by its status code.", "origin", "endpoint", "code")
}

// latencyBuckets go from what a gateway beside its origin takes to where most
// timeouts are.
var latencyBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

// histogram has native buckets a tenth apart beside the classic ones; the
// bounds keep a native histogram small when somebody spreads its values.
func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help,
		Buckets:                         buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}, labels)
}

func buildInfo(cfg Config) prometheus.Collector {
	if cfg.GoVersion == "" {
		cfg.GoVersion = runtime.Version()
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{
			"version": labelText(cfg.Version), "revision": labelText(cfg.Revision), "goversion": cfg.GoVersion,
		},
	})
	g.Set(1)
	return g
}

// Handler serves the metrics in the Prometheus text format, as OpenMetrics or
// as protobuf (native histograms need it), whichever the client prefers. A
// collector that fails costs its own metrics, not the whole answer.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.gatherer, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		ErrorHandling:     promhttp.ContinueOnError,
	})
}

// SetDraining says whether the gateway is draining.
func (m *Metrics) SetDraining(on bool) {
	if on {
		m.draining.Set(1)
	} else {
		m.draining.Set(0)
	}
}
