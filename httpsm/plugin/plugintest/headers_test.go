package plugintest

import (
	"strings"
	"testing"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/plugin/headers"
)

const (
	request  = "GET /a?b=c HTTP/1.1\r\nHost: Example.org:8443\r\nX-Request-Id: r-1\r\nX-Old: 1\r\nx-old: 2\r\nX-Spoof: me\r\n\r\n"
	response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: secret\r\nX-Kept: 1\r\n\r\nok"
)

// changing returns the plugin for cfg.
func changing(t *testing.T, cfg headers.Config) *headers.Plugin {
	t.Helper()
	p, err := headers.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// every field in order, lower-case name and value, of a head as text.
func fields(head, name string) []string {
	var out []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) {
			out = append(out, strings.TrimSpace(v))
		}
	}
	return out
}

func TestFieldsAreRemovedSetAndAdded(t *testing.T) {
	p := changing(t, headers.Config{
		Request: headers.Changes{
			Remove: []string{"X-OLD"},
			Set:    []httpsm.Field{{Name: "X-Spoof", Value: "gateway"}, {Name: "X-New", Value: "set"}, {Name: "Host", Value: "inside"}},
			Add:    []httpsm.Field{{Name: "X-New", Value: "added"}, {Name: "X-Old", Value: "3"}},
		},
		Response: headers.Changes{
			Remove: []string{"server"},
			Set:    []httpsm.Field{{Name: "X-Kept", Value: "2"}},
			Add:    []httpsm.Field{{Name: "Set-Cookie", Value: "a"}, {Name: "Set-Cookie", Value: "b"}},
		},
	})
	each(t, request, response, func(t *testing.T, r result) {
		for name, want := range map[string]string{
			"X-Old": "3", "X-Spoof": "gateway", "X-New": "set|added", "Host": "inside",
		} {
			if got := strings.Join(fields(r.origin.Head, name), "|"); got != want {
				t.Errorf("the origin got %s %q, want %q", name, got, want)
			}
		}
		for name, want := range map[string]string{"Server": "", "X-Kept": "2", "Set-Cookie": "a|b"} {
			if got := strings.Join(r.response.Header.Values(name), "|"); got != want {
				t.Errorf("the client got %s %q, want %q", name, got, want)
			}
		}
		if r.body != "ok" || r.record.Outcome != httpsm.Completed || r.record.Host != "Example.org:8443" {
			t.Errorf("%q, %+v", r.body, r.record)
		}
	}, p)
}

func TestVariables(t *testing.T) {
	// The values over a virtual connection, and over HTTP/1.1.
	values := map[string][2]string{
		"pitag": {"h2", "http/1.1"}, "piid": {"7", "8"}, "stream": {"5", "0"}, "txn": {"3", "1"},
		"client": {"203.0.113.9:5555", "203.0.113.9:5555"}, "client_ip": {"203.0.113.9", "203.0.113.9"}, "client_port": {"5555", "5555"},
		"listener": {"main", "plain"}, "scheme": {"https", "http"},
		"tls_version": {"TLS 1.3", ""}, "tls_cipher": {"TLS_AES_128_GCM_SHA256", ""}, "alpn": {"h2", ""}, "sni": {"www.example.org", ""},
		"method": {"GET", "GET"}, "host": {"Example.org:8443", "Example.org:8443"}, "path": {"/a?b=c", "/a?b=c"},
		"request_id": {"r-1", "r-1"}, "route": {"all", "all"}, "group": {"web", "web"}, "origin": {"192.0.2.1:80", "192.0.2.1:80"},
		"status": {"200", "200"},
	}
	var cfg headers.Config
	for name := range values {
		f := httpsm.Field{Name: "V-" + name, Value: "${" + name + "}"}
		cfg.Response.Set = append(cfg.Response.Set, f)
		if name != "status" {
			cfg.Request.Set = append(cfg.Request.Set, f)
		}
	}
	each(t, request, response, func(t *testing.T, r result) {
		for name, both := range values {
			want := both[0]
			if r.transport == "http/1.1" {
				want = both[1]
			}
			if got := r.response.Header.Get("V-" + name); got != want {
				t.Errorf("response ${%s}: %q, want %q", name, got, want)
			}
			if got := r.origin.Field("V-" + name); name != "status" && got != want {
				t.Errorf("request ${%s}: %q, want %q", name, got, want)
			}
			if _, present := r.response.Header["V-"+strings.ToUpper(name[:1])+name[1:]]; present && want == "" {
				t.Errorf("${%s} is empty and yet sent", name)
			}
		}
	}, changing(t, cfg))
}

func TestAValueMixesTextAndVariables(t *testing.T) {
	p := changing(t, headers.Config{Request: headers.Changes{Set: []httpsm.Field{
		{Name: "X-Session", Value: "${pitag}#${piid}/${stream}; cost=$$5"},
		{Name: "X-Spoof", Value: "${tls_version}"},
		{Name: "X-Padded", Value: "a ${sni}"},
	}}})
	each(t, request, response, func(t *testing.T, r result) {
		want := map[string][3]string{
			"vconn":    {"h2#7/5; cost=$5", "TLS 1.3", "a www.example.org"},
			"http/1.1": {"http/1.1#8/0; cost=$5", "", "a"}, // empty: what the client wrote is gone
		}[r.transport]
		if got := [3]string{r.origin.Field("X-Session"), r.origin.Field("X-Spoof"), r.origin.Field("X-Padded")}; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if strings.Contains(r.origin.Head, "X-Spoof:") != (r.transport == "vconn") {
			t.Errorf("the origin got %q", r.origin.Head)
		}
	}, p)
}

func TestLocalAnswersAreChangedToo(t *testing.T) {
	p := changing(t, headers.Config{Response: headers.Changes{Set: []httpsm.Field{{Name: "X-Status", Value: "${status}"}}}})
	each(t, request, "nonsense\r\n\r\n", func(t *testing.T, r result) {
		if got := r.response.Header.Get("X-Status"); got != "502" || r.response.StatusCode != 502 {
			t.Errorf("status %d, field %q", r.response.StatusCode, got)
		}
	}, p)
}

func TestAnIDMadeByAnotherPluginIsSeen(t *testing.T) {
	maker := changing(t, headers.Config{Request: headers.Changes{Set: []httpsm.Field{{Name: "X-Request-Id", Value: "g-${piid}"}}}})
	p := changing(t, headers.Config{
		Request:  headers.Changes{Set: []httpsm.Field{{Name: "X-Copy", Value: "${request_id}"}}},
		Response: headers.Changes{Set: []httpsm.Field{{Name: "X-Copy", Value: "${request_id}"}}},
	})
	each(t, request, response, func(t *testing.T, r result) {
		want := map[string]string{"vconn": "g-7", "http/1.1": "g-8"}[r.transport]
		if a, b := r.origin.Field("X-Copy"), r.response.Header.Get("X-Copy"); a != want || b != want || r.record.RequestID != want {
			t.Errorf("origin %q, client %q, record %q; want %q", a, b, r.record.RequestID, want)
		}
	}, maker, p)
}
