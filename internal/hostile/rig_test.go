package hostile

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
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/internal/config"
	"github.com/h2gw/h2gw/internal/gateway"
	"github.com/h2gw/h2gw/internal/testkit"
)

const (
	// patience is how long a test waits for what must come.
	patience = 30 * time.Second
	// slowest is how long the well-behaved client may wait for an answer while
	// an attack goes on, on a machine that has other things to do as well.
	slowest = 10 * time.Second
	// most is by how much the heap may grow in an attack, the attacker and
	// what the tests keep included.
	most = 128 << 20
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m)) }

// A rig is a gateway on loopback before an origin, and a witness.
type rig struct {
	*gateway.Gateway
	t      *testing.T
	origin *work
	lines  testkit.Buffer // access log
	people testkit.Buffer // human log
	closed bool
}

// work is an origin that knows how much it is made to do: its requests for
// /work take a second, those for /hold until they are let go, unless they are given
// up.
type work struct {
	begun, running, peak atomic.Int64
	held                 chan struct{} // a value lets one go
}

// letGo ends n requests for /hold.
func (w *work) letGo(n int) {
	for range n {
		w.held <- struct{}{}
	}
}

func (w *work) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/work":
		w.begun.Add(1)
		n := w.running.Add(1)
		for p := w.peak.Load(); n > p && !w.peak.CompareAndSwap(p, n); p = w.peak.Load() {
		}
		select {
		case <-r.Context().Done():
		case <-time.After(time.Second):
		}
		w.running.Add(-1)
	case "/hold":
		select {
		case <-r.Context().Done():
		case <-w.held:
		}
	case "/big":
		for range 1024 { // 32 MiB
			if _, err := rw.Write(piece); err != nil {
				return
			}
		}
		return
	}
	n, _ := io.Copy(io.Discard, r.Body)
	fmt.Fprintf(rw, "%s %s %d", r.Method, r.URL.Path, n)
}

// piece is what /big is made of.
var piece = bytes.Repeat([]byte("big "), 8<<10)

func newRig(t *testing.T, set ...string) *rig {
	t.Helper()
	origin := &work{held: make(chan struct{}, 1000)}
	srv := httptest.NewUnstartedServer(origin)
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		// Or the kernel takes megabytes for each connection, which is work
		// for the machine and none for the gateway.
		c.(*net.TCPConn).SetWriteBuffer(64 << 10)
		return ctx
	}
	srv.Start()
	t.Cleanup(srv.Close)
	r := newRigTo(t, srv.URL, set...)
	r.origin = origin
	return r
}

func newRigTo(t *testing.T, origin string, set ...string) *rig {
	t.Helper()
	r := &rig{t: t}
	cfg := gateway.Config{
		From: "127.0.0.1:0", SelfSigned: true, Plain: "127.0.0.1:0", Admin: "127.0.0.1:0",
		To: []string{origin}, AccessLogOutput: &r.lines, Settings: config.Defaults(),
		Log: zerolog.New(&r.people).Level(zerolog.WarnLevel),
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
	t.Cleanup(r.shutdown)
	return r
}

func (r *rig) shutdown() {
	if r.closed {
		return
	}
	r.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		r.t.Errorf("shutdown: %v", err)
	}
}

// A witness is the well-behaved client: one request after the other, from before
// the attack to after it.
type witness struct {
	stop    chan struct{}
	done    chan struct{}
	answers atomic.Int64
	longest time.Duration
	err     error
	heap    uint64 // the largest seen
	base    uint64 // before it began
}

// watch begins what the result ends.
func (r *rig) watch() *witness {
	w := &witness{stop: make(chan struct{}), done: make(chan struct{}), base: heap()}
	pool := x509.NewCertPool()
	pool.AddCert(r.Certificate().Leaf)
	p := new(http.Protocols)
	p.SetHTTP2(true)
	tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{RootCAs: pool}}
	c := &http.Client{Transport: tr, Timeout: patience}
	url := fmt.Sprintf("https://%s/hello", r.Addr(gateway.ListenerTLS))
	go func() {
		defer close(w.done)
		defer tr.CloseIdleConnections()
		for i := 0; ; i++ {
			began := time.Now()
			if w.err = ask(c, url, i); w.err != nil {
				return
			}
			w.answers.Add(1)
			w.longest = max(w.longest, time.Since(began))
			w.heap = max(w.heap, heapNow())
			select {
			case <-w.stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return w
}

func ask(c *http.Client, url string, i int) error {
	body := strings.Repeat("x", i%3000)
	resp, err := c.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf("POST /hello %d", len(body)); err != nil || resp.StatusCode != 200 || string(text) != want {
		return fmt.Errorf("status %d, %q, %v; want %q", resp.StatusCode, text, err, want)
	}
	return nil
}

// heap is what lives now, as near as can be known.
func heap() uint64 {
	runtime.GC()
	return heapNow()
}

// heapNow includes garbage that has not been collected, and stacks.
func heapNow() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// content says that the witness has had as many answers as it must have in an
// attack, at least.
func (w *witness) content() bool { return w.answers.Load() >= 3 }

// waits says that it is not, and may yet be.
func (w *witness) waits() bool {
	select {
	case <-w.done:
		return false
	default:
		return !w.content()
	}
}

// abide waits, while an attack goes on, until the witness waits no more. It does
// not say when that is never: wellServed does.
func (w *witness) abide() {
	for end := time.Now().Add(patience); w.waits() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// wellServed ends the witness and says what it saw.
func (w *witness) wellServed(t *testing.T) {
	t.Helper()
	close(w.stop)
	<-w.done
	switch {
	case w.err != nil:
		t.Errorf("the well-behaved client, after %d answers: %v", w.answers.Load(), w.err)
	case !w.content():
		t.Errorf("the well-behaved client got %d answers", w.answers.Load())
	case w.longest > slowest:
		t.Errorf("the well-behaved client waited %v for an answer", w.longest)
	case w.heap > w.base+most:
		t.Errorf("memory grew from %d to %d MiB", w.base>>20, w.heap>>20)
	}
	t.Logf("%d answers, the slowest after %v; memory grew by %d KiB", w.answers.Load(), w.longest.Round(time.Millisecond), (int64(w.heap)-int64(w.base))>>10)
}

// A line is one line of the access log.
type line struct {
	Event, Client, Cause, GoAway, Outcome string
	Status                                int
	Streams                               int64
	Refused                               int64 `json:"streams_refused"`
}

func (r *rig) log() (lines []line) {
	r.t.Helper()
	sc := bufio.NewScanner(strings.NewReader(r.lines.String()))
	for sc.Scan() {
		var l line
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			r.t.Fatalf("%v: %s", err, sc.Text())
		}
		lines = append(lines, l)
	}
	return lines
}

// session waits for the session line of a client's address.
func (r *rig) session(client string) line {
	r.t.Helper()
	var found line
	r.eventually("a session line of "+client, func() bool {
		for _, l := range r.log() {
			if l.Event == "session" && l.Client == client {
				found = l
				return true
			}
		}
		return false
	})
	return found
}

// metric adds up the samples of the metric name that have all of labels.
func (r *rig) metric(name string, labels ...string) (sum float64) {
	r.t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := c.Get("http://" + r.AdminAddr().String() + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	sc := bufio.NewScanner(resp.Body)
lines:
	for sc.Scan() {
		series, value, _ := strings.Cut(sc.Text(), " ")
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
			r.t.Fatalf("%s: %v", sc.Text(), err)
		}
		sum += v
	}
	return sum
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// settled waits until nothing of the attack is left.
func (r *rig) settled() {
	r.t.Helper()
	for _, m := range []string{"h2gw_streams_active", "h2gw_vconn_open"} {
		r.eventually(m+" is 0", func() bool { return r.metric(m) == 0 })
	}
	r.eventually("no memory is held but for open connections", func() bool {
		return r.metric("h2gw_memory_buffered_bytes") <= 64<<10*r.metric("h2gw_connections_active")
	})
	if n := r.metric("h2gw_panics_total"); n != 0 {
		r.t.Errorf("%v panics", n)
	}
}
