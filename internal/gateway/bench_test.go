package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/internal/config"
	"github.com/h2gw/h2gw/internal/frontend"
)

// endToEnd is a whole gateway with everything that is on by default, one HTTP/2
// client connection and an origin that answers at once.
func endToEnd(tb testing.TB, s shape, log, tcp bool, set ...string) *leanClient {
	tb.Helper()
	cfg := Config{
		Plain: "127.0.0.1:0", To: []string{"http://" + leanOrigin(tb, s)},
		AccessLogOutput: io.Discard, AccessLogOff: !log,
		Settings: config.Defaults(), Log: zerolog.Nop(),
	}
	for _, v := range set {
		if err := cfg.Settings.Set(v); err != nil {
			tb.Fatal(err)
		}
	}
	g, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	g.Start()
	conn, done := connect(tb, g, tcp)
	tb.Cleanup(func() {
		conn.Close()
		<-done
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.Shutdown(ctx); err != nil {
			tb.Error(err)
		}
	})
	c, err := newLeanClient(conn, s)
	if err != nil {
		tb.Fatal(err)
	}
	// Pools, stacks, tables and origin connections get the size they stay at.
	if err := c.do(2000, inFlight); err != nil {
		tb.Fatal(err)
	}
	return c
}

// inFlight is how many requests the client has under way, as in the workload
// "small" of bench/.
const inFlight = 32

// connect returns a client's connection that the gateway serves, in memory or
// through its cleartext listener.
func connect(tb testing.TB, g *Gateway, tcp bool) (net.Conn, <-chan struct{}) {
	done := make(chan struct{})
	if tcp {
		close(done)
		c, err := net.Dial("tcp", g.Addr(ListenerPlain).String())
		if err != nil {
			tb.Fatal(err)
		}
		return c, done
	}
	client, server := leanPipe()
	go g.ServeConn(server, &frontend.Info{Listener: ListenerTLS, Protocol: frontend.ProtoH2, Accepted: time.Now(),
		Client: netip.MustParseAddrPort("192.0.2.1:40001"), Local: netip.MustParseAddrPort("192.0.2.2:443")}, func() { close(done) })
	return client, done
}

var shapes = []struct {
	name string
	shape
}{
	{"get", shape{method: "GET", fields: 5, body: 100}},
	{"get-30-fields", shape{method: "GET", fields: 30, body: 100}},
	{"get-10k", shape{method: "GET", fields: 5, body: 10 << 10}},
	{"post-10k", shape{method: "POST", fields: 5, post: 10 << 10, body: 100}},
}

// BenchmarkEndToEnd is what a request costs from the client's frames to the
// client's frames: session, virtual connection, transaction, and an origin over
// loopback TCP, whose share (and the client's, little) is included in the time
// but allocates nothing.
//
//	go test ./internal/gateway -run xxx -bench EndToEnd/get/ -cpuprofile cpu.prof
func BenchmarkEndToEnd(b *testing.B) {
	run := func(name string, s shape, log, tcp bool) {
		b.Run(name, func(b *testing.B) {
			c := endToEnd(b, s, log, tcp)
			b.ReportAllocs()
			b.ResetTimer()
			if err := c.do(b.N, inFlight); err != nil {
				b.Fatal(err)
			}
		})
	}
	for _, s := range shapes {
		run(s.name+"/log=off", s.shape, false, false)
		run(s.name+"/log=on", s.shape, true, false)
	}
	// The client's side through a listener and a socket, cleartext.
	run("get/tcp-client", shapes[0].shape, false, true)
}

// mostAllocations is what one request may allocate in steady state, in all of
// the process. What 25 more fields on each side may add is nothing.
const (
	mostAllocations = 3
	// noise is what timers, the runtime and a pool that has to grow once more
	// make of it, spread over all requests.
	noise = 0.05
)

func TestARequestAllocatesLittleAndNoMoreWithManyFields(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector pools drop what they are given")
	}
	for _, log := range []bool{false, true} {
		t.Run(fmt.Sprintf("log=%v", log), func(t *testing.T) {
			few := allocations(t, shapes[0].shape, log)
			many := allocations(t, shapes[1].shape, log)
			t.Logf("allocations per request: %.2f with 5 fields each way, %.2f with 30", few, many)
			if max(few, many) > mostAllocations+noise {
				t.Errorf("want at most %v", mostAllocations)
			}
			if many > few+noise {
				t.Errorf("they grow with the number of fields")
			}
		})
	}
}

// allocations counts what the whole process allocates per request.
func allocations(t *testing.T, s shape, log bool) float64 {
	t.Helper()
	c := endToEnd(t, s, log, false)
	const n = 20000
	var before, after runtime.MemStats
	// A collection within would empty the pools, which costs a few hundred
	// allocations whenever it comes and nothing for each request.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	if err := c.do(n/10, inFlight); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&before)
	if err := c.do(n, inFlight); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / n
}

// The benchmark must fail when the gateway does not do its work.
func TestALeanClientSeesWhatWentWrong(t *testing.T) {
	s := shapes[0].shape
	c := endToEnd(t, s, false, false)
	c.shape.body++
	if err := c.do(10, 5); err == nil {
		t.Error("bodies of another size than wanted, and no error")
	}
	for _, s := range shapes[2:] {
		if err := endToEnd(t, s.shape, true, true).do(300, 7); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}
