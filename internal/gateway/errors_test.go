package gateway

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/h2gw/h2gw/internal/frontend"
	"github.com/h2gw/h2gw/internal/testkit"
)

// What the gateway answers itself is the same on every protocol: a status, a
// Proxy-Status field (RFC 9209), fields and body alike, and a line with the same
// outcome.
func TestTheGatewaysOwnAnswersAreTheSameOnEveryProtocol(t *testing.T) {
	downURL := "http://" + testkit.ReservePort(t)
	for _, tc := range []struct {
		name    string
		change  func(*Config)
		handler http.HandlerFunc
		set     []string
		path    string
		body    string // "CONNECT", "fields": see the request below
		status  int
		outcome string
	}{
		{"origin down", func(c *Config) { c.To = []string{downURL} }, nil, nil, "/", "", 502, "connection_refused"},
		{"origin silent", nil, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			[]string{"timeouts.response_head=100ms"}, "/", "", 504, "http_response_timeout"},
		{"origin hangs up", nil, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, "/", "", 502, "connection_terminated"},
		{"response head too large", nil, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 3000)) },
			[]string{"limits.response_head=2KiB"}, "/", "", 502, ""},
		{"target too long", nil, nil, []string{"limits.target=64B"}, "/" + strings.Repeat("x", 100), "", 414, "http_request_error"},
		{"too many fields", nil, nil, []string{"limits.fields=30"}, "/", "fields", 431, "http_request_error"},
		{"head too large", nil, nil, []string{"limits.request_head=1KiB"}, "/", "fields", 431, "http_request_error"},
		{"CONNECT", nil, nil, nil, "", "CONNECT", 405, "http_request_denied"},
		{"body too large", nil, nil, []string{"limits.request_body=10B"}, "/", "more than ten bytes", 413, "http_request_error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, tc.handler, tc.change, tc.set...)
			said := ""
			for _, p := range protocols {
				c, url := r.client(p.client)
				method, text := http.MethodGet, ""
				switch tc.body {
				case "", "fields":
				case "CONNECT":
					method = http.MethodConnect
				default:
					method, text = http.MethodPost, tc.body
				}
				req, err := http.NewRequest(method, url+tc.path, strings.NewReader(text))
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; tc.body == "fields" && i < 60; i++ {
					req.Header.Set(fmt.Sprintf("X-%d", i), "0123456789")
				}
				if tc.name == "head too large" && p.tag != frontend.ProtoHTTP1 {
					c.Transport = careless{r, p.client}
				}
				resp, err := c.Do(req)
				if err != nil {
					t.Errorf("%s: %v", p.client, err)
					continue
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				status := resp.Header.Get("Proxy-Status")
				if resp.StatusCode != tc.status || !strings.HasPrefix(status, "h2gw; error="+tc.outcome) || len(body) == 0 {
					t.Errorf("%s: %d, Proxy-Status %q, body %q; want %d and %s", p.client, resp.StatusCode, status, body, tc.status, tc.outcome)
				}
				if now, first := answer(resp, body), said == ""; first {
					said = now
				} else if now != said {
					t.Errorf("%s gets\n%s\nand %s\n%s", protocols[0].client, said, p.client, now)
				}
			}
			r.shutdown()
			access, _ := r.log()
			if len(access) != len(protocols) {
				t.Errorf("%d access lines, want %d", len(access), len(protocols))
			}
			for _, a := range access {
				if a.BytesOut == 0 {
					t.Errorf("the body is not counted: %+v", a)
				}
				if a.Status != tc.status || !strings.HasPrefix(a.Outcome, tc.outcome) || a.Outcome == "completed" {
					t.Errorf("access line: %+v", a)
				}
			}
		})
	}
}

// careless is an HTTP/2 client that does not look at what the server says it
// takes. Go's own refuses a head that is too large if it has seen our SETTINGS.
type careless struct {
	r     *rig
	proto string
}

func (cl careless) RoundTrip(req *http.Request) (*http.Response, error) {
	c := testkit.NewClient(cl.r.t, cl.r.dialH2(cl.proto))
	defer c.Close()
	c.Handshake()
	var fields []string
	for name := range req.Header {
		fields = append(fields, strings.ToLower(name), req.Header.Get(name))
	}
	c.Get(1, req.URL.Path, append(fields, ":scheme", req.URL.Scheme, ":authority", req.URL.Host)...)
	head := c.WantHeaders(1, false)
	body, _ := c.WantBody(1)
	status, err := strconv.Atoi(head.Get(":status"))
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}
	for _, f := range head.Fields[1:] {
		resp.Header.Add(f.Name, f.Value)
	}
	return resp, err
}

// dialH2 returns a connection whose next bytes are the preface.
func (r *rig) dialH2(proto string) net.Conn {
	r.t.Helper()
	var nc net.Conn
	var err error
	if proto == frontend.ProtoH2 {
		nc, err = tls.Dial("tcp", r.Addr(ListenerTLS).String(), &tls.Config{RootCAs: r.roots(), NextProtos: []string{"h2"}})
	} else {
		nc, err = net.Dial("tcp", r.Addr(ListenerPlain).String())
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return nc
}

// answer is what a client gets, but for the hour and the connection's own field.
func answer(resp *http.Response, body []byte) string {
	h := resp.Header.Clone()
	h.Del("Connection")
	if _, err := http.ParseTime(h.Get("Date")); err == nil {
		h.Set("Date", "a date")
	}
	return fmt.Sprint(resp.StatusCode, h, string(body))
}

// h2gw_streams_active tells the protocols apart while requests are running.
func TestStreamsActiveCountsWhatIsRunning(t *testing.T) {
	gate := newGate()
	r := newRig(t, gate.handler, nil)
	for _, p := range protocols {
		c, url := r.client(p.client)
		go func() {
			if resp, err := c.Get(url); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}()
	}
	for range protocols {
		<-gate.arrived
	}
	for tag, want := range map[string]float64{"h2": 1, "h2c": 1, "http/1.1": 2} {
		if n := r.metric("h2gw_streams_active", `proto="`+tag+`"`); n != want {
			t.Errorf("%v streams of %s active, want %v", n, tag, want)
		}
	}
	if n := r.metric("h2gw_connections_active"); n != float64(len(protocols)) {
		t.Errorf("%v connections active", n)
	}
	close(gate.open)
	eventually(t, "nothing is active", func() bool { return r.metric("h2gw_streams_active") == 0 })
}
