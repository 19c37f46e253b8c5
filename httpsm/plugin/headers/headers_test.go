package headers_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/plugin/headers"
	"github.com/h2gw/h2gw/httpsm/plugin/internal/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	request  = "GET /a?b=c HTTP/1.1\r\nHost: Example.org:8443\r\nX-Request-Id: r-1\r\nX-Old: 1\r\nx-old: 2\r\nX-Spoof: me\r\n\r\n"
	response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: secret\r\nX-Kept: 1\r\n\r\nok"
)

func plugin(t *testing.T, cfg headers.Config) *headers.Plugin {
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
	p := plugin(t, headers.Config{
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
	plugintest.Each(t, request, response, func(t *testing.T, r plugintest.Result) {
		for name, want := range map[string]string{
			"X-Old": "3", "X-Spoof": "gateway", "X-New": "set|added", "Host": "inside",
		} {
			if got := strings.Join(fields(r.Origin.Head, name), "|"); got != want {
				t.Errorf("the origin got %s %q, want %q", name, got, want)
			}
		}
		for name, want := range map[string]string{"Server": "", "X-Kept": "2", "Set-Cookie": "a|b"} {
			if got := strings.Join(r.Response.Header.Values(name), "|"); got != want {
				t.Errorf("the client got %s %q, want %q", name, got, want)
			}
		}
		if r.Body != "ok" || r.Record.Outcome != httpsm.Completed || r.Record.Host != "Example.org:8443" {
			t.Errorf("%q, %+v", r.Body, r.Record)
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
	plugintest.Each(t, request, response, func(t *testing.T, r plugintest.Result) {
		for name, both := range values {
			want := both[0]
			if r.Transport == "http/1.1" {
				want = both[1]
			}
			if got := r.Response.Header.Get("V-" + name); got != want {
				t.Errorf("response ${%s}: %q, want %q", name, got, want)
			}
			if got := r.Origin.Field("V-" + name); name != "status" && got != want {
				t.Errorf("request ${%s}: %q, want %q", name, got, want)
			}
			if _, present := r.Response.Header["V-"+strings.ToUpper(name[:1])+name[1:]]; present && want == "" {
				t.Errorf("${%s} is empty and yet sent", name)
			}
		}
	}, plugin(t, cfg))
}

func TestAValueMixesTextAndVariables(t *testing.T) {
	p := plugin(t, headers.Config{Request: headers.Changes{Set: []httpsm.Field{
		{Name: "X-Session", Value: "${pitag}#${piid}/${stream}; cost=$$5"},
		{Name: "X-Spoof", Value: "${tls_version}"},
		{Name: "X-Padded", Value: "a ${sni}"},
	}}})
	plugintest.Each(t, request, response, func(t *testing.T, r plugintest.Result) {
		want := map[string][3]string{
			"vconn":    {"h2#7/5; cost=$5", "TLS 1.3", "a www.example.org"},
			"http/1.1": {"http/1.1#8/0; cost=$5", "", "a"}, // empty: what the client wrote is gone
		}[r.Transport]
		if got := [3]string{r.Origin.Field("X-Session"), r.Origin.Field("X-Spoof"), r.Origin.Field("X-Padded")}; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if strings.Contains(r.Origin.Head, "X-Spoof:") != (r.Transport == "vconn") {
			t.Errorf("the origin got %q", r.Origin.Head)
		}
	}, p)
}

func TestLocalAnswersAreChangedToo(t *testing.T) {
	p := plugin(t, headers.Config{Response: headers.Changes{Set: []httpsm.Field{{Name: "X-Status", Value: "${status}"}}}})
	plugintest.Each(t, request, "nonsense\r\n\r\n", func(t *testing.T, r plugintest.Result) {
		if got := r.Response.Header.Get("X-Status"); got != "502" || r.Response.StatusCode != 502 {
			t.Errorf("status %d, field %q", r.Response.StatusCode, got)
		}
	}, p)
}

func TestAnIDMadeByAnotherPluginIsSeen(t *testing.T) {
	maker := plugin(t, headers.Config{Request: headers.Changes{Set: []httpsm.Field{{Name: "X-Request-Id", Value: "g-${piid}"}}}})
	p := plugin(t, headers.Config{
		Request:  headers.Changes{Set: []httpsm.Field{{Name: "X-Copy", Value: "${request_id}"}}},
		Response: headers.Changes{Set: []httpsm.Field{{Name: "X-Copy", Value: "${request_id}"}}},
	})
	plugintest.Each(t, request, response, func(t *testing.T, r plugintest.Result) {
		want := map[string]string{"vconn": "g-7", "http/1.1": "g-8"}[r.Transport]
		if a, b := r.Origin.Field("X-Copy"), r.Response.Header.Get("X-Copy"); a != want || b != want || r.Record.RequestID != want {
			t.Errorf("origin %q, client %q, record %q; want %q", a, b, r.Record.RequestID, want)
		}
	}, maker, p)
}

func TestNewNamesEveryFault(t *testing.T) {
	set := func(name, value string) headers.Config {
		return headers.Config{Request: headers.Changes{Set: []httpsm.Field{{Name: name, Value: value}}}}
	}
	for name, tc := range map[string]struct {
		cfg  headers.Config
		want []string
	}{
		"unknown variable":   {set("X", "${pittag}"), []string{`request, set "X"`, "unknown variable ${pittag}", "did you mean ${pitag}?"}},
		"upper case":         {set("X", "${PIID}"), []string{"did you mean ${piid}?"}},
		"two are near":       {set("X", "${client_it}"), []string{"did you mean ${client_ip}?"}},
		"no variable near":   {set("X", "${zzzzzzzzzz}"), []string{"there are ${alpn} ${client} "}},
		"empty variable":     {set("X", "${}"), []string{"unknown variable ${}"}},
		"not closed":         {set("X", "${piid"), []string{"without }"}},
		"lone dollar":        {set("X", "5$"), []string{"$$ for a dollar sign"}},
		"dollar name":        {set("X", "$piid"), []string{"write ${name}"}},
		"response variable":  {set("X", "${status}"), []string{"known in the response only"}},
		"bad name":           {set("X Y", "1"), []string{"not a field name"}},
		"empty name":         {set("", "1"), []string{"not a field name"}},
		"injection":          {set("X", "a\r\nB: c"), []string{`value "a\r\nB: c"`}},
		"framing":            {set("content-LENGTH", "5"), []string{"the gateway writes it"}},
		"remove framing":     {headers.Config{Response: headers.Changes{Remove: []string{"Transfer-Encoding"}}}, []string{`response, remove "Transfer-Encoding"`, "the gateway writes it"}},
		"remove Host":        {headers.Config{Request: headers.Changes{Remove: []string{"Host"}}}, []string{"exactly one Host"}},
		"add Host":           {headers.Config{Request: headers.Changes{Add: []httpsm.Field{{Name: "host", Value: "x"}}}}, []string{"exactly one Host"}},
		"several at once":    {headers.Config{Request: headers.Changes{Set: []httpsm.Field{{Name: "A B", Value: "${nope}"}}}, Response: headers.Changes{Remove: []string{"C D"}}}, []string{`"A B"`, "${nope}", `"C D"`}},
		"suggestion by side": {set("X", "${statu}"), []string{"unknown variable ${statu}"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := headers.New(tc.cfg)
			if err == nil || p != nil {
				t.Fatal("accepted")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in %q", want, err)
				}
			}
			if strings.Contains(err.Error(), "${status}?") {
				t.Errorf("suggests what is not there: %v", err)
			}
		})
	}
}

func FuzzNew(f *testing.F) {
	for _, s := range []string{"", "a", "${piid}", "${", "$$", "$", "}{", "${pitag}${piid}", "a${sni} b$$c"} {
		f.Add("X-Name", s)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		c := headers.Changes{Set: []httpsm.Field{{Name: name, Value: value}}, Remove: []string{name}}
		p, err := headers.New(headers.Config{Request: c, Response: c})
		if (p == nil) == (err == nil) {
			t.Errorf("%v, %v", p, err)
		}
	})
}
