package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// page opens a WebSocket to where it came from, has three messages echoed,
// closes, and reports what it saw.
const page = `<!doctype html><title>echo</title><script>
const seen = [], big = "x".repeat(200000);
const ws = new WebSocket("wss://" + location.host + "/socket", "echo");
ws.onopen = () => { seen.push("open " + ws.protocol); ws.send("hello"); };
ws.onmessage = (e) => {
  seen.push(e.data.length > 100 ? "message " + e.data.length : "message " + e.data);
  if (seen.length == 2) ws.send("héllo ✓");
  else if (seen.length == 3) ws.send(big);
  else ws.close(4001, "enough");
};
ws.onerror = () => seen.push("error");
ws.onclose = (e) => {
  seen.push("close " + e.code + " " + e.wasClean);
  fetch("/done", {method: "POST", body: seen.join("\n")});
};
</script>`

// webSocketPage serves the page, its WebSocket, and takes its report.
func webSocketPage(reports chan<- string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, page)
	})
	mux.HandleFunc("POST /done", func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		reports <- string(b)
	})
	mux.HandleFunc("GET /socket", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		for {
			typ, msg, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), typ, msg) != nil {
				return
			}
		}
	})
	return mux
}

// Chromium opens wss: to a host it has an HTTP/2 session with as an extended
// CONNECT on that session, if the server says that it may (RFC 8441).
func TestChromiumOpensAWebSocketOverHTTP2(t *testing.T) {
	exe := tool(t, "chromium")
	reports := make(chan string, 1)
	origin := httptest.NewServer(webSocketPage(reports))
	defer origin.Close()
	g := startGateway(t, []string{strings.TrimPrefix(origin.URL, "http://")})
	dir, err := os.MkdirTemp("", "h2gw-chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) // after the browser has ended
	browser := start(t, dir, exe, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-crash-reporter",
		"--disable-dev-shm-usage", "--ignore-certificate-errors", "--user-data-dir="+dir, g.url("/"))
	var report string
	select {
	case report = <-reports:
	case <-browser.exited:
		t.Fatalf("the browser has ended:\n%s", tail(browser.out.String(), 4000))
	case <-time.After(4 * time.Minute): // a first start takes long on a slow machine
		t.Fatalf("the page has not reported:\n%s", tail(browser.out.String(), 4000))
	}
	if want := "open echo\nmessage hello\nmessage héllo ✓\nmessage 200000\nclose 4001 true"; report != want {
		t.Errorf("the page saw\n%s\nwant\n%s", report, want)
	}
	browser.kill()
	g.settle()
	g.quit()
	checkTunnelLine(t, g)
}

// checkTunnelLine looks for the WebSocket's line: a stream of the session that
// loaded the page.
func checkTunnelLine(t *testing.T, g *gateway) {
	t.Helper()
	access, _ := g.logLines()
	sessions := make(map[string]any)
	for _, line := range access {
		sessions[line["path"].(string)] = line["piid"]
	}
	for _, line := range access {
		if line["path"] != "/socket" {
			continue
		}
		if line["pitag"] != "h2" || line["method"] != "CONNECT" || line["status"] != 200.0 || line["piid"] != sessions["/"] || line["stream"] == 0.0 {
			t.Errorf("the WebSocket's line is %v, want CONNECT and 200 on the session of the page", line)
		}
		if in, out := line["bytes_in"].(float64), line["bytes_out"].(float64); in < 1000 || out < 1000 {
			t.Errorf("the WebSocket's line counts %v bytes in and %v out, want those of its messages", in, out)
		}
		// A browser may reset the stream of a WebSocket that both have closed.
		if o := line["outcome"]; o != "completed" && o != "client_abort" {
			t.Errorf("the WebSocket's outcome is %v", o)
		}
		return
	}
	t.Errorf("no line of the WebSocket in %v", access)
}
