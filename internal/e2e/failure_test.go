package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

// A liar is an origin that answers each connection with fixed bytes and closes.
func startLiar(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, answer)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestAnOriginThatFailsIsNamedToTheClientAndInTheLog(t *testing.T) {
	nobody := testkit.ReservePort(t)
	for _, c := range []struct {
		name, origin, status, outcome string
		args                          []string
	}{
		{"down", nobody, "502", "connection_refused", nil},
		{"silent", startLiarThatNeverAnswers(t), "504", "http_response_timeout", []string{"--set", "timeouts.response_head=300ms"}},
		{"not HTTP", startLiar(t, "SSH-2.0-OpenSSH_9\r\n\r\n"), "502", "http_protocol_error", nil},
		{"two lengths", startLiar(t, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "502", "http_protocol_error", nil},
		{"closes in the head", startLiar(t, "HTTP/1.1 200 OK\r\nContent-"), "502", "http_response_incomplete", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := startGateway(t, []string{c.origin}, c.args...)
			for _, version := range []string{"--http2", "--http1.1"} {
				head := strings.ToLower(g.curl(t, version, "-i", g.url("/")))
				if !strings.Contains(head, " "+c.status) {
					t.Errorf("%s: want status %s:\n%s", version, c.status, head)
				}
				if !strings.Contains(head, "proxy-status: h2gw; error="+c.outcome) {
					t.Errorf("%s: want a Proxy-Status with error=%s:\n%s", version, c.outcome, head)
				}
			}
			g.settle()
			g.quit()
			access, _ := g.logLines()
			if len(access) != 2 {
				t.Fatalf("2 requests made %d access lines", len(access))
			}
			for _, line := range access {
				if line["outcome"] != c.outcome || fmt.Sprint(line["status"]) != c.status {
					t.Errorf("log says outcome %v, status %v; want %s, %s", line["outcome"], line["status"], c.outcome, c.status)
				}
			}
		})
	}
}

func startLiarThatNeverAnswers(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // never accepts: the backlog completes the handshake
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// A response cut short must never look complete.
func TestATruncatedResponseNeverLooksComplete(t *testing.T) {
	origin := startLiar(t, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
	g := startGateway(t, []string{origin})
	for _, version := range []string{"--http2", "--http1.1"} {
		out, code := runCode(t, nil, tool(t, "curl"), "-sS", "-k", "--max-time", "120", version, g.url("/"))
		if code == 0 {
			t.Errorf("curl %s took a truncated response for a whole one: %q", version, out)
		}
	}
	g.settle()
	g.quit()
	access, _ := g.logLines()
	for _, line := range access {
		if line["outcome"] != "http_response_incomplete" {
			t.Errorf("log says outcome %v, want http_response_incomplete", line["outcome"])
		}
	}
}

func TestAnOriginKilledUnderLoadCostsErrorsButNoStalls(t *testing.T) {
	addr, nginx := startNginx(t, map[string][]byte{"page": []byte("page\n")})
	g := startGateway(t, []string{addr})
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		// In the middle: when the first answers are in the log.
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
			if st, err := os.Stat(g.log); err == nil && st.Size() > 0 {
				break
			}
		}
		nginx.kill()
	}()
	// At a pace, or all may be over before the log tells of the first.
	r := h2load(t, loadArgs(4, 10, 20000, "--rps=1000", g.url("/page"))...)
	<-killed
	if r.done != r.total || r.timeout != 0 {
		t.Errorf("of %d requests %d were answered, %d timed out: want an answer to each", r.total, r.done, r.timeout)
	}
	if r.s2xx == 0 || r.s5xx == 0 {
		t.Errorf("%d answers of the origin, %d that it is gone: want some of both", r.s2xx, r.s5xx)
	}
	m := g.settle()
	if n := m.sum("h2gw_streams_total"); n != float64(r.total) {
		t.Errorf("%v streams counted, want %d", n, r.total)
	}
	g.quit()
	access, _ := g.logLines()
	if len(access) != r.total {
		t.Errorf("%d access lines for %d requests", len(access), r.total)
	}
}

// Garbage closes its connection, is counted, and harms nobody else.
func TestGarbageOnAListenerClosesThatConnectionOnly(t *testing.T) {
	addr, _ := startNginx(t, map[string][]byte{"page": []byte("page\n")})
	g := startGateway(t, []string{addr})
	garbage := []string{"\x00\x01\x02\x03garbage\r\n\r\n", "SSH-2.0-x\r\n\r\n", "GET / HTTP/3.7\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", strings.Repeat("A", 70000)}
	for _, listener := range []string{g.tls, g.plain} {
		for _, text := range garbage {
			closedAfter(t, listener, text)
		}
	}
	if got := g.curl(t, "--http2", g.url("/page")); got != "page\n" {
		t.Errorf("after the garbage an honest client got %q", got)
	}
	// A connection that never spoke a protocol is counted when it is closed already.
	eventually(t, "every connection is counted", func() bool {
		return g.metrics().sum("h2gw_connections_total") >= float64(2*len(garbage)+1)
	})
	m := g.settle()
	if n := m.sum("h2gw_connections_total"); n != float64(2*len(garbage)+1) {
		t.Errorf("%v connections counted, want %d", n, 2*len(garbage)+1)
	}
	if n := m.sum("h2gw_connections_closed_total", "cause", "handshake_failed"); n != float64(len(garbage)) {
		t.Errorf("%v failed handshakes counted, want %d", n, len(garbage))
	}
	g.quit()
	_, session := g.logLines()
	if len(session) != 2*len(garbage)+1 {
		t.Errorf("%d session lines for %d connections", len(session), 2*len(garbage)+1)
	}
}

func closedAfter(t *testing.T, addr, text string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(c, text)
	// Reading to the end must end: closed or reset, not the deadline.
	if _, err := io.Copy(io.Discard, c); os.IsTimeout(err) {
		t.Errorf("%s did not close a connection that began with %.20q", addr, text)
	}
}

// Several real connections at once: each stream's line names its own.
func TestEachStreamIsLoggedWithTheConnectionItCameOn(t *testing.T) {
	addr, _ := startNginx(t, map[string][]byte{"page": []byte("page\n")})
	g := startGateway(t, []string{addr})
	locals := map[string]int{} // client address of a connection → requests sent on it
	for conn := range 4 {
		var local string
		tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				local = c.LocalAddr().String()
			}
			return c, err
		}
		client := &http.Client{Transport: tr, Timeout: time.Minute}
		for range conn + 1 {
			res, err := client.Get(g.url("/page"))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		locals[local] = conn + 1
		tr.CloseIdleConnections()
	}
	g.settle()
	g.quit()
	g.wantSessionLinesLast()
	access, session := g.logLines()
	byClient := map[string]any{}
	for _, line := range session {
		byClient[line["client"].(string)] = line["piid"]
		if line["streams"] != float64(locals[line["client"].(string)]) || line["pitag"] != "h2" {
			t.Errorf("session of %v: pitag %v with %v streams, want h2 with %d", line["client"], line["pitag"], line["streams"], locals[line["client"].(string)])
		}
	}
	if len(byClient) != 4 {
		t.Fatalf("session lines for %d clients, want 4", len(byClient))
	}
	seen := map[string][]float64{}
	for _, line := range access {
		client := line["client"].(string)
		if line["pitag"] != "h2" || line["piid"] != byClient[client] {
			t.Errorf("access line of %s has pitag %v piid %v, its connection is h2 %v", client, line["pitag"], line["piid"], byClient[client])
		}
		seen[client] = append(seen[client], line["stream"].(float64))
	}
	for client, n := range locals {
		slices.Sort(seen[client])
		if got := slices.Compact(seen[client]); len(got) != n {
			t.Errorf("client %s: streams %v in the log, want %d distinct ones", client, got, n)
		}
	}
}

// wantSessionLinesLast: the session line is the last of its connection's lines.
func (g *gateway) wantSessionLinesLast() {
	g.t.Helper()
	text, err := os.ReadFile(g.log)
	if err != nil {
		g.t.Fatal(err)
	}
	ended := map[float64]bool{}
	for line := range strings.Lines(string(text)) {
		var l struct {
			Event string
			Piid  float64
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			g.t.Fatal(err)
		}
		if ended[l.Piid] {
			g.t.Errorf("a line of connection %v follows its session line: %s", l.Piid, line)
		}
		ended[l.Piid] = l.Event == "session"
	}
}
