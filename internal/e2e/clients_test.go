package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// curl runs curl with what every call here needs and returns its output.
func (g *gateway) curl(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, tool(t, "curl"), append([]string{"-sS", "-k", "--max-time", "120"}, args...)...)
}

func TestCurlGetsTheSamePageOverEveryProtocol(t *testing.T) {
	addr, _ := startNginx(t, map[string][]byte{"page": []byte("the page\n")})
	g := startGateway(t, []string{addr})
	for _, c := range []struct{ name, version, proto, url string }{
		{"--http2", "2", "h2", g.url("/page")},
		{"--http1.1", "1.1", "http/1.1", g.url("/page")},
		{"--http2-prior-knowledge", "2", "h2c", "http://" + g.plain + "/page"},
		{"--http1.1", "1.1", "http/1.1", "http://" + g.plain + "/page"},
		{"--http1.0", "1.1", "http/1.1", "http://" + g.plain + "/page"},
	} {
		got := g.curl(t, c.name, "-w", "%{http_code} %{http_version}", c.url)
		if want := "the page\n200 " + c.version; got != want {
			t.Errorf("curl %s %s: got %q, want %q", c.name, c.url, got, want)
		}
	}
	g.settle()
	g.quit()
	access, session := g.logLines()
	if len(access) != 5 || len(session) != 5 {
		t.Fatalf("5 requests on 5 connections made %d access and %d session lines", len(access), len(session))
	}
	wantTags := []string{"h2", "http/1.1", "h2c", "http/1.1", "http/1.1"}
	for kind, lines := range map[string][]map[string]any{"access": access, "session": session} {
		for _, line := range lines {
			// Lines of different connections may change places, but ids count up.
			id := int(line["piid"].(float64))
			if id < 1 || id > len(wantTags) || line["pitag"] != wantTags[id-1] {
				t.Errorf("%s line with piid %d has pitag %v, want the %d protocols in this order: %v", kind, id, line["pitag"], len(wantTags), wantTags)
			}
		}
	}
}

func TestCurlUploadsHeadsAndErrorPages(t *testing.T) {
	addr, _ := startNginx(t, map[string][]byte{"page": []byte("the page\n")})
	g := startGateway(t, []string{addr})
	for _, version := range []string{"--http2", "--http1.1"} {
		if got := g.curl(t, version, "-I", "-o", os.DevNull, "-w", "%{http_code}", g.url("/page")); got != "200" {
			t.Errorf("%s HEAD: status %s, want 200", version, got)
		}
		if got := g.curl(t, version, "-o", os.DevNull, "-w", "%{http_code}", g.url("/absent")); got != "404" {
			t.Errorf("%s GET of what is not there: status %s, want the origin's 404", version, got)
		}
		got := g.curl(t, version, "-r", "4-7", "-w", " %{http_code}", g.url("/page"))
		if got != "page 206" {
			t.Errorf("%s range request: got %q, want %q", version, got, "page 206")
		}
	}
	g.settle()
	g.quit()
}

// nghttp shows frames: the response must be headers, data and END_STREAM, with
// no connection-specific field in it.
func TestNghttpSeesACleanResponse(t *testing.T) {
	exe := tool(t, "nghttp")
	addr, _ := startNginx(t, map[string][]byte{"page": []byte("the page\n")})
	g := startGateway(t, []string{addr})
	out := run(t, exe, "-v", "--no-verify-peer", g.url("/page"))
	for _, want := range []string{":status: 200", "content-length: 9", "the page", "; END_STREAM"} {
		if !strings.Contains(out, want) {
			t.Errorf("nghttp -v does not show %q:\n%s", want, tail(out, 3000))
		}
	}
	for _, never := range []string{"connection: ", "transfer-encoding: ", "keep-alive: ", "[ERROR]"} {
		if strings.Contains(strings.ToLower(out), never) {
			t.Errorf("nghttp -v shows %q:\n%s", never, tail(out, 3000))
		}
	}
	g.settle()
	g.quit()
}

func TestPromtoolFindsNoFaultInTheMetrics(t *testing.T) {
	exe := tool(t, "promtool")
	addr, _ := startNginx(t, map[string][]byte{"page": []byte("the page\n")})
	g := startGateway(t, []string{addr})
	g.curl(t, "--http2", "-o", os.DevNull, g.url("/page"))
	_, text, err := httpGet("http://" + g.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	out, code := runCode(t, strings.NewReader(text), exe, "check", "metrics")
	if code != 0 || strings.TrimSpace(out) != "" {
		t.Errorf("promtool check metrics: exit code %d\n%s", code, out)
	}
	g.settle()
	g.quit()
}

// A whole file up and down through curl, checked by checksum.
func TestCurlMovesAFileUnchanged(t *testing.T) {
	data := pattern(8 << 20)
	addr, _ := startNginx(t, map[string][]byte{"file": data})
	g := startGateway(t, []string{addr})
	want := sha256.Sum256(data)
	for _, version := range []string{"--http2", "--http1.1"} {
		out := filepath.Join(t.TempDir(), "out")
		g.curl(t, version, "-o", out, g.url("/file"))
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(got); sum != want {
			t.Errorf("%s: checksum %s, want %s", version, hex.EncodeToString(sum[:]), hex.EncodeToString(want[:]))
		}
	}
	g.settle()
	g.quit()
}

// pattern returns n bytes in which no two places look alike.
func pattern(n int) []byte {
	b := make([]byte, 0, n+32)
	sum := sha256.Sum256([]byte("pattern"))
	for len(b) < n {
		b = append(b, sum[:]...)
		sum = sha256.Sum256(sum[:])
	}
	return b[:n]
}
