package gateway

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// After any run of honest, impatient and broken clients: opened − closed =
// active = 0, the streams that Prometheus counted by connection and one by one
// are the lines of the log, and every session line's streams are its access
// lines.
func TestLogAndMetricsAgreeAfterAnything(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		n, _ := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/"))
		io.Copy(io.Discard, req.Body)
		block := make([]byte, 1000)
		for range n {
			if _, err := w.Write(block); err != nil {
				return
			}
			if n%7 == 0 { // a slow one: cancelled in the middle
				http.NewResponseController(w).Flush()
				select {
				case <-time.After(5 * time.Millisecond):
				case <-req.Context().Done():
					return
				}
			}
		}
	}, nil, "limits.streams=8")
	var wg sync.WaitGroup
	var dials dialer
	var clients [40]*http.Client
	for i := range clients {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 1))
			if i%10 == 9 {
				garbage(t, r, &dials, rnd)
				return
			}
			c, url := r.client(protocols[i%len(protocols)].client)
			c.Transport.(*http.Transport).DialContext = dials.dial
			clients[i] = c
			clientRun(c, url, rnd)
		})
	}
	wg.Wait()
	made := dials.end()
	eventually(t, "all connections are closed", func() bool {
		for _, c := range clients {
			if c != nil {
				c.CloseIdleConnections() // what was being given up is idle by and by
			}
		}
		// Those not accepted yet are not open either.
		return r.metric("h2gw_connections_closed_total") == float64(made) && len(r.Sessions()) == 0 && r.front.Open() == 0
	})
	eventually(t, "all records are written", func() bool { return r.machine.Stats().Active == 0 })
	for _, m := range []string{"h2gw_connections_active", "h2gw_streams_active", "h2gw_vconn_open"} {
		eventually(t, m+" is 0", func() bool { return r.metric(m) == 0 })
	}
	counted := map[string]float64{}
	for _, m := range []string{"h2gw_connections_total", "h2gw_connections_closed_total", "h2gw_connection_streams_sum", "h2gw_connection_streams_count", "h2gw_streams_total", "h2gw_requests_total", "h2gw_outcomes_total"} {
		for _, tag := range []string{"h2", "h2c", "http/1.1", "*"} {
			counted[m+" "+tag] = r.metric(m, fmt.Sprintf("proto=%q", tag))
		}
	}
	r.shutdown()
	access, sessions := r.log()
	lines, conns := map[string]float64{}, map[string]float64{}
	perSession := map[uint64]uint64{}
	for _, a := range access {
		lines[a.PITag]++
		perSession[a.PIID]++
	}
	for _, s := range sessions {
		conns[tagLabel(s.PITag)]++
		if s.Streams != perSession[s.PIID] {
			t.Errorf("session %s#%d says %d streams and has %d access lines", s.PITag, s.PIID, s.Streams, perSession[s.PIID])
		}
	}
	for _, tag := range []string{"h2", "h2c", "http/1.1", "*"} {
		for _, m := range []string{"h2gw_connection_streams_sum", "h2gw_streams_total", "h2gw_requests_total", "h2gw_outcomes_total"} {
			if counted[m+" "+tag] != lines[tag] {
				t.Errorf("%s of %s is %v, the log has %v lines", m, tag, counted[m+" "+tag], lines[tag])
			}
		}
		for _, m := range []string{"h2gw_connections_total", "h2gw_connections_closed_total", "h2gw_connection_streams_count"} {
			if counted[m+" "+tag] != conns[tag] {
				t.Errorf("%s of %s is %v, the log has %v connections", m, tag, counted[m+" "+tag], conns[tag])
			}
		}
	}
	if len(access) < 300 {
		t.Errorf("only %d requests: the run shows nothing", len(access))
	}
}

// tagLabel is the proto label of a tag in the log, where absent is left out.
func tagLabel(tag string) string {
	if tag == "" {
		return "*"
	}
	return tag
}

// clientRun sends requests, some at once, and gives up on some of them.
func clientRun(c *http.Client, url string, rnd *rand.Rand) {
	var wg sync.WaitGroup
	for range 25 {
		size, patience, posts := rnd.IntN(60), time.Minute, rnd.IntN(3) == 0
		if rnd.IntN(4) == 0 {
			patience = time.Duration(rnd.IntN(20)) * time.Millisecond
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			var body io.Reader
			method := http.MethodGet
			if posts {
				method, body = http.MethodPost, strings.NewReader(strings.Repeat("b", size*1000))
			}
			req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("%s/%d", url, size), body)
			if err != nil {
				return
			}
			if resp, err := c.Do(req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
		if rnd.IntN(3) == 0 {
			wg.Wait()
		}
	}
	wg.Wait()
}

// A dialer counts connections. A client that has given up a request may dial for it
// all the same, behind the end of all that is asked of it.
type dialer struct {
	mu   sync.Mutex
	over bool
	made int
}

func (d *dialer) dial(_ context.Context, network, addr string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return nil, net.ErrClosed
	}
	c, err := net.Dial(network, addr) // nobody waits long on loopback
	if err == nil {
		d.made++
	}
	return c, err
}

// end lets nobody dial any more, and returns how many connections there were.
func (d *dialer) end() (made int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	return d.made
}

// garbage connects and sends what is no protocol.
func garbage(t *testing.T, r *rig, d *dialer, rnd *rand.Rand) {
	for range 5 {
		listener := []string{ListenerTLS, ListenerPlain}[rnd.IntN(2)]
		c, err := d.dial(t.Context(), "tcp", r.Addr(listener).String())
		if err != nil {
			t.Error(err)
			return
		}
		b := make([]byte, rnd.IntN(100))
		for i := range b {
			b[i] = byte(rnd.IntN(256))
		}
		c.Write(b)
		c.Close()
	}
}
