package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/internal/config"
	"github.com/h2gw/h2gw/internal/frontend"
	"github.com/h2gw/h2gw/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m)) }

// A rig is a gateway on loopback in front of an origin of the test's making.
type rig struct {
	*Gateway
	t      *testing.T
	origin *httptest.Server
	lines  testkit.Buffer // access log
	people testkit.Buffer // human log
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
	BytesIn                                                            int64 `json:"bytes_in"`
	TLSResumed                                                         bool  `json:"tls_resumed"`
	BytesOut                                                           int64 `json:"bytes_out"`
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
		end := max(strings.LastIndexByte(l, ' '), 0) // a label may hold a space
		series, value := l[:end], strings.TrimSpace(l[end:])
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
