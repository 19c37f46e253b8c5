package failure

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

// Requests that share origin connections, in front of a real origin and of a
// hostile one: nobody ever gets the response to the request of another.

// identities is how many requests a test sends. H2GW_IDENTITIES sets another
// number: a release wants a million (make identities).
func identities(t *testing.T, usually int) int64 {
	if s := os.Getenv("H2GW_IDENTITIES"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatalf("H2GW_IDENTITIES=%s: %v", s, err)
		}
		return n
	}
	return int64(scaled(usually))
}

// nobody is the identity of responses that nobody has asked for.
const nobody = "nobody"

// manyLeave: at full size a session cancels more than the flood bound allows.
// Whoever it closes has not got a wrong response, nor any.
const manyLeave = "floods.resets=off"

// An identityRun sends requests whose targets are all different, and looks at
// whose response each gets.
type identityRun struct {
	t     *testing.T
	total int64

	asked, own, nobodys, failed, left atomic.Int64
}

// run has clients of both protocols send all requests, many at a time.
func (d *identityRun) run(r *rig) {
	var wg sync.WaitGroup
	for range 6 {
		c := r.client(overH2)
		for range 32 {
			wg.Go(func() { d.ask(c) })
		}
	}
	for range 16 {
		c := r.client(overTLS1)
		c.h2.Transport.(*http.Transport).DisableKeepAlives = false
		wg.Go(func() { d.ask(c) })
	}
	wg.Wait()
}

// ask sends requests one after the other. A few it does not wait for.
func (d *identityRun) ask(c *caller) {
	for n := d.asked.Add(1); n <= d.total; n = d.asked.Add(1) {
		method, target := "GET", fmt.Sprintf("/%d?%x", n, rand.Uint32())
		if n%16 == 0 {
			method = "HEAD"
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		leaves := n%50 == 0
		if leaves {
			time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, cancel)
		}
		a := c.send(ctx, method, target, nil)
		cancel()
		d.judge(method, target, leaves, &a)
	}
}

func (d *identityRun) judge(method, target string, leaves bool, a *answer) {
	id, whole := a.header.Get("X-Id"), a.err == nil && a.status == 200
	switch {
	case whole && id == target && (method == "HEAD" || a.body == target):
		d.own.Add(1)
	case leaves && a.err != nil:
		d.left.Add(1)
	case id == nobody && strings.HasPrefix(nobody, a.body):
		d.nobodys.Add(1)
	case a.status >= 500 && a.header.Get("Proxy-Status") != "", a.err != nil && !a.hung() && (id == "" || id == target):
		d.failed.Add(1)
	default:
		d.t.Errorf("%s %s got %v, X-Id %q", method, target, a, id)
	}
}

// identified is the response to a request for target.
func identified(method, target string) string {
	body := target
	if method == "HEAD" {
		body = ""
	}
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Id: %s\r\nContent-Length: %d\r\n\r\n%s", target, len(target), body)
}

func TestEveryResponseFindsItsRequestBehindNginx(t *testing.T) {
	addr := startNginx(t)
	begin(t)
	r := newRig(t, []string{addr}, "origin.pipeline=32", manyLeave)
	d := &identityRun{t: t, total: identities(t, 40_000)}
	start := time.Now()
	d.run(r)
	shared, batches := r.metric("h2gw_origin_pipeline_requests_total"), r.metric("h2gw_origin_pipeline_batches_total")
	retries := r.metric("h2gw_origin_retries_total")
	t.Logf("%d requests in %v: %d got their own response, %d left, %d failed; %.0f shared connections, in %.0f writes; %.0f retries",
		d.total, time.Since(start).Round(time.Millisecond), d.own.Load(), d.left.Load(), d.failed.Load(), shared, batches, retries)
	if d.failed.Load() != 0 || d.nobodys.Load() != 0 || d.own.Load() < d.total*9/10 {
		t.Errorf("%d failed, %d got nobody's, %d their own", d.failed.Load(), d.nobodys.Load(), d.own.Load())
	}
	if n := r.metric("h2gw_origin_pipeline_stray_total"); n != 0 {
		t.Errorf("%v stray", n)
	}
	if shared < float64(d.total)/2 {
		t.Errorf("only %.0f of %d requests shared a connection", shared, d.total)
	}
	r.settle()
}

// startNginx starts an nginx that answers every request with its target. It
// closes connections after a number of requests, as it does by default.
func startNginx(t *testing.T) (addr string) {
	exe, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("H2GW_E2E") == "require" {
			t.Fatal("nginx is not installed and H2GW_E2E=require is set")
		}
		t.Skip("nginx is not installed: this test did not run")
	}
	dir, socket := t.TempDir(), testkit.NewHandover(t)
	addr = socket.Addr
	var paths strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&paths, "%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	conf := fmt.Sprintf(`worker_processes 2; daemon off; pid %s/pid; error_log stderr;
events { worker_connections 2048; }
http { access_log off; keepalive_requests 1000; %s
server { listen %s; location / { add_header X-Id $request_uri; return 200 $request_uri; } } }
`, dir, paths.String(), addr)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-p", dir, "-c", file)
	if err := socket.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	return addr
}

// treacherous answers as an origin that is out to have its responses go astray:
// in pieces and with pauses, with a part of a batch and then nothing, with bytes
// between responses and behind them, and with whole responses that nobody has
// asked for. After one of those it answers no more: then the next would look as
// the right one to anybody, and there is no defence but not to share.
func treacherous(p *peer) {
	rnd := rand.New(rand.NewPCG(uint64(p.number), 13))
	br := bufio.NewReaderSize(p, 64<<10)
	for {
		batch, ends, err := readBatch(br)
		if err != nil {
			return
		}
		switch n := rnd.IntN(1000); {
		case n < 750:
			p.send(batch)
		case n < 950:
			for len(batch) > 0 {
				k := 1 + rnd.IntN(len(batch))
				p.send(batch[:k])
				batch = batch[k:]
				if rnd.IntN(8) == 0 {
					time.Sleep(time.Duration(rnd.IntN(2000)) * time.Microsecond)
				}
			}
		case n < 994:
			time.Sleep(time.Duration(rnd.IntN(3000)) * time.Microsecond)
			p.send(batch)
		default:
			betray(p, rnd, batch, ends)
			return
		}
	}
}

// betray is how a connection to a treacherous origin ends.
func betray(p *peer, rnd *rand.Rand, batch string, ends []int) {
	at := ends[rnd.IntN(len(ends))] // behind one of the responses
	switch rnd.IntN(8) {
	case 0: // anywhere
		p.send(batch[:rnd.IntN(len(batch))])
	case 1:
		p.send(batch[:rnd.IntN(len(batch))])
		p.reset()
	case 2:
		p.send(batch[:at])
	case 3:
		p.send(batch[:at] + "stray" + batch[at:])
		p.gone()
	case 4:
		p.send(batch[:at] + "\r\n" + batch[at:])
		p.gone()
	case 5:
		p.send(batch + identified("GET", nobody))
		p.gone()
	case 6: // with a length that is not true, the rest reads as something else
		p.send(batch[:at] + "HTTP/1.1 200 OK\r\nX-Id: " + nobody + "\r\nContent-Length: 3\r\n\r\n" + nobody + batch[at:])
		p.gone()
	case 7:
		p.send(batch[:at] + "HTTP/1.1 200 OK\r\nConnection: close\r\nX-Id: " + nobody + "\r\nContent-Length: 6\r\n\r\n" + nobody + batch[at:])
		p.gone()
	}
}

// readBatch reads the requests that are there, at least one, and returns the
// responses, and where each ends.
func readBatch(br *bufio.Reader) (batch string, ends []int, err error) {
	var b strings.Builder
	for b.Len() == 0 || br.Buffered() > 0 {
		line, err := br.ReadString('\n')
		if err != nil {
			return "", nil, err
		}
		for l := line; l != "\r\n"; {
			if l, err = br.ReadString('\n'); err != nil {
				return "", nil, err
			}
		}
		f := strings.Fields(line)
		b.WriteString(identified(f[0], f[1]))
		ends = append(ends, b.Len())
	}
	return b.String(), ends, nil
}

func TestEveryResponseFindsItsRequestBehindATreacherousOrigin(t *testing.T) {
	begin(t)
	var origins []*origin
	var addrs []string
	for range 8 { // an endpoint that is caught shares no connections for a while
		o := startOrigin(t, treacherous)
		origins, addrs = append(origins, o), append(addrs, o.addr())
	}
	r := newRig(t, addrs, "origin.pipeline=16", "timeouts.response_head=2s", manyLeave)
	d := &identityRun{t: t, total: identities(t, 12_000)}
	start := time.Now()
	d.run(r)
	var conns int64
	for _, o := range origins {
		conns += o.accepted.Load()
	}
	shared, stray := r.metric("h2gw_origin_pipeline_requests_total"), r.metric("h2gw_origin_pipeline_stray_total")
	t.Logf("%d requests in %v: %d got their own response, %d nobody's, %d none, %d left; %.0f on shared connections, %d connections, %.0f with stray bytes, %.0f retries",
		d.total, time.Since(start).Round(time.Millisecond), d.own.Load(), d.nobodys.Load(), d.failed.Load(), d.left.Load(),
		shared, conns, stray, r.metric("h2gw_origin_retries_total"))
	if d.own.Load() < d.total/2 || shared < float64(d.total)/10 {
		t.Errorf("only %d got their own response, %.0f were on shared connections", d.own.Load(), shared)
	}
	r.settle()
}
