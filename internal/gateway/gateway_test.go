package gateway

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/config"
	"github.com/h2gw/h2gw/internal/frontend"
)

func TestEveryProtocolIsServedLoggedAndCounted(t *testing.T) {
	r := newRig(t, nil, nil)
	const requests = 3
	for _, p := range protocols {
		c, url := r.loyal(p.client)
		for i := range requests {
			if status, body := get(t, c, fmt.Sprintf("%s/%s/%d", url, p.tag, i)); status != 200 || body != fmt.Sprintf("GET /%s/%d", p.tag, i) {
				t.Errorf("%s: %d %q", p.client, status, body)
			}
		}
		c.CloseIdleConnections()
	}
	eventually(t, "all connections are closed, and counted", func() bool { return r.front.Open() == 0 && r.machine.Stats().Active == 0 })
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
		c, url := r.loyal(frontend.ProtoH2)
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
	c, url := r.loyal(frontend.ProtoH2)
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
	r.ServeConn(server, &frontend.Info{Protocol: frontend.ProtoH2C, Listener: ListenerPlain, Accepted: time.Now()}, func() {})
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
