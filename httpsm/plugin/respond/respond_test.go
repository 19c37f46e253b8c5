package respond_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/plugin/headers"
	"github.com/h2gw/h2gw/httpsm/plugin/internal/plugintest"
	"github.com/h2gw/h2gw/httpsm/plugin/respond"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const response = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\norigin"

func plugin(t *testing.T, rules ...respond.Rule) *respond.Plugin {
	t.Helper()
	p, err := respond.New(respond.Config{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestARuleAnswersInsteadOfTheOrigin(t *testing.T) {
	p := plugin(t, respond.Rule{
		Path: "/healthz", Status: 299, Body: []byte("fine\n"), Fields: []httpsm.Field{{Name: "X-By", Value: "gateway"}},
	})
	plugintest.Each(t, "GET /healthz?deep HTTP/1.1\r\nHost: a\r\n\r\n", response, func(t *testing.T, r plugintest.Result) {
		h := r.Response.Header
		if r.Response.StatusCode != 299 || r.Body != "fine\n" || h.Get("X-By") != "gateway" || h.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%d %q %v", r.Response.StatusCode, r.Body, h)
		}
		if r.Origin.Head != "" {
			t.Errorf("the origin got %q", r.Origin.Head)
		}
		if rec := r.Record; rec.Outcome != httpsm.ProxyInternalResponse || rec.Status != 299 || rec.BytesOut != 5 || rec.Origin != "" {
			t.Errorf("%+v", rec)
		}
	}, p)
}

func TestWhatNoRuleMatchesGoesToTheOrigin(t *testing.T) {
	p := plugin(t, respond.Rule{Methods: []string{"POST"}}, respond.Rule{Hosts: []string{"b"}}, respond.Rule{PathPrefix: "/x"})
	plugintest.Each(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", response, func(t *testing.T, r plugintest.Result) {
		if r.Body != "origin" || r.Record.Outcome != httpsm.Completed {
			t.Errorf("%q, %+v", r.Body, r.Record)
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
			plugintest.Each(t, tc.request, response, func(t *testing.T, r plugintest.Result) {
				if got := r.Response.StatusCode == 299; got != tc.want {
					t.Errorf("status %d", r.Response.StatusCode)
				}
			}, plugin(t, tc.rule))
		})
	}
}

func TestTheFirstRuleThatMatchesAnswers(t *testing.T) {
	p := plugin(t, respond.Rule{Path: "/b", Status: 201}, respond.Rule{Path: "/a", Status: 202}, respond.Rule{Status: 203})
	for path, want := range map[string]int{"/a": 202, "/b": 201, "/c": 203} {
		plugintest.Each(t, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n", response, func(t *testing.T, r plugintest.Result) {
			if r.Response.StatusCode != want {
				t.Errorf("%s: %d, want %d", path, r.Response.StatusCode, want)
			}
		}, p)
	}
}

func TestHEADGetsLengthAndNoBody(t *testing.T) {
	p := plugin(t, respond.Rule{Body: []byte("12345"), Fields: []httpsm.Field{{Name: "content-type", Value: "application/json"}}})
	plugintest.Each(t, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", response, func(t *testing.T, r plugintest.Result) {
		if r.Body != "" || r.Response.ContentLength != 5 || r.Response.Header.Get("Content-Type") != "application/json" || r.Response.StatusCode != 200 {
			t.Errorf("%q, length %d, %v", r.Body, r.Response.ContentLength, r.Response.Header)
		}
	}, p)
}

func TestOtherPluginsSeeALocalAnswer(t *testing.T) {
	h, err := headers.New(headers.Config{Response: headers.Changes{Set: []httpsm.Field{{Name: "X-Seen", Value: "${status} ${piid}"}}}})
	if err != nil {
		t.Fatal(err)
	}
	p := plugin(t, respond.Rule{Status: 301, Fields: []httpsm.Field{{Name: "Location", Value: "https://example.org/"}}})
	plugintest.Each(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", response, func(t *testing.T, r plugintest.Result) {
		want := map[string]string{"vconn": "301 7", "http/1.1": "301 8"}[r.Transport]
		if r.Response.Header.Get("X-Seen") != want || r.Response.Header.Get("Location") == "" || r.Body != "" {
			t.Errorf("%v %q", r.Response.Header, r.Body)
		}
	}, h, p)
}

func TestARequestBodyDoesNotDisturbAnAnswer(t *testing.T) {
	p := plugin(t, respond.Rule{Status: 403})
	plugintest.Each(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", response, func(t *testing.T, r plugintest.Result) {
		if r.Response.StatusCode != 403 || r.Origin.Head != "" {
			t.Errorf("%d, origin %q", r.Response.StatusCode, r.Origin.Head)
		}
	}, p)
}

func TestNewNamesEveryFault(t *testing.T) {
	for name, tc := range map[string]struct {
		rule respond.Rule
		want string
	}{
		"method":        {respond.Rule{Methods: []string{"G T"}}, `method "G T"`},
		"lower case":    {respond.Rule{Methods: []string{"get"}}, "write GET"},
		"empty host":    {respond.Rule{Hosts: []string{""}}, "want a name"},
		"host and port": {respond.Rule{Hosts: []string{"a:80"}}, "remove :80"},
		"host pattern":  {respond.Rule{Hosts: []string{"a.*.b"}}, "only at the front"},
		"host URL":      {respond.Rule{Hosts: []string{"http://a"}}, "want a name"},
		"path":          {respond.Rule{Path: "a"}, "starts with /"},
		"prefix":        {respond.Rule{PathPrefix: "/a?b"}, "without query"},
		"both":          {respond.Rule{Path: "/a", PathPrefix: "/a"}, "give one"},
		"status 1xx":    {respond.Rule{Status: 100}, "want 200 to 599"},
		"status":        {respond.Rule{Status: 600}, "want 200 to 599"},
		"body on 204":   {respond.Rule{Status: 204, Body: []byte("x")}, "has no body"},
		"field name":    {respond.Rule{Fields: []httpsm.Field{{Name: "a b", Value: "c"}}}, `field "a b"`},
		"field value":   {respond.Rule{Fields: []httpsm.Field{{Name: "a", Value: "c\nd: e"}}}, `field "a"`},
		"framing":       {respond.Rule{Fields: []httpsm.Field{{Name: "Content-Length", Value: "3"}}}, "the gateway writes it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := respond.New(respond.Config{Rules: []respond.Rule{{}, tc.rule}})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "rule 2") {
				t.Errorf("%v; want %q", err, tc.want)
			}
		})
	}
}
