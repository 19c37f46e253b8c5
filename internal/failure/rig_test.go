package failure

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/h2gw/h2gw/internal/config"
	"github.com/h2gw/h2gw/internal/gateway"
	"github.com/h2gw/h2gw/internal/testkit"
)

// patience is how long a test waits for what must come; no test counts on a
// wait to be long enough for something not to come.
const patience = time.Minute

func TestMain(m *testing.M) {
	// What the runtime opens once (the poller, the resolver's files) is not a
	// descriptor that a test has lost.
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			c.Close()
		}
		ln.Close()
	}
	dir, err := os.MkdirTemp("", "failure")
	if err == nil {
		err = trustOwnOrigins(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := testkit.Run(m)
	os.RemoveAll(dir)
	os.Exit(code)
}

// begin is the first call of a test: when everything else of it has been closed,
// no goroutine and no descriptor may be left.
func begin(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	files := descriptors(t)
	t.Cleanup(func() {
		if err := testkit.Leaks(before); err != nil {
			t.Error(err)
		}
		end := time.Now().Add(patience)
		for now := descriptors(t); now > files; now = descriptors(t) {
			if time.Now().After(end) {
				t.Errorf("%d descriptors are open, %d were before", now, files)
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
}

// descriptors counts the process's open files; 0 where that cannot be known.
func descriptors(t *testing.T) int {
	names, err := os.ReadDir("/proc/self/fd")
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// A rig is a gateway on loopback with a listener of each kind.
type rig struct {
	*gateway.Gateway
	t       *testing.T
	lines   testkit.Buffer // access log
	people  testkit.Buffer // human log
	cleanup []func()       // closes clients
	settled bool
}

// newRig starts a gateway in front of the origins at addrs; set are settings.
// The test ends with settle, or this does it.
func newRig(t *testing.T, addrs []string, set ...string) *rig {
	t.Helper()
	r := &rig{t: t}
	cfg := gateway.Config{
		From: "127.0.0.1:0", SelfSigned: true, Plain: "127.0.0.1:0", Admin: "127.0.0.1:0",
		AccessLogOutput: &r.lines,
		Settings:        config.Defaults(),
		Log:             zerolog.New(&r.people).Level(zerolog.InfoLevel),
	}
	for _, a := range addrs {
		if !strings.Contains(a, "://") {
			a = "http://" + a
		}
		cfg.To = append(cfg.To, a)
	}
	for _, s := range set {
		if err := cfg.Settings.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	g, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Gateway = g
	g.Start()
	t.Cleanup(func() {
		if !r.settled {
			r.closeClients()
			r.shutdown()
		}
		if t.Failed() {
			t.Logf("log:\n%s", tail(r.people.String()))
		}
	})
	return r
}

// tail is what fits on a page.
func tail(s string) string { return s[max(0, len(s)-8000):] }

func (r *rig) closeClients() {
	for _, f := range r.cleanup {
		f()
	}
}

func (r *rig) shutdown() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		r.t.Errorf("shutdown: %v", err)
	}
}

// A line is one line of the access log.
type line struct {
	Event, PITag, Method, Path, Outcome, Cause string
	PIID, Stream, Txn, Streams                 uint64
	Status, Retries                            int
	BytesIn                                    int64  `json:"bytes_in"`
	BytesOut                                   int64  `json:"bytes_out"`
	H2Error                                    string `json:"h2_error"`
	OriginConn                                 uint64 `json:"origin_conn"`
	OriginReused                               bool   `json:"origin_reused"`
}

// settle closes the clients, waits until nothing is open any more, ends the
// gateway, and holds the counters and the log against each other: opened − closed
// = active = 0, one line per request, no panic. It returns the access lines.
func (r *rig) settle() []line {
	r.t.Helper()
	for _, m := range []string{"h2gw_connections_active", "h2gw_streams_active", "h2gw_vconn_open"} {
		r.eventually(m+" is 0", func() bool {
			r.closeClients() // Go's client keeps a connection of whose last request it has not heard the end
			return r.metric(m) == 0
		})
	}
	r.eventually("no origin connection is in use", func() bool { return r.metric("h2gw_origin_connections", `state="active"`) == 0 })
	opened, closed := r.metric("h2gw_connections_total"), r.metric("h2gw_connections_closed_total")
	streams, perConn, requests := r.metric("h2gw_streams_total"), r.metric("h2gw_connection_streams_sum"), r.metric("h2gw_requests_total")
	if n := r.metric("h2gw_panics_total"); n != 0 {
		r.t.Errorf("%v panics", n)
	}
	if n := r.metric("h2gw_access_log_dropped_total"); n != 0 {
		r.t.Errorf("%v access lines dropped", n)
	}
	retries := r.metric("h2gw_origin_retries_total")
	r.shutdown()
	r.settled = true
	access, sessions := r.log()
	// A connection that ended before it spoke a protocol is counted when it is
	// closed already: of these some may have come behind the counters.
	silent := 0
	for _, s := range sessions {
		if s.PITag == "" && s.Streams == 0 {
			silent++
		}
	}
	if late := float64(len(sessions)) - opened; opened != closed || late < 0 || late > float64(silent) {
		r.t.Errorf("%v connections opened, %v closed, %d session lines, %d of connections that spoke no protocol", opened, closed, len(sessions), silent)
	}
	if n := float64(len(access)); streams != n || perConn != n || requests != n {
		r.t.Errorf("%d access lines; counted are %v streams, %v by connection, %v requests", len(access), streams, perConn, requests)
	}
	r.oneLineEach(access, sessions)
	logged := 0
	for _, a := range access {
		logged += a.Retries
	}
	if told := strings.Count(r.people.String(), "the request is sent again"); retries != float64(logged) || told != 0 { // at info level: an outage is not to fill the log
		r.t.Errorf("retries: %v counted, %d in access lines, %d told to people", retries, logged, told)
	}
	return access
}

// oneLineEach: no transaction of a connection has two lines, and none is missing.
func (r *rig) oneLineEach(access, sessions []line) {
	r.t.Helper()
	type key struct{ conn, txn uint64 }
	seen, count := map[key]bool{}, map[uint64]uint64{}
	for _, a := range access {
		if k := (key{a.PIID, a.Txn}); seen[k] {
			r.t.Errorf("transaction %d of connection %d has two lines", a.Txn, a.PIID)
		} else {
			seen[k] = true
		}
		count[a.PIID]++
	}
	for _, s := range sessions {
		if s.Streams != count[s.PIID] {
			r.t.Errorf("connection %d: %d streams and %d access lines", s.PIID, s.Streams, count[s.PIID])
		}
	}
}

// log returns the access and session lines written so far.
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

// metric adds up the samples of the metric name that have all of labels.
func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := c.Get("http://" + r.AdminAddr().String() + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
lines:
	for l := range strings.Lines(string(text)) {
		series, value, _ := strings.Cut(strings.TrimSpace(l), " ")
		if series != name && !strings.HasPrefix(series, name+"{") {
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
func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// byPath returns the lines by path, of which each must be there once.
func (r *rig) byPath(access []line) map[string]line {
	r.t.Helper()
	m := make(map[string]line, len(access))
	for _, a := range access {
		if _, twice := m[a.Path]; twice {
			r.t.Errorf("two lines for %s", a.Path)
		}
		m[a.Path] = a
	}
	return m
}
