package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A gatewayProcess is a running `h2gw proxy`, and where it listens.
type gatewayProcess struct {
	*process
	tls, plain, admin, log string
}

// startProxy runs h2gw in front of origin on free ports, with a listener of each
// kind, and waits until it is ready.
func startProxy(t *testing.T, origin string, args ...string) *gatewayProcess {
	t.Helper()
	g := &gatewayProcess{log: filepath.Join(t.TempDir(), "access.log")}
	g.process = start(t, []string{"H2GW_ADMIN=127.0.0.1:0"}, append([]string{"proxy", "--from", "127.0.0.1:0", "--self-signed",
		"--plain", "127.0.0.1:0", "--to", origin, "--access-log", g.log}, args...)...)
	g.find()
	return g
}

// find reads from the log for people where h2gw listens: with port 0 no other
// process can take the port in between.
func (g *gatewayProcess) find() {
	g.t.Helper()
	eventually(g.t, "h2gw listens", func() bool {
		select {
		case <-g.exited:
			g.t.Fatal("h2gw has ended")
		default:
		}
		for l := range strings.Lines(g.err.String()) {
			var e struct{ Message, Listener, Addr string }
			if json.Unmarshal([]byte(l), &e) != nil {
				continue
			}
			switch {
			case strings.HasPrefix(e.Message, "admin address"):
				g.admin = e.Addr
			case e.Message == "listening" && e.Listener == "tls":
				g.tls = e.Addr
			case e.Message == "listening" && e.Listener == "plain":
				g.plain = e.Addr
			}
		}
		return g.plain != "" // the last one
	})
}

// status fetches url on a connection of its own and returns the status code, or
// 0 when there was no whole answer.
func status(url string) int {
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := c.Get(url)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0 // and whoever closes before the end is a client that left
	}
	return resp.StatusCode
}

// h2Client returns a client with its own connections that speaks HTTP/2 only.
func h2Client(t *testing.T) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP2(true)
	tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// events counts the lines of the access log by kind of event and outcome.
func (g *gatewayProcess) events() map[string]int {
	g.t.Helper()
	text, err := os.ReadFile(g.log)
	if err != nil {
		g.t.Fatal(err)
	}
	n := map[string]int{}
	sc := bufio.NewScanner(strings.NewReader(string(text)))
	for sc.Scan() {
		var l struct{ Event, Outcome string }
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			g.t.Fatalf("%v: %s", err, sc.Text())
		}
		n[l.Event]++
		n[l.Outcome]++
	}
	return n
}

func slowOrigin(t *testing.T, delay time.Duration) (url string, arrived *atomic.Int64) {
	t.Helper()
	arrived = new(atomic.Int64)
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived.Add(1)
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
		}
		fmt.Fprint(w, "done")
	}))
	t.Cleanup(o.Close)
	return o.URL, arrived
}

// TERM under load: what was accepted finishes, the log is whole, code 0.
func TestTermFinishesWhatIsRunning(t *testing.T) {
	url, arrived := slowOrigin(t, 300*time.Millisecond)
	g := startProxy(t, url)
	const conns, streams = 3, 8
	var wg sync.WaitGroup
	var finished atomic.Int64
	for range conns {
		c := h2Client(t)
		for range streams {
			wg.Go(func() {
				resp, err := c.Get("https://" + g.tls + "/")
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "done" || resp.StatusCode != 200 {
					t.Errorf("%d %q, %v", resp.StatusCode, body, err)
					return
				}
				finished.Add(1)
			})
		}
	}
	eventually(t, "all requests are at the origin", func() bool { return arrived.Load() == conns*streams })
	g.signal(syscall.SIGTERM)
	wg.Wait()
	if code := g.wait(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	n := g.events()
	if finished.Load() != conns*streams || n["access"] != conns*streams || n["completed"] != conns*streams || n["session"] < conns {
		t.Errorf("%d of %d requests finished; log: %v", finished.Load(), conns*streams, n)
	}
	if log := g.err.String(); !strings.Contains(log, `"draining"`) || !strings.Contains(log, `"stopped"`) {
		t.Errorf("log:\n%s", log)
	}
}

// TERM while requests keep coming: each one either finishes or was never
// accepted, and the log has exactly those that finished.
func TestTermUnderSteadyLoadLosesNothing(t *testing.T) {
	url, _ := slowOrigin(t, 0)
	g := startProxy(t, url)
	var wg sync.WaitGroup
	var finished atomic.Int64
	for range 4 {
		c := h2Client(t)
		for range 4 {
			wg.Go(func() {
				for {
					resp, err := c.Get("https://" + g.tls + "/")
					if err != nil {
						return // nobody listens any more
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || string(body) != "done" || resp.StatusCode != 200 {
						t.Errorf("%d %q, %v", resp.StatusCode, body, err)
						return
					}
					finished.Add(1)
				}
			})
		}
	}
	eventually(t, "requests flow", func() bool { return finished.Load() > 200 })
	g.signal(syscall.SIGTERM)
	wg.Wait()
	if code := g.wait(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := g.events(); int64(n["completed"]) != finished.Load() || n["access"] != n["completed"] {
		t.Errorf("%d requests finished; log: %v", finished.Load(), n)
	}
}

func TestASecondSignalExitsAtOnce(t *testing.T) {
	url, arrived := slowOrigin(t, time.Minute)
	g := startProxy(t, url)
	go status("http://" + g.plain + "/")
	eventually(t, "the request is at the origin", func() bool { return arrived.Load() == 1 })
	g.signal(syscall.SIGTERM)
	eventually(t, "it drains", func() bool { return strings.Contains(g.err.String(), `"draining"`) })
	time.Sleep(sameWish)
	second := time.Now()
	g.signal(syscall.SIGTERM)
	if code := g.wait(patience); code != 1 { // it is 0 after timeouts.drain
		t.Errorf("exit code %d, want 1", code)
	}
	took := time.Since(second)
	if !strings.Contains(g.err.String(), "h2gw: second signal: exiting at once") {
		t.Errorf("log:\n%s", g.err.String())
	}
	n := g.events()
	if n["completed"] != 0 || n["access"] > 1 {
		t.Errorf("lines of the request that was cut: %v", n)
	}
	if n["access"] == 0 && took < lastWords { // which a busy machine may use up
		t.Errorf("the request that was cut has no line of its own, although there was time: %v", took)
	}
}

// What signals a process and its group, as timeout(1) does, means it once.
func TestASignalThatComesTwiceAtOnceIsOneWish(t *testing.T) {
	url, arrived := slowOrigin(t, time.Second)
	g := startProxy(t, url)
	answered := make(chan int, 1)
	go func() { answered <- status("http://" + g.plain + "/") }()
	eventually(t, "the request is at the origin", func() bool { return arrived.Load() == 1 })
	// It finds both when it goes on, however late either is sent.
	g.signal(syscall.SIGSTOP)
	eventually(t, "it stands still", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.cmd.Process.Pid))
		return os.IsNotExist(err) || strings.Contains(string(stat), ") T ")
	})
	g.signal(syscall.SIGTERM)
	g.signal(syscall.SIGINT)
	g.signal(syscall.SIGCONT)
	if code := g.wait(patience); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if code := <-answered; code != 200 || strings.Contains(g.err.String(), "second signal") {
		t.Errorf("the request under way: %d; log:\n%s", code, g.err.String())
	}
}

func TestUSR1ReopensTheLogAndHUPDoesNoHarm(t *testing.T) {
	url, _ := slowOrigin(t, 0)
	g := startProxy(t, url)
	get := func(path string) {
		t.Helper()
		if code := status("http://" + g.plain + path); code != 200 {
			t.Fatalf("%s: %d", path, code)
		}
	}
	if code := status("http://" + g.admin + "/readyz"); code != 200 {
		t.Errorf("/readyz: %d", code)
	}
	get("/before")
	eventually(t, "the first line is written", func() bool { return g.events()["access"] == 1 })
	if err := os.Rename(g.log, g.log+".1"); err != nil {
		t.Fatal(err)
	}
	g.signal(syscall.SIGUSR1)
	eventually(t, "the log is reopened", func() bool { return strings.Contains(g.err.String(), "access log reopened") })
	g.signal(syscall.SIGHUP)
	eventually(t, "HUP is told", func() bool { return strings.Contains(g.err.String(), "nothing to reload") })
	get("/after")
	g.signal(syscall.SIGINT)
	if code := g.wait(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	old, err := os.ReadFile(g.log + ".1")
	if err != nil || !strings.Contains(string(old), "/before") || strings.Contains(string(old), "/after") {
		t.Errorf("old log: %v\n%s", err, old)
	}
	if text, err := os.ReadFile(g.log); err != nil || !strings.Contains(string(text), "/after") {
		t.Errorf("new log: %v\n%s", err, text)
	}
}

func TestAccessLinesGoToStandardOutputByDefault(t *testing.T) {
	url, _ := slowOrigin(t, 0)
	p := &gatewayProcess{process: start(t, nil, "proxy", "--plain", "127.0.0.1:0", "--to", url, "--admin", "127.0.0.1:0", "--access-log-format", "combined")}
	p.find()
	if code := status("http://" + p.plain + "/a/path?q=1"); code != 200 {
		t.Fatalf("status %d", code)
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if out := p.out.String(); strings.Count(out, "\n") != 1 || !strings.Contains(out, `"GET /a/path?q=1 HTTP/1.1" 200 4 `) || !strings.Contains(out, "http/1.1 1 0") {
		t.Errorf("standard output: %s", out)
	}
}

func TestAccessLogAndAdminCanBeOff(t *testing.T) {
	url, _ := slowOrigin(t, 0)
	p := &gatewayProcess{process: start(t, nil, "proxy", "--plain", "127.0.0.1:0", "--to", url, "--admin", "off", "--access-log", "off")}
	p.find()
	if code := status("http://" + p.plain + "/"); code != 200 {
		t.Fatalf("status %d", code)
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if out := p.out.String(); out != "" {
		t.Errorf("standard output: %s", out)
	}
	if strings.Contains(p.err.String(), "admin address") {
		t.Errorf("log: %s", p.err.String())
	}
}

func TestDemoServesAndSaysWhatToTry(t *testing.T) {
	p := start(t, nil, "demo", "--from", "127.0.0.1:0", "--plain", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	eventually(t, "the banner is printed", func() bool { return strings.Contains(p.out.String(), "Ctrl-C ends it.") })
	banner := p.out.String()
	for _, want := range []string{"curl -k https://", "--http2-prior-knowledge http://", "h2load -n", "/metrics"} {
		if !strings.Contains(banner, want) {
			t.Errorf("the banner lacks %q:\n%s", want, banner)
		}
	}
	url := "https://" + strings.Fields(strings.SplitAfter(banner, "https://")[1])[0]
	c := h2Client(t)
	for path, want := range map[string]string{
		"/": "Hello from the origin", "/bytes/20": "0123456789abcde\n0123", "/echo": "GET /echo HTTP/1.1", "/bytes/x": "want /bytes/N",
	} {
		resp, err := c.Get(strings.TrimSuffix(url, "/") + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(body), want) || resp.ProtoMajor != 2 {
			t.Errorf("%s over %s: %q, %v", path, resp.Proto, body, err)
		}
	}
	p.signal(syscall.SIGINT)
	if code := p.wait(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := strings.Count(p.out.String(), `"event":"access"`); n != 4 {
		t.Errorf("%d access lines are shown, want 4:\n%s", n, p.out.String())
	}
}

func TestReportReadsWhatProxyWrites(t *testing.T) {
	url, _ := slowOrigin(t, 0)
	g := startProxy(t, url)
	c := h2Client(t)
	for range 5 {
		resp, err := c.Get("https://" + g.tls + "/")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	g.signal(syscall.SIGTERM)
	if code := g.wait(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p := start(t, nil, "report", "--json", g.log)
	if code := p.wait(patience); code != 0 {
		t.Errorf("report: exit code %d", code)
	}
	if !json.Valid([]byte(p.out.String())) || !strings.Contains(p.out.String(), `"h2"`) {
		t.Errorf("report: %s", p.out.String())
	}
	p = start(t, nil, "report", g.log+".none")
	if code := p.wait(patience); code != 1 || !strings.Contains(p.err.String(), "no such file") {
		t.Errorf("report of a missing file: code %d, %s", code, p.err.String())
	}
}
