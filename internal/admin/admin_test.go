package admin

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m)) }

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Serve()
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

// get may be called from any goroutine.
func get(t *testing.T, s *Server, method, path string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	req, err := http.NewRequest(method, "http://"+s.Addr().String()+path, nil)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func TestWhatTheAdminAddressServes(t *testing.T) {
	s := start(t, Config{Version: "v1", Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "up 1\n") })})
	for _, tc := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/metrics", 200, "up 1\n"},
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 200, "ready\n"},
		{"HEAD", "/readyz", 200, ""},
		{"GET", "/", 200, "h2gw v1\n"},
		{"GET", "/nothing", 404, ""},
		{"POST", "/metrics", 405, ""},
	} {
		status, body := get(t, s, tc.method, tc.path)
		if status != tc.status || !strings.HasPrefix(body, tc.body) {
			t.Errorf("%s %s: %d %q, want %d %q", tc.method, tc.path, status, body, tc.status, tc.body)
		}
	}
}

func TestReadyzFailsWhileDrainingAndHealthzDoesNot(t *testing.T) {
	s := start(t, Config{})
	s.SetDraining()
	if status, body := get(t, s, "GET", "/readyz"); status != 503 || body != "draining\n" {
		t.Errorf("readyz: %d %q", status, body)
	}
	if status, _ := get(t, s, "GET", "/healthz"); status != 200 {
		t.Errorf("healthz: %d", status)
	}
}

func TestAnAddressInUseIsAClearError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err = Listen(Config{Addr: taken.Addr().String()}); err == nil || !strings.Contains(err.Error(), "admin address") {
		t.Errorf("got %v", err)
	}
}

func TestCloseBeforeServeFreesTheAddress(t *testing.T) {
	s, err := Listen(Config{Addr: testkit.ReservePort(t)})
	if err != nil {
		t.Fatal(err)
	}
	s.Close(t.Context())
	again, err := net.Listen("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
