package plugintest

import (
	"strings"
	"testing"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/plugin/headers"
	"github.com/h2gw/h2gw/httpsm/plugin/respond"
)

const fromOrigin = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\norigin"

// answering returns the plugin for rules.
func answering(t *testing.T, rules ...respond.Rule) *respond.Plugin {
	t.Helper()
	p, err := respond.New(respond.Config{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestARuleAnswersInsteadOfTheOrigin(t *testing.T) {
	p := answering(t, respond.Rule{
		Path: "/healthz", Status: 299, Body: []byte("fine\n"), Fields: []httpsm.Field{{Name: "X-By", Value: "gateway"}},
	})
	each(t, "GET /healthz?deep HTTP/1.1\r\nHost: a\r\n\r\n", fromOrigin, func(t *testing.T, r result) {
		h := r.response.Header
		if r.response.StatusCode != 299 || r.body != "fine\n" || h.Get("X-By") != "gateway" || h.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%d %q %v", r.response.StatusCode, r.body, h)
		}
		if r.origin.Head != "" {
			t.Errorf("the origin got %q", r.origin.Head)
		}
		if rec := r.record; rec.Outcome != httpsm.ProxyInternalResponse || rec.Status != 299 || rec.BytesOut != 5 || rec.Origin != "" {
			t.Errorf("%+v", rec)
		}
	}, p)
}

func TestWhatNoRuleMatchesGoesToTheOrigin(t *testing.T) {
	p := answering(t, respond.Rule{Methods: []string{"POST"}}, respond.Rule{Hosts: []string{"b"}}, respond.Rule{PathPrefix: "/x"})
	each(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", fromOrigin, func(t *testing.T, r result) {
		if r.body != "origin" || r.record.Outcome != httpsm.Completed {
			t.Errorf("%q, %+v", r.body, r.record)
		}
	}, p)
}

func TestRulesMatch(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"
	with := func(path, host string) string { return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n" }
	for name, tc := range map[string]struct {
		rule    respond.Rule
		request string
		want    bool
	}{
		"an empty rule":               {respond.Rule{}, get, true},
		"the method":                  {respond.Rule{Methods: []string{"POST", "GET"}}, get, true},
		"another method":              {respond.Rule{Methods: []string{"POST"}}, get, false},
		"HEAD with GET":               {respond.Rule{Methods: []string{"GET"}}, strings.Replace(get, "GET", "HEAD", 1), true},
		"GET with HEAD":               {respond.Rule{Methods: []string{"HEAD"}}, get, false},
		"the host":                    {respond.Rule{Hosts: []string{"other", "Example.ORG"}}, get, true},
		"the host with port":          {respond.Rule{Hosts: []string{"example.org"}}, with("/", "example.org:8443"), true},
		"the host in capitals":        {respond.Rule{Hosts: []string{"example.org"}}, with("/", "EXAMPLE.org"), true},
		"another host":                {respond.Rule{Hosts: []string{"example.com"}}, get, false},
		"a name below":                {respond.Rule{Hosts: []string{"*.example.org"}}, with("/", "a.b.example.org"), true},
		"not below but the same":      {respond.Rule{Hosts: []string{"*.example.org"}}, get, false},
		"not below but like it":       {respond.Rule{Hosts: []string{"*.example.org"}}, with("/", "notexample.org"), false},
		"an IPv6 address":             {respond.Rule{Hosts: []string{"::1"}}, with("/", "[::1]:80"), true},
		"an IPv6 address in brackets": {respond.Rule{Hosts: []string{"[::1]"}}, with("/", "[::1]"), true},
		"absolute-form":               {respond.Rule{Hosts: []string{"other.test"}, Path: "/y"}, with("http://other.test/y", "other.test"), true},
		"the path":                    {respond.Rule{Path: "/a/b"}, with("/a/b", "x"), true},
		"the path and a query":        {respond.Rule{Path: "/a/b"}, with("/a/b?c=/d", "x"), true},
		"a longer path":               {respond.Rule{Path: "/a"}, with("/a/b", "x"), false},
		"a prefix, whole":             {respond.Rule{PathPrefix: "/a"}, with("/a", "x"), true},
		"a prefix and a query":        {respond.Rule{PathPrefix: "/a"}, with("/a?b", "x"), true},
		"a prefix, below":             {respond.Rule{PathPrefix: "/a"}, with("/a/b", "x"), true},
		"a prefix, not a segment":     {respond.Rule{PathPrefix: "/a"}, with("/ab", "x"), false},
		"a prefix that ends with /":   {respond.Rule{PathPrefix: "/a/"}, with("/a/b", "x"), true},
		"below it only":               {respond.Rule{PathPrefix: "/a/"}, with("/a", "x"), false},
		"nothing is decoded":          {respond.Rule{PathPrefix: "/a"}, with("/%61", "x"), false},
		"all conditions":              {respond.Rule{Methods: []string{"GET"}, Hosts: []string{"x"}, PathPrefix: "/a"}, with("/a", "x"), true},
		"all but one":                 {respond.Rule{Methods: []string{"GET"}, Hosts: []string{"y"}, PathPrefix: "/a"}, with("/a", "x"), false},
	} {
		t.Run(name, func(t *testing.T) {
			tc.rule.Status = 299
			each(t, tc.request, fromOrigin, func(t *testing.T, r result) {
				if got := r.response.StatusCode == 299; got != tc.want {
					t.Errorf("status %d", r.response.StatusCode)
				}
			}, answering(t, tc.rule))
		})
	}
}

func TestTheFirstRuleThatMatchesAnswers(t *testing.T) {
	p := answering(t, respond.Rule{Path: "/b", Status: 201}, respond.Rule{Path: "/a", Status: 202}, respond.Rule{Status: 203})
	for path, want := range map[string]int{"/a": 202, "/b": 201, "/c": 203} {
		each(t, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n", fromOrigin, func(t *testing.T, r result) {
			if r.response.StatusCode != want {
				t.Errorf("%s: %d, want %d", path, r.response.StatusCode, want)
			}
		}, p)
	}
}

func TestHEADGetsLengthAndNoBody(t *testing.T) {
	p := answering(t, respond.Rule{Body: []byte("12345"), Fields: []httpsm.Field{{Name: "content-type", Value: "application/json"}}})
	each(t, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", fromOrigin, func(t *testing.T, r result) {
		if r.body != "" || r.response.ContentLength != 5 || r.response.Header.Get("Content-Type") != "application/json" || r.response.StatusCode != 200 {
			t.Errorf("%q, length %d, %v", r.body, r.response.ContentLength, r.response.Header)
		}
	}, p)
}

func TestOtherPluginsSeeALocalAnswer(t *testing.T) {
	h, err := headers.New(headers.Config{Response: headers.Changes{Set: []httpsm.Field{{Name: "X-Seen", Value: "${status} ${piid} ${request_id}${origin}"}}}})
	if err != nil {
		t.Fatal(err)
	}
	p := answering(t, respond.Rule{Status: 301, Fields: []httpsm.Field{{Name: "Location", Value: "https://example.org/"}}})
	each(t, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: r-1\r\n\r\n", fromOrigin, func(t *testing.T, r result) {
		want := map[string]string{"vconn": "301 7 r-1", "http/1.1": "301 8 r-1"}[r.transport]
		if r.response.Header.Get("X-Seen") != want || r.response.Header.Get("Location") == "" || r.body != "" {
			t.Errorf("%v %q", r.response.Header, r.body)
		}
	}, h, p)
}

func TestARequestBodyDoesNotDisturbAnAnswer(t *testing.T) {
	p := answering(t, respond.Rule{Status: 403})
	each(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", fromOrigin, func(t *testing.T, r result) {
		if r.response.StatusCode != 403 || r.origin.Head != "" {
			t.Errorf("%d, origin %q", r.response.StatusCode, r.origin.Head)
		}
	}, p)
}
