package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/h2gw/h2gw/internal/config"
	"github.com/h2gw/h2gw/internal/frontend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig is a gateway on loopback in front of an origin of the test's making.
type rig struct {
	*Gateway
	t      *testing.T
	origin *httptest.Server
	lines  lockedBuffer // access log
	people lockedBuffer // human log
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newRig starts a gateway with a listener of each kind; change may alter its
// configuration, set are settings. It is shut down at the end of the test.
func newRig(t *testing.T, handler http.HandlerFunc, change func(*Config), set ...string) *rig {
	t.Helper()
	if handler == nil {
		handler = func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
		}
	}
	r := &rig{t: t, origin: httptest.NewServer(handler)}
	t.Cleanup(r.origin.Close)
	cfg := Config{
		From: "127.0.0.1:0", SelfSigned: true, Plain: "127.0.0.1:0", Admin: "127.0.0.1:0",
		To:              []string{r.origin.URL},
		AccessLogOutput: &r.lines,
		Settings:        config.Defaults(),
		Log:             zerolog.New(&r.people).Level(zerolog.DebugLevel),
	}
	for _, s := range set {
		if err := cfg.Settings.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	if change != nil {
		change(&cfg)
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Gateway = g
	g.Start()
	t.Cleanup(func() {
		r.shutdown()
		if t.Failed() {
			t.Logf("log:\n%s\naccess log:\n%s", r.people.String(), r.lines.String())
		}
	})
	return r
}

// shutdown drains; calling it again does no harm.
func (r *rig) shutdown() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		r.t.Logf("shutdown: %v", err)
	}
}

// roots trust the gateway's certificate.
func (r *rig) roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(r.Certificate().Leaf)
	return p
}

// client returns an HTTP client of its own connections that speaks one
// protocol, and the URL to use it with.
func (r *rig) client(proto string) (*http.Client, string) {
	p := new(http.Protocols)
	tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{RootCAs: r.roots()}}
	url := "https://" + r.Addr(ListenerTLS).String()
	switch proto {
	case frontend.ProtoH2:
		p.SetHTTP2(true)
	case frontend.ProtoHTTP1:
		p.SetHTTP1(true)
	case frontend.ProtoH2C:
		p.SetUnencryptedHTTP2(true)
		url = "http://" + r.Addr(ListenerPlain).String()
	case "plain " + frontend.ProtoHTTP1:
		p.SetHTTP1(true)
		url = "http://" + r.Addr(ListenerPlain).String()
	default:
		r.t.Fatalf("no client speaks %q", proto)
	}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}, url
}

// get fetches url and returns the status and body.
func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// A line is one line of the access log.
type line struct {
	Event, PITag, Client, Listener, Path, Outcome, Cause, ALPN, Method string
	PIID, Stream, Txn, Streams                                         uint64
	Status                                                             int
	TLSVersion                                                         string `json:"tls_version"`
	GoAway                                                             string
}

// log returns the access lines and the session lines written so far; shut the
// gateway down first for all of them.
func (r *rig) log() (access, sessions []line) {
	r.t.Helper()
	sc := bufio.NewScanner(strings.NewReader(r.lines.String()))
	for sc.Scan() {
		var l line
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			r.t.Fatalf("%v: %s", err, sc.Text())
		}
		switch l.Event {
		case "access":
			access = append(access, l)
		case "session":
			sessions = append(sessions, l)
		}
	}
	return access, sessions
}

// metric adds up the samples of the metric name whose labels hold all of labels
// (`proto="h2"`).
func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	_, text := get(r.t, &http.Client{Transport: tr}, "http://"+r.AdminAddr().String()+"/metrics")
	sum := 0.0
lines:
	for _, l := range strings.Split(text, "\n") {
		series, value, _ := strings.Cut(l, " ")
		if strings.HasPrefix(l, "#") || series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		for _, want := range labels {
			if !strings.Contains(series, want) {
				continue lines
			}
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			r.t.Fatalf("%s: %v", l, err)
		}
		sum += v
	}
	return sum
}

// eventually waits for what happens in another goroutine's own time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

var protocols = []struct{ client, tag string }{
	{frontend.ProtoH2, "h2"},
	{frontend.ProtoHTTP1, "http/1.1"},
	{frontend.ProtoH2C, "h2c"},
	{"plain " + frontend.ProtoHTTP1, "http/1.1"},
}

func TestEveryProtocolIsServedLoggedAndCounted(t *testing.T) {
	r := newRig(t, nil, nil)
	const requests = 3
	for _, p := range protocols {
		c, url := r.client(p.client)
		for i := range requests {
			if status, body := get(t, c, fmt.Sprintf("%s/%s/%d", url, p.tag, i)); status != 200 || body != fmt.Sprintf("GET /%s/%d", p.tag, i) {
				t.Errorf("%s: %d %q", p.client, status, body)
			}
		}
		c.CloseIdleConnections()
	}
	eventually(t, "all connections are closed", func() bool { return len(r.Sessions()) == 0 })
	for tag, conns := range map[string]float64{"h2": 1, "h2c": 1, "http/1.1": 2} {
		label := fmt.Sprintf("proto=%q", tag)
		for name, want := range map[string]float64{
			"h2gw_connections_total": conns, "h2gw_connections_active": 0, "h2gw_connections_closed_total": conns,
			"h2gw_connection_streams_sum": requests * conns, "h2gw_connection_streams_count": conns,
			"h2gw_streams_total": requests * conns, "h2gw_requests_total": requests * conns,
		} {
			if got := r.metric(name, label); got != want {
				t.Errorf("%s{%s} is %v, want %v", name, label, got, want)
			}
		}
	}
	r.shutdown()
	access, sessions := r.log()
	if len(access) != requests*len(protocols) || len(sessions) != len(protocols) {
		t.Fatalf("%d access lines and %d session lines", len(access), len(sessions))
	}
	for _, s := range sessions {
		if s.Streams != requests || (s.Listener == ListenerTLS) != (s.TLSVersion != "") {
			t.Errorf("session line: %+v", s)
		}
		for _, a := range access {
			if a.PIID == s.PIID && (a.PITag != s.PITag || a.Client != s.Client || a.Listener != s.Listener) {
				t.Errorf("access line %+v does not belong to session line %+v", a, s)
			}
		}
	}
}

// The log of a real HTTP/2 run: pitag is h2, and piid tells the client
// connections apart, whichever order the streams came in.
func TestTheLogNamesTheProtocolAndTheRightConnection(t *testing.T) {
	r := newRig(t, nil, nil)
	counts := []int{1, 5, 17}
	var wg sync.WaitGroup
	for conn, n := range counts {
		c, url := r.client(frontend.ProtoH2)
		// One request first, so that the others find the connection open.
		get(t, c, fmt.Sprintf("%s/conn/%d", url, conn))
		for range n - 1 {
			wg.Go(func() {
				resp, err := c.Get(fmt.Sprintf("%s/conn/%d", url, conn))
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			})
		}
	}
	wg.Wait()
	r.shutdown()
	access, sessions := r.log()
	if len(access) != 1+5+17 || len(sessions) != len(counts) {
		t.Fatalf("%d access lines, %d session lines", len(access), len(sessions))
	}
	ids := map[string]uint64{} // path, which names the client connection, to piid
	streams := map[uint64]map[uint64]bool{}
	for _, a := range access {
		if a.PITag != "h2" || a.PIID == 0 || a.Stream%2 != 1 {
			t.Errorf("access line: %+v", a)
		}
		if id, seen := ids[a.Path]; seen && id != a.PIID {
			t.Errorf("connection of %s is %d and %d", a.Path, id, a.PIID)
		}
		ids[a.Path] = a.PIID
		if streams[a.PIID] == nil {
			streams[a.PIID] = map[uint64]bool{}
		}
		if streams[a.PIID][a.Stream] {
			t.Errorf("stream %d of connection %d is logged twice", a.Stream, a.PIID)
		}
		streams[a.PIID][a.Stream] = true
	}
	for conn, n := range counts {
		id := ids[fmt.Sprintf("/conn/%d", conn)]
		if len(streams[id]) != n {
			t.Errorf("connection %d (piid %d) has %d streams in the log, want %d", conn, id, len(streams[id]), n)
		}
		for _, s := range sessions {
			if s.PIID == id && (s.Streams != uint64(n) || s.PITag != "h2" || s.ALPN != "h2") {
				t.Errorf("session line: %+v, want %d streams", s, n)
			}
		}
	}
	if len(ids) != len(counts) {
		t.Errorf("ids: %v", ids)
	}
}

func TestGarbageClosesThatConnectionAndIsCounted(t *testing.T) {
	r := newRig(t, nil, nil)
	for _, tc := range []struct{ listener, send, cause string }{
		{ListenerPlain, "\x16\x03\x01\x00\x05hello", "client_error"},
		{ListenerTLS, "\x00\x01\x02\x03\x04\x05\x06\x07", "handshake_failed"},
		{ListenerTLS, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "handshake_failed"},
	} {
		before := r.metric("h2gw_connections_closed_total", `proto="*"`, `cause="`+tc.cause+`"`)
		c, err := net.Dial("tcp", r.Addr(tc.listener).String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, tc.send)
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadAll(c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s %q: the connection stays open", tc.listener, tc.send)
		}
		c.Close()
		eventually(t, "it is counted as "+tc.cause, func() bool {
			return r.metric("h2gw_connections_closed_total", `proto="*"`, `cause="`+tc.cause+`"`) == before+1
		})
	}
	if n := r.metric("h2gw_connections_total", `proto="*"`); n != 3 {
		t.Errorf("%v connections without a protocol, want 3", n)
	}
	if n := r.metric("h2gw_connections_active"); n != 0 {
		t.Errorf("%v connections active", n)
	}
	if n := r.metric("h2gw_tls_handshakes_total", `result="not_tls"`); n != 2 {
		t.Errorf("%v handshakes were not TLS, want 2", n)
	}
	// Others are served all the while.
	c, url := r.client(frontend.ProtoH2)
	if status, _ := get(t, c, url+"/"); status != 200 {
		t.Errorf("status %d after garbage", status)
	}
	r.shutdown()
	access, sessions := r.log()
	if len(access) != 1 || len(sessions) != 4 {
		t.Errorf("%d access and %d session lines, want 1 and 4", len(access), len(sessions))
	}
}

func TestConnectionsOverTheLimitAreRefusedAndCounted(t *testing.T) {
	r := newRig(t, nil, nil, "limits.sessions=1")
	c, url := r.client(frontend.ProtoH2)
	get(t, c, url+"/")
	other, otherURL := r.client(frontend.ProtoHTTP1)
	if _, err := other.Get(otherURL); err == nil {
		t.Error("a second connection is served")
	}
	eventually(t, "the refused connection is counted", func() bool {
		return r.metric("h2gw_connections_closed_total", `cause="limit"`) >= 1
	})
	get(t, c, url+"/again")
}

// A panic that the protocol's server did not recover ends its connection only.
func TestAPanicInAConnectionEndsOnlyThatOne(t *testing.T) {
	r := newRig(t, nil, func(c *Config) { c.Admin = "" })
	client, server := net.Pipe()
	client.Close()
	r.h2c = nil
	r.ServeConn(server, &frontend.Info{Protocol: frontend.ProtoH2C, Listener: ListenerPlain, Accepted: time.Now()})
	if n := r.panics.Load(); n != 1 {
		t.Errorf("%d panics counted", n)
	}
	if log := r.people.String(); !strings.Contains(log, "panic in a connection") || !strings.Contains(log, "goroutine") {
		t.Errorf("log: %s", log)
	}
	c, url := r.client(frontend.ProtoH2)
	get(t, c, url+"/")
	r.h2c = r.h2 // for the shutdown
	r.shutdown()
	_, sessions := r.log()
	if len(sessions) != 2 || !slices.ContainsFunc(sessions, func(l line) bool { return l.PITag == "h2c" && l.Cause == "internal_error" }) {
		t.Errorf("session lines: %+v", sessions)
	}
}

func TestAFailedStartLeavesNothingOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	// An address that no client connection of another process is given a port of.
	free, err := net.Listen("tcp", "127.0.0.77:0")
	if err != nil {
		t.Skip("no second loopback address:", err)
	}
	addr := free.Addr().String()
	free.Close()
	_, err = New(Config{
		Admin: addr, Plain: taken.Addr().String(), To: []string{"http://127.0.0.1:9"},
		AccessLog: t.TempDir() + "/log", Settings: config.Defaults(),
	})
	if err == nil {
		t.Fatal("no error")
	}
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Errorf("the admin address is still in use: %v", err)
	} else {
		again.Close()
	}
}

func TestShutdownBeforeStart(t *testing.T) {
	g, err := New(Config{Plain: "127.0.0.1:0", Admin: "127.0.0.1:0", To: []string{"http://127.0.0.1:9"}, AccessLogOff: true, Settings: config.Defaults()})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
