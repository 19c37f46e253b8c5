package e2e

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/h2gw/h2gw/internal/report"
)

// A loadResult is what h2load says of a run.
type loadResult struct {
	total, done, succeeded, failed, errored, timeout int
	s2xx, s3xx, s4xx, s5xx                           int
	text                                             string
}

var (
	requestsLine = regexp.MustCompile(`requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)
	statusLine   = regexp.MustCompile(`status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx`)
)

// h2load runs a load and returns its own count of it.
func h2load(t *testing.T, args ...string) loadResult {
	t.Helper()
	out := run(t, tool(t, "h2load"), args...)
	r := loadResult{text: out}
	fill := func(re *regexp.Regexp, into ...*int) {
		m := re.FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("h2load printed no line like %q:\n%s", re, tail(out, 3000))
		}
		for i, p := range into {
			*p, _ = strconv.Atoi(m[i+1])
		}
	}
	fill(requestsLine, &r.total, &r.done, &r.succeeded, &r.failed, &r.errored, &r.timeout)
	fill(statusLine, &r.s2xx, &r.s3xx, &r.s4xx, &r.s5xx)
	return r
}

// wantAllOK fails unless every request of the run was answered with 2xx.
func (r loadResult) wantAllOK(t *testing.T) {
	t.Helper()
	if r.total == 0 || r.succeeded != r.total || r.s2xx != r.total {
		t.Fatalf("of %d requests %d succeeded, %d with 2xx; %d failed, %d errored, %d timed out\n%s",
			r.total, r.succeeded, r.s2xx, r.failed, r.errored, r.timeout, tail(r.text, 3000))
	}
}

// reportJSON runs `h2gw report --json` over the gateway's log.
func (g *gateway) reportJSON() report.Summary {
	g.t.Helper()
	return decodeSummary(g.t, run(g.t, binary, "report", "--json", g.log))
}

// wantSameCounts stops the gateway after a load of n requests over conns
// connections of one protocol and compares h2load's numbers with Prometheus
// and with what `h2gw report` counts in the log: all must be equal.
func (g *gateway) wantSameCounts(proto string, conns, n int) {
	g.t.Helper()
	m := g.settle()
	check := func(what string, got float64, want int) {
		g.t.Helper()
		if got != float64(want) {
			g.t.Errorf("%s: %v, want %d as h2load counted", what, got, want)
		}
	}
	check("h2gw_connections_total", m.sum("h2gw_connections_total", "proto", proto), conns)
	check("h2gw_streams_total", m.sum("h2gw_streams_total", "proto", proto), n)
	check("h2gw_requests_total", m.sum("h2gw_requests_total", "proto", proto, "code", "200"), n)
	check("h2gw_outcomes_total{completed}", m.sum("h2gw_outcomes_total", "proto", proto, "outcome", "completed"), n)
	check("Σ h2gw_connection_streams", m.sum("h2gw_connection_streams", "proto", proto), n)
	g.quit()
	g.wantReport(proto, conns, n)
}

// loadArgs are h2load's arguments for one cell of a grid. A connection on which
// nothing happens for a minute has stalled; how long all takes is the machine's.
func loadArgs(conns, streams, n int, extra ...string) []string {
	args := []string{"-c" + strconv.Itoa(conns), "-m" + strconv.Itoa(streams), "-n" + strconv.Itoa(n),
		"-T", "540", "-N", "60"}
	return append(args, extra...)
}

// ATS stalled exactly here for years (#2749): many connections, many streams,
// bodies larger than a window.
func TestNoRequestStallsOverConnectionsStreamsAndBodies(t *testing.T) {
	const kib = 1 << 10
	addr, _ := startNginx(t, map[string][]byte{
		"small": bytes.Repeat([]byte("s"), 100), "10k": bytes.Repeat([]byte("k"), 10*kib), "1m": bytes.Repeat([]byte("m"), 1024*kib),
	})
	bodies := []struct {
		path string
		most int // requests of a cell at the most: enough to open every stream, but for the largest cells of 1 MiB
	}{{"/small", 25600}, {"/10k", 25600}, {"/1m", 1600}}
	// The largest cells have more streams than limits.origin_connections: they
	// wait their turn, and on a busy machine longer than the default 5 s.
	// Nor are 256 TLS handshakes at once, and what follows, over in the default 10 s there.
	g := startGateway(t, []string{addr}, "--set", "timeouts.connect=60s", "--set", "timeouts.handshake=60s", "--set", "timeouts.preface=60s")
	totalConns, totalRequests := 0, 0
	for _, conns := range []int{1, 4, 16, 64, 256} {
		for _, streams := range []int{1, 10, 100} {
			for _, b := range bodies {
				n := max(conns, min(b.most, max(conns*streams, 200)))
				t.Run(fmt.Sprintf("%d connections, %d streams, %s", conns, streams, strings.TrimPrefix(b.path, "/")), func(t *testing.T) {
					h2load(t, loadArgs(conns, streams, n, g.url(b.path))...).wantAllOK(t)
				})
				totalConns, totalRequests = totalConns+conns, totalRequests+n
			}
		}
	}
	g.wantSameCounts("h2", totalConns, totalRequests)
}

// The same over each protocol that h2load speaks.
func TestEveryCountAgreesOnEveryProtocol(t *testing.T) {
	addr, _ := startNginx(t, map[string][]byte{"small": []byte("small\n")})
	for _, c := range []struct {
		proto string
		args  func(g *gateway) []string
	}{
		{"h2", func(g *gateway) []string { return []string{g.url("/small")} }},
		{"h2c", func(g *gateway) []string { return []string{"http://" + g.plain + "/small"} }},
		{"http/1.1", func(g *gateway) []string { return []string{"--h1", g.url("/small")} }},
		{"http/1.1", func(g *gateway) []string { return []string{"--h1", "http://" + g.plain + "/small"} }},
	} {
		t.Run(c.proto, func(t *testing.T) {
			g := startGateway(t, []string{addr})
			h2load(t, loadArgs(7, 10, 3000, c.args(g)...)...).wantAllOK(t)
			g.wantSameCounts(c.proto, 7, 3000)
		})
	}
}

// The smallest windows a client can live with, and large ones.
func TestWindowSizesDoNotStall(t *testing.T) {
	addr, _ := startNginx(t, map[string][]byte{"1m": bytes.Repeat([]byte("m"), 1<<20)})
	g := startGateway(t, []string{addr})
	for _, w := range []string{"10", "16", "20", "30"} {
		t.Run("2^"+w, func(t *testing.T) {
			h2load(t, loadArgs(2, 10, 60, "-w"+w, "-W"+w, g.url("/1m"))...).wantAllOK(t)
		})
	}
	g.settle()
	g.quit()
}
