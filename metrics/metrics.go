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
	handshakes         *prometheus.CounterVec   // version, resumed, result
	draining           prometheus.Gauge

	listeners, causes, results, origins, endpoints nameSet
	tally                                          *tally
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
		tally:     newTally(),
	}
	if m.gatherer == nil {
		m.gatherer, _ = reg.(prometheus.Gatherer)
	}
	if m.gatherer == nil {
		m.gatherer = prometheus.DefaultGatherer
	}
	m.sources.Store(&Sources{})
	m.makeConnections()
	reg.MustRegister(
		m.connections, m.connectionsActive, m.connectionDuration, m.connectionStreams, m.connectionsClosed,
		m.handshakes, m.draining, m.tally, buildInfo(cfg), newSnapshot(m),
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
