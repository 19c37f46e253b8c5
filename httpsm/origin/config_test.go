package origin

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for in, want := range map[string]EndpointConfig{
		"http://127.0.0.1:9000":     {Addr: "127.0.0.1:9000"},
		"http://127.0.0.1:9000/":    {Addr: "127.0.0.1:9000"},
		"http://example.org":        {Addr: "example.org:80"},
		"https://example.org":       {Addr: "example.org:443", TLS: true},
		"HTTPS://example.org:8443":  {Addr: "example.org:8443", TLS: true},
		"http://[::1]:80":           {Addr: "[::1]:80"},
		"https://[2001:db8::1]":     {Addr: "[2001:db8::1]:443", TLS: true},
		"http://under_score.test:1": {Addr: "under_score.test:1"},
	} {
		if got, err := ParseURL(in); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", in, got, err, want)
		}
	}
	for in, hint := range map[string]string{
		"":                        "no scheme",
		"127.0.0.1:9000":          "write http://127.0.0.1:9000",
		"ftp://a":                 "only http and https",
		"http://":                 "no host",
		"http://:80":              "no host",
		"http://u:p@a":            "user name",
		"http://a/path":           "path (/path)",
		"http://a?q":              "query",
		"http://a?":               "query",
		"http://a#f":              "fragment",
		"http://a:0":              "from 1 to 65535",
		"http://a:65536":          "from 1 to 65535",
		"http://a:http":           "write http://host:port",
		"http://a b":              "write http://host:port",
		"http://[::1":             "write http://host:port",
		"http://a\r\nX: y":        "write http://host:port",
		"unix:///run/origin.sock": "only http and https",
	} {
		if got, err := ParseURL(in); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%q: %+v, %v; want an error with %q", in, got, err, hint)
		}
	}
}

func TestNewGroupNamesEveryFault(t *testing.T) {
	_, err := NewGroup(Config{Name: "web", Endpoints: []EndpointConfig{
		{Addr: "a:1"}, {Addr: "nowhere"}, {Addr: ":80"}, {Addr: "a:1"}, {Addr: "a:x"},
	}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		`group "web", endpoint 2: address "nowhere": write host:port`,
		`endpoint 3: address ":80" has no host`,
		`endpoint 4: a:1 is there twice`,
		`endpoint 5: address "a:x": port "x" is not a number`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}

func TestGroupWithoutEndpoints(t *testing.T) {
	g, err := NewGroup(Config{})
	if err != nil || g.Name() != DefaultName || g.Pick() != nil {
		t.Fatalf("%v, %q, %v", err, g.Name(), g.Pick())
	}
	e := g.EndpointFor(netip.MustParseAddrPort("[2001:db8::1]:80"))
	if e.Addr() != "[2001:db8::1]:80" {
		t.Error(e.Addr())
	}
	g.Close()
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"http://a", "https://[::1]:8443", "http://a:1/", "x", "http://u@a", "http://[fe80::1%25lo]:80", "http://%41:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ec, err := ParseURL(s)
		if err != nil {
			return
		}
		g, err := NewGroup(Config{Endpoints: []EndpointConfig{ec}})
		if err != nil {
			t.Fatalf("%q became %+v, which a group refuses: %v", s, ec, err)
		}
		g.Close()
	})
}
