package metrics

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/pitag"
)

// traffic is a bit of everything, so that every metric has a series.
func traffic(m *Metrics) {
	m.SetSources(sources())
	for i, tag := range []string{pitag.TagH2, pitag.TagH2C, pitag.TagHTTP1, ""} {
		s := session(tag, uint64(i+1))
		m.TLSHandshake(tls.VersionTLS13, i == 1, HandshakeOK)
		m.SessionOpened(s)
		if tag != "" {
			m.Record(record(s, "GET", 200, "completed"))
			m.Record(record(s, "PURGE", 502, "connection_refused"))
		}
		if tag == pitag.TagH2 {
			m.Refused(&h2session.Refusal{Session: s, Method: "GET", Outcome: "gateway_draining", H2Error: "REFUSED_STREAM"})
		}
		if i > 0 {
			m.SessionClosed(closed(s, 2, pitag.CauseClientClosed))
		}
	}
}

func TestEveryMetricHasThePromisedNameAndLabels(t *testing.T) {
	m, reg := setup(t)
	traffic(m)
	got := gather(t, reg)
	for name, labels := range promised {
		f := got[name]
		if f == nil {
			t.Errorf("%s is not there", name)
			continue
		}
		for _, series := range f.GetMetric() {
			var names []string
			for _, l := range series.GetLabel() {
				names = append(names, l.GetName())
			}
			if have := strings.Join(names, ","); have != labels {
				t.Errorf("%s has labels %q, want %q", name, have, labels)
			}
		}
		delete(got, name)
	}
	for name := range got {
		if strings.HasPrefix(name, namespace) {
			t.Errorf("%s is not promised", name)
		}
	}
}

// promised are the metrics of the documentation, with labels in alphabetical
// order.
var promised = map[string]string{
	"h2gw_connections_total": "listener,proto", "h2gw_connections_active": "listener,proto",
	"h2gw_connection_duration_seconds": "proto", "h2gw_connection_streams": "proto", "h2gw_connections_closed_total": "cause,proto",
	"h2gw_streams_total": "proto", "h2gw_streams_active": "proto", "h2gw_requests_total": "code,method,proto",
	"h2gw_request_duration_seconds": "proto", "h2gw_time_to_first_byte_seconds": "proto", "h2gw_outcomes_total": "outcome,proto",
	"h2gw_h2_rst_stream_total": "code,direction", "h2gw_h2_goaway_total": "cause,code,direction", "h2gw_h2_frames_total": "direction,type",
	"h2gw_stall_seconds_total": "where", "h2gw_vconn_open": "tag", "h2gw_vconn_bytes_total": "direction,tag",
	"h2gw_origin_connections": "endpoint,origin,state", "h2gw_origin_connects_total": "endpoint,origin,result",
	"h2gw_origin_requests_total": "code,endpoint,origin", "h2gw_origin_retries_total": "endpoint,origin,reason",
	"h2gw_origin_healthy": "endpoint,origin", "h2gw_origin_pipeline_connections": "endpoint,origin", "h2gw_origin_pipeline_in_flight": "endpoint,origin",
	"h2gw_origin_pipeline_requests_total": "endpoint,origin", "h2gw_origin_pipeline_batches_total": "endpoint,origin",
	"h2gw_origin_pipeline_stray_total": "endpoint,origin", "h2gw_origin_pipeline_discarded_total": "endpoint,origin",
	"h2gw_tls_handshakes_total": "result,resumed,version", "h2gw_tls_certificate_not_after_seconds": "name",
	"h2gw_access_log_dropped_total": "", "h2gw_draining": "", "h2gw_build_info": "goversion,revision,version", "h2gw_panics_total": "where",
}

func TestAbsentTagIsAStarAndUnknownOnesShareALabel(t *testing.T) {
	m, reg := setup(t)
	for _, tag := range []string{"", "*", "spdy/3", "h2", "\xff"} {
		m.Record(record(session(tag, 1), "GET", 200, "completed"))
	}
	m.Record(record(nil, "GET", 200, "completed"))
	want(t, reg, `
# HELP h2gw_streams_total Streams (HTTP/1.1: requests) ended, refused ones included: one access line each.
# TYPE h2gw_streams_total counter
h2gw_streams_total{proto="*"} 3
h2gw_streams_total{proto="_other"} 2
h2gw_streams_total{proto="h2"} 1
h2gw_streams_total{proto="h2c"} 0
h2gw_streams_total{proto="http/1.1"} 0
`, "h2gw_streams_total")
}

func TestRequestsAreCountedByKnownMethodAndCode(t *testing.T) {
	m, reg := setup(t)
	s := session(pitag.TagH2, 1)
	for _, r := range []struct {
		method string
		status int
	}{{"GET", 200}, {"GET", 200}, {"POST", 499}, {"get", 200}, {"PROPFIND", 207}, {"", 400}, {"GET", 0}, {"GET", 999}, {"GET", -1}} {
		m.Record(record(s, r.method, r.status, "completed"))
	}
	want(t, reg, `
# HELP h2gw_requests_total Requests ended, by status code to the client (* when none was sent).
# TYPE h2gw_requests_total counter
h2gw_requests_total{code="*",method="GET",proto="h2"} 1
h2gw_requests_total{code="200",method="GET",proto="h2"} 2
h2gw_requests_total{code="200",method="_other",proto="h2"} 1
h2gw_requests_total{code="207",method="_other",proto="h2"} 1
h2gw_requests_total{code="400",method="*",proto="h2"} 1
h2gw_requests_total{code="499",method="POST",proto="h2"} 1
h2gw_requests_total{code="_other",method="GET",proto="h2"} 2
`, "h2gw_requests_total")
}

func TestEachMethodHasItsOwnLabel(t *testing.T) {
	for i, name := range methodNames {
		switch name {
		case other:
			name = "MKCOL"
		case absent:
			name = ""
		}
		if got := methodIndex(name); got != i {
			t.Errorf("%q has index %d, want %d", name, got, i)
		}
	}
	for i, name := range protoNames {
		if got := protoIndex(name); got != i {
			t.Errorf("%q has index %d, want %d", name, got, i)
		}
	}
}

func TestSnapshotsAreReadWhenScraped(t *testing.T) {
	m, reg := setup(t)
	m.SetSources(sources())
	want(t, reg, `
# HELP h2gw_access_log_dropped_total Access log lines lost because the output could not take them.
# TYPE h2gw_access_log_dropped_total counter
h2gw_access_log_dropped_total 13
# HELP h2gw_h2_frames_total HTTP/2 frames, by type.
# TYPE h2gw_h2_frames_total counter
h2gw_h2_frames_total{direction="in",type="HEADERS"} 10
h2gw_h2_frames_total{direction="in",type="_other"} 2
h2gw_h2_frames_total{direction="out",type="DATA"} 21
# HELP h2gw_h2_goaway_total GOAWAY frames, by error code and why the connection ended.
# TYPE h2gw_h2_goaway_total counter
h2gw_h2_goaway_total{cause="idle_timeout",code="NO_ERROR",direction="out"} 6
# HELP h2gw_h2_rst_stream_total RST_STREAM frames, by error code.
# TYPE h2gw_h2_rst_stream_total counter
h2gw_h2_rst_stream_total{code="CANCEL",direction="in"} 3
h2gw_h2_rst_stream_total{code="REFUSED_STREAM",direction="out"} 5
h2gw_h2_rst_stream_total{code="_other",direction="in"} 4
# HELP h2gw_origin_connections Connections to an origin: active in use or being made, idle kept.
# TYPE h2gw_origin_connections gauge
h2gw_origin_connections{endpoint="a:1",origin="default",state="active"} 2
h2gw_origin_connections{endpoint="a:1",origin="default",state="idle"} 3
h2gw_origin_connections{endpoint="b:1",origin="default",state="active"} 1
h2gw_origin_connections{endpoint="b:1",origin="default",state="idle"} 0
# HELP h2gw_origin_connects_total Attempts to connect to an origin, by result.
# TYPE h2gw_origin_connects_total counter
h2gw_origin_connects_total{endpoint="a:1",origin="default",result="ok"} 5
h2gw_origin_connects_total{endpoint="b:1",origin="default",result="ok"} 1
h2gw_origin_connects_total{endpoint="b:1",origin="default",result="refused"} 4
# HELP h2gw_origin_healthy Whether the last attempts to connect to an endpoint did not fail: 1 or 0.
# TYPE h2gw_origin_healthy gauge
h2gw_origin_healthy{endpoint="a:1",origin="default"} 1
h2gw_origin_healthy{endpoint="b:1",origin="default"} 0
# HELP h2gw_origin_pipeline_batches_total Writes that carried them.
# TYPE h2gw_origin_pipeline_batches_total counter
h2gw_origin_pipeline_batches_total{endpoint="a:1",origin="default"} 20
# HELP h2gw_origin_pipeline_connections Connections to an origin that requests share, of those in origin_connections.
# TYPE h2gw_origin_pipeline_connections gauge
h2gw_origin_pipeline_connections{endpoint="a:1",origin="default"} 2
# HELP h2gw_origin_pipeline_discarded_total Responses on shared connections that nobody waited for any more.
# TYPE h2gw_origin_pipeline_discarded_total counter
h2gw_origin_pipeline_discarded_total{endpoint="a:1",origin="default"} 15
# HELP h2gw_origin_pipeline_in_flight Requests outstanding on shared connections.
# TYPE h2gw_origin_pipeline_in_flight gauge
h2gw_origin_pipeline_in_flight{endpoint="a:1",origin="default"} 14
# HELP h2gw_origin_pipeline_requests_total Requests written to shared connections.
# TYPE h2gw_origin_pipeline_requests_total counter
h2gw_origin_pipeline_requests_total{endpoint="a:1",origin="default"} 300
# HELP h2gw_origin_pipeline_stray_total Shared connections closed because bytes came that belonged to no response.
# TYPE h2gw_origin_pipeline_stray_total counter
h2gw_origin_pipeline_stray_total{endpoint="a:1",origin="default"} 1
# HELP h2gw_origin_retries_total Requests sent again, by the endpoint that failed them and the reason.
# TYPE h2gw_origin_retries_total counter
h2gw_origin_retries_total{endpoint="*",origin="*",reason="not_sent"} 1
h2gw_origin_retries_total{endpoint="b:1",origin="default",reason="reused_closed"} 8
# HELP h2gw_panics_total Panics recovered; each ended one connection or transaction.
# TYPE h2gw_panics_total counter
h2gw_panics_total{where="gateway"} 1
h2gw_panics_total{where="h2session"} 1
h2gw_panics_total{where="httpsm"} 2
# HELP h2gw_stall_seconds_total Time in which response bytes waited for a client's window or socket.
# TYPE h2gw_stall_seconds_total counter
h2gw_stall_seconds_total{where="socket"} 1.5
# HELP h2gw_streams_active Streams (HTTP/1.1: requests) open now.
# TYPE h2gw_streams_active gauge
h2gw_streams_active{proto="h2"} 7
h2gw_streams_active{proto="h2c"} 1
h2gw_streams_active{proto="http/1.1"} 3
# HELP h2gw_tls_certificate_not_after_seconds When a certificate expires, in seconds since 1970.
# TYPE h2gw_tls_certificate_not_after_seconds gauge
h2gw_tls_certificate_not_after_seconds{name="www.example.org"} 1.8e+09
# HELP h2gw_vconn_bytes_total Bytes written to virtual connections: in are requests, out responses.
# TYPE h2gw_vconn_bytes_total counter
h2gw_vconn_bytes_total{direction="in",tag="*"} 1
h2gw_vconn_bytes_total{direction="in",tag="h2"} 100
h2gw_vconn_bytes_total{direction="out",tag="*"} 0
h2gw_vconn_bytes_total{direction="out",tag="h2"} 200
# HELP h2gw_vconn_open Virtual connections open now.
# TYPE h2gw_vconn_open gauge
h2gw_vconn_open{tag="*"} 0
h2gw_vconn_open{tag="h2"} 7
`, "h2gw_access_log_dropped_total", "h2gw_h2_frames_total", "h2gw_h2_goaway_total", "h2gw_h2_rst_stream_total",
		"h2gw_origin_connections", "h2gw_origin_connects_total", "h2gw_origin_healthy", "h2gw_origin_retries_total",
		"h2gw_origin_pipeline_batches_total", "h2gw_origin_pipeline_connections", "h2gw_origin_pipeline_discarded_total",
		"h2gw_origin_pipeline_in_flight", "h2gw_origin_pipeline_requests_total", "h2gw_origin_pipeline_stray_total",
		"h2gw_panics_total", "h2gw_stall_seconds_total", "h2gw_streams_active", "h2gw_tls_certificate_not_after_seconds",
		"h2gw_vconn_bytes_total", "h2gw_vconn_open")
}

func TestHandshakesAreCountedByVersion(t *testing.T) {
	m, reg := setup(t)
	m.TLSHandshake(tls.VersionTLS13, true, HandshakeOK)
	m.TLSHandshake(0, false, HandshakeNotTLS)
	m.TLSHandshake(0x7f1c, false, HandshakeFailed)
	want(t, reg, `
# HELP h2gw_tls_handshakes_total TLS handshakes ended, by version (* when none was agreed on).
# TYPE h2gw_tls_handshakes_total counter
h2gw_tls_handshakes_total{result="error",resumed="false",version="_other"} 1
h2gw_tls_handshakes_total{result="not_tls",resumed="false",version="*"} 1
h2gw_tls_handshakes_total{result="ok",resumed="true",version="TLS 1.3"} 1
`, "h2gw_tls_handshakes_total")
}

func TestPrometheusFindsNothingToComplainAbout(t *testing.T) {
	m, reg := setup(t)
	traffic(m)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestPromtoolFindsNothingToComplainAbout(t *testing.T) {
	promtool := tool(t, "promtool")
	m, _ := setup(t)
	traffic(m)
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(scrape(t, m, "text/plain"))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// tool finds a program, or skips the test; H2GW_E2E=require fails it instead.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("H2GW_E2E") == "require" {
			t.Fatalf("%s is not installed, and H2GW_E2E=require", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// scrape asks the handler, as a Prometheus server would.
func scrape(t *testing.T, m *Metrics, accept string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if got, want := w.Header().Get("Content-Type"), strings.Split(accept, ";")[0]; !strings.HasPrefix(got, want) {
		t.Errorf("content type %q, want %q", got, want)
	}
	body := io.Reader(w.Body)
	if w.Header().Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheHandlerSpeaksWhatTheClientAsksFor(t *testing.T) {
	m, reg := setup(t)
	traffic(m)
	if text := scrape(t, m, "text/plain"); !strings.Contains(text, `h2gw_build_info{goversion="go1.26",revision="abc",version="v1.2.3"} 1`) {
		t.Errorf("no build info in %q", text)
	}
	if text := scrape(t, m, "application/openmetrics-text;version=1.0.0"); !strings.HasSuffix(text, "# EOF\n") {
		t.Error("OpenMetrics does not end in # EOF")
	}
	proto := "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	if body := scrape(t, m, proto); !bytes.Contains([]byte(body), []byte("h2gw_request_duration_seconds")) {
		t.Error("no durations in protobuf")
	}
	h := gather(t, reg)["h2gw_request_duration_seconds"].GetMetric()[0].GetHistogram()
	if h.Schema == nil || len(h.GetPositiveSpan()) == 0 || len(h.GetBucket()) != len(latencyBuckets) {
		t.Errorf("durations lack native or classic buckets: %v", h)
	}
}

func TestDrainingIsShown(t *testing.T) {
	m, reg := setup(t)
	for _, on := range []bool{true, false} {
		m.SetDraining(on)
		if got := total(gather(t, reg)["h2gw_draining"]) == 1; got != on {
			t.Errorf("draining is %v, want %v", got, on)
		}
	}
}

func TestARegistryThatHasGoMetricsKeepsThem(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector())
	New(reg, Config{})
	for _, name := range []string{"go_goroutines", "process_open_fds"} {
		if gather(t, reg)[name] == nil {
			t.Errorf("%s is not there", name)
		}
	}
	if m := New(nil, Config{}); m.gatherer == prometheus.DefaultGatherer {
		t.Error("a nil registry is the default one, want a new one")
	}
}

func TestWithoutSourcesAScrapeWorks(t *testing.T) {
	m, reg := setup(t)
	if f := gather(t, reg)["h2gw_streams_active"]; f != nil {
		t.Errorf("streams active without a source: %v", f)
	}
	m.SetSources(Sources{Certificates: func() map[string]time.Time { return nil }})
	gather(t, reg)
}
