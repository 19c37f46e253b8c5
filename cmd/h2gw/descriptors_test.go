package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startShort runs h2gw proxy with few file descriptors.
func startShort(t *testing.T, origin string, args ...string) *gatewayProcess {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell to set a limit with:", err)
	}
	p := &gatewayProcess{process: startCommand(t, nil, exec.Command(sh, append([]string{"-c", `ulimit -n 48; exec "$0" "$@"`, binary,
		"proxy", "--plain", "127.0.0.1:0", "--to", origin}, args...)...))}
	p.find()
	return p
}

// exhaust connects until the gateway has no descriptor left.
func (g *gatewayProcess) exhaust() (held []net.Conn) {
	g.t.Helper()
	for range 100 {
		c, err := net.Dial("tcp", g.plain)
		if err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() { c.Close() })
		held = append(held, c)
	}
	eventually(g.t, "descriptors run out", func() bool { return strings.Contains(g.err.String(), "too many open files") })
	return held
}

// Connections beyond the file descriptors wait in the kernel; when others close,
// the gateway goes on as if nothing had happened.
func TestRunningOutOfFileDescriptorsPasses(t *testing.T) {
	url, _ := slowOrigin(t, 0)
	p := startShort(t, url, "--admin", "off")
	held := p.exhaust()
	for _, c := range held {
		c.Close()
	}
	// The gateway may yet have to accept connections that are closed already, only
	// to close them: for as long as those hold all descriptors there is none to
	// reach the origin with, and saying so is right.
	eventually(t, "a request is served", func() bool {
		code := status("http://" + p.plain + "/")
		if code != 200 && code != 503 {
			t.Fatalf("status %d after the others were gone", code)
		}
		return code == 200
	})
	eventually(t, "it is known that the others are gone", func() bool {
		return strings.Count(p.out.String(), `"cause":"client_closed"`) >= len(held)
	})
	for i := range 20 {
		if code := status("http://" + p.plain + "/"); code != 200 {
			t.Errorf("status %d of request %d after that", code, i)
		}
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for line := range strings.Lines(p.out.String()) {
		if strings.Contains(line, `"status":503`) && !strings.Contains(line, `"outcome":"gateway_overloaded"`) {
			t.Errorf("a 503 for another reason: %s", line)
		}
	}
}

// Without a descriptor to reach it with, the origin is not said to be at fault,
// and does not rest: as soon as there is one, requests are served.
func TestRunningOutOfFileDescriptorsIsNotTheOriginsFault(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost"} { // and a name that needs them to be looked up
		t.Run(host, func(t *testing.T) {
			url, _ := slowOrigin(t, 0)
			p := startShort(t, strings.Replace(url, "127.0.0.1", host, 1), "--admin", "127.0.0.1:0")
			metrics := keptAlive(t, p.admin)
			metrics("/metrics")
			ask := keptAlive(t, p.plain)
			held := p.exhaust()

			const requests = 5 // more than make an endpoint rest
			for range requests {
				resp, body := ask("/")
				if resp.StatusCode != 503 || resp.Header.Get("Proxy-Status") != "h2gw; error=gateway_overloaded" || !strings.Contains(body, "gateway_overloaded") {
					t.Errorf("%s %q: %s", resp.Status, resp.Header, body)
				}
			}
			endpoint := fmt.Sprintf(`endpoint="%s",origin="default"`, strings.TrimPrefix(strings.Replace(url, "127.0.0.1", host, 1), "http://"))
			var text string
			for _, want := range []string{
				fmt.Sprintf("h2gw_outcomes_total{outcome=\"gateway_overloaded\",proto=\"http/1.1\"} %d\n", requests),
				fmt.Sprintf("h2gw_origin_connects_total{%s,result=\"resource\"} %d\n", endpoint, requests),
				fmt.Sprintf("h2gw_origin_healthy{%s} 1\n", endpoint),
			} {
				// The last one is counted a moment after its answer.
				eventually(t, want, func() bool { _, text = metrics("/metrics"); return strings.Contains(text, want) })
			}
			if strings.Contains(text, "h2gw_origin_retries_total{") {
				t.Errorf("requests were tried again:\n%s", grep(text, "h2gw_origin_retries"))
			}
			if said := grep(p.err.String(), "no connection to an origin"); !strings.Contains(said, `"level":"error"`) || !strings.Contains(said, "raise this process's limit of open files") ||
				strings.Count(said, "\n") > requests-2 {
				t.Errorf("the log says: %s", said)
			}
			for _, c := range held {
				c.Close()
			}
			eventually(t, "a request is served", func() bool { resp, _ := ask("/"); return resp.StatusCode == 200 })
			p.signal(syscall.SIGTERM)
			if code := p.wait(patience); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// keptAlive connects to addr and returns a function that asks there, on that one
// connection.
func keptAlive(t *testing.T, addr string) func(path string) (*http.Response, string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	br := bufio.NewReader(c)
	return func(path string) (*http.Response, string) {
		t.Helper()
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, addr)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
}

// grep returns the lines of text that have s.
func grep(text, s string) string {
	var found strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, s) {
			found.WriteString(line)
		}
	}
	return found.String()
}
