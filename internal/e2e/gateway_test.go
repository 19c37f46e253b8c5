package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A gateway is a running h2gw binary.
type gateway struct {
	*process
	tls, plain, admin string // addresses
	log               string // access log file
}

// startGateway runs `h2gw proxy` in front of the origins, with a listener of
// each kind, and waits until it is ready.
func startGateway(t *testing.T, origins []string, args ...string) *gateway {
	t.Helper()
	g := &gateway{log: filepath.Join(t.TempDir(), "access.log")}
	all := []string{"proxy", "--from", "127.0.0.1:0", "--self-signed", "--plain", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--access-log", g.log}
	for _, o := range origins {
		all = append(all, "--to", "http://"+o)
	}
	g.launch(t, append(all, args...))
	return g
}

// launch starts the binary, reads its addresses from what it logs, and waits
// until it is ready.
func (g *gateway) launch(t *testing.T, args []string) {
	t.Helper()
	g.process = start(t, t.TempDir(), binary, args...)
	eventually(t, "the gateway says where it listens", func() bool {
		g.tls, g.plain, g.admin = g.addr(`"listener":"tls"`), g.addr(`"listener":"plain"`), g.addr("admin address")
		return g.tls != "" && g.plain != "" && g.admin != ""
	})
	eventually(t, "the gateway is ready", func() bool {
		code, _, err := httpGet("http://" + g.admin + "/readyz")
		return err == nil && code == 200
	})
}

// addr returns the address of the line of the error log that holds mark.
func (g *gateway) addr(mark string) string {
	for line := range strings.Lines(g.out.String()) {
		var entry struct{ Addr string }
		if strings.Contains(line, mark) && json.Unmarshal([]byte(line), &entry) == nil {
			return entry.Addr
		}
	}
	return ""
}

func (g *gateway) url(path string) string { return "https://" + g.tls + path }

// metrics scrapes and parses what the gateway tells Prometheus.
func (g *gateway) metrics() metricSet {
	g.t.Helper()
	code, text, err := httpGet("http://" + g.admin + "/metrics")
	if err != nil || code != 200 {
		g.t.Fatalf("GET /metrics: %d, %v", code, err)
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		g.t.Fatalf("/metrics does not parse: %v", err)
	}
	return metricSet{g.t, families}
}

type metricSet struct {
	t        *testing.T
	families map[string]*dto.MetricFamily
}

// sum adds up the samples of a metric whose labels match all of pairs
// (name, value, name, value…). For a histogram it adds up the sums.
func (m metricSet) sum(name string, pairs ...string) float64 {
	m.t.Helper()
	f := m.families[name]
	if f == nil {
		return 0
	}
	total := 0.0
	for _, s := range f.Metric {
		if !matches(s, pairs) {
			continue
		}
		switch f.GetType() {
		case dto.MetricType_COUNTER:
			total += s.Counter.GetValue()
		case dto.MetricType_GAUGE:
			total += s.Gauge.GetValue()
		case dto.MetricType_HISTOGRAM:
			total += s.Histogram.GetSampleSum()
		default:
			m.t.Fatalf("%s has type %v", name, f.GetType())
		}
	}
	return total
}

func matches(s *dto.Metric, pairs []string) bool {
	for i := 0; i < len(pairs); i += 2 {
		found := false
		for _, l := range s.Label {
			found = found || l.GetName() == pairs[i] && l.GetValue() == pairs[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}

// logLines parses the access log. Every line must be one JSON object.
func (g *gateway) logLines() (access, session []map[string]any) {
	g.t.Helper()
	text, err := os.ReadFile(g.log)
	if err != nil {
		g.t.Fatal(err)
	}
	sc := bufio.NewScanner(bytes.NewReader(text))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var line map[string]any
		if err := json.Unmarshal(sc.Bytes(), &line); err != nil {
			g.t.Fatalf("access log line is not JSON: %v\n%s", err, sc.Text())
		}
		switch line["event"] {
		case "access":
			access = append(access, line)
		case "session":
			session = append(session, line)
		default:
			g.t.Fatalf("log line of no known event: %s", sc.Text())
		}
	}
	return access, session
}

// settle waits until no client connection is open, then checks what must
// always be true of the counters: opened − closed = active = 0.
func (g *gateway) settle() metricSet {
	g.t.Helper()
	var m metricSet
	eventually(g.t, "all client connections are closed", func() bool {
		m = g.metrics()
		return m.sum("h2gw_connections_active") == 0 && m.sum("h2gw_streams_active") == 0 && m.sum("h2gw_vconn_open") == 0 &&
			m.sum("h2gw_requests_total") == m.sum("h2gw_streams_total") // a record follows its connection's end closely
	})
	m = g.metrics() // one scrape reads its metrics one after the other: this one, all at rest
	if opened, closed := m.sum("h2gw_connections_total"), m.sum("h2gw_connections_closed_total"); opened != closed {
		g.t.Errorf("connections: opened %v − closed %v is not 0", opened, closed)
	}
	if streams, counted := m.sum("h2gw_streams_total"), m.sum("h2gw_connection_streams"); streams != counted {
		g.t.Errorf("streams: %v opened, but closed connections carried %v", streams, counted)
	}
	if lost := m.sum("h2gw_access_log_dropped_total"); lost != 0 {
		g.t.Errorf("%v log lines were dropped", lost)
	}
	if n := m.sum("h2gw_panics_total"); n != 0 {
		g.t.Errorf("%v panics", n)
	}
	return m
}

// quit ends the gateway as an operator does; it must exit with 0.
func (g *gateway) quit() {
	g.t.Helper()
	if code := g.stop(syscall.SIGTERM, 2*time.Minute); code != 0 {
		g.t.Errorf("exit code %d after TERM, want 0", code)
	}
}
