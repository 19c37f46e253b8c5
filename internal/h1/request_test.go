package h1

import (
	"errors"
	"strings"
	"testing"
)

// host is what most cases need behind their request line.
const host = "Host: h\r\n"

// A head that must be refused, and with which status. The name is the rule.
type refusal struct {
	rule   string
	head   string
	status int
}

var refusedRequests = []refusal{
	// RFC 9112 section 2.2: line ends and what may be before the request line.
	{"a request line ending with a bare LF", "GET / HTTP/1.1\n" + host + "\r\n", 400},
	{"a field line ending with a bare LF", "GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
	{"an empty line that is a bare LF", "GET / HTTP/1.1\r\n" + host + "\n", 400},
	{"a bare CR in a field value", "GET / HTTP/1.1\r\n" + host + "A: b\rc\r\n\r\n", 400},
	{"a bare CR instead of the empty line", "GET / HTTP/1.1\r\n" + host + "\rA: b\r\n\r\n", 400},
	{"a bare CR behind the version", "GET / HTTP/1.1\rHost: h\r\n\r\n", 400},
	{"CR CR LF", "GET / HTTP/1.1\r\r\n" + host + "\r\n", 400},
	{"white space before the first field", "GET / HTTP/1.1\r\n " + host + "\r\n", 400},
	{"two empty lines before the request line", "\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a bare LF before the request line", "\nGET / HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a bare CR before the request line", "\rGET / HTTP/1.1\r\n" + host + "\r\n", 400},
	// RFC 9112 section 3: method SP target SP version.
	{"two spaces behind the method", "GET  / HTTP/1.1\r\n" + host + "\r\n", 400},
	{"two spaces behind the target", "GET /  HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a tab behind the method", "GET\t/ HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a tab behind the target", "GET /\tHTTP/1.1\r\n" + host + "\r\n", 400},
	{"a space behind the version", "GET / HTTP/1.1 \r\n" + host + "\r\n", 400},
	{"a space before the method", " GET / HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a space inside the target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", 400},
	{"no version (HTTP/0.9)", "GET /\r\n\r\n", 400},
	{"no target", "GET\r\n\r\n", 400},
	{"an empty target", "GET  HTTP/1.1\r\n" + host + "\r\n", 400},
	// RFC 9110 section 9.1: the method is a token.
	{"a method that is not a token", "GE(T / HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a method with a NUL", "GE\x00T / HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a TLS ClientHello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
	{"a method longer than any", strings.Repeat("M", 65) + " / HTTP/1.1\r\n" + host + "\r\n", 501},
	// RFC 9112 section 3.2 and RFC 3986: bytes of the target.
	{"a fragment", "GET /a#b HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a control character in the target", "GET /\x01 HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a DEL in the target", "GET /\x7f HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a byte beyond ASCII in the target", "GET /\xc3\xa4 HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a quote in the target", "GET /\"a\" HTTP/1.1\r\n" + host + "\r\n", 400},
	{"angle brackets in the target", "GET /<a> HTTP/1.1\r\n" + host + "\r\n", 400},
	// RFC 9112 section 3.2.1 to 3.2.4: forms of the target.
	{"a target without a slash", "GET index.html HTTP/1.1\r\n" + host + "\r\n", 400},
	{"authority-form without CONNECT", "GET h:80 HTTP/1.1\r\n" + host + "\r\n", 400},
	{"CONNECT with a path", "CONNECT / HTTP/1.1\r\n" + host + "\r\n", 400},
	{"CONNECT with a URI", "CONNECT http://h/ HTTP/1.1\r\n" + host + "\r\n", 400},
	{"CONNECT without a port", "CONNECT h HTTP/1.1\r\n" + host + "\r\n", 400},
	{"asterisk-form without OPTIONS", "GET * HTTP/1.1\r\n" + host + "\r\n", 400},
	{"an asterisk with more behind it", "OPTIONS */ HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a URI with another scheme", "GET ftp://h/ HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a URI without a host", "GET http:///a HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a URI with userinfo", "GET http://u:p@h/ HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a URI with a backslash in its host", "GET http://h\\x/ HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a URI whose host differs from Host", "GET http://other/ HTTP/1.1\r\n" + host + "\r\n", 400},
	{"a URI whose port differs from Host", "GET http://h:80/ HTTP/1.1\r\n" + host + "\r\n", 400},
	{"CONNECT to other than Host", "CONNECT other:443 HTTP/1.1\r\n" + host + "\r\n", 400},
	// RFC 9112 section 2.3: the version.
	{"HTTP/1.2", "GET / HTTP/1.2\r\n" + host + "\r\n", 505},
	{"HTTP/2.0", "GET / HTTP/2.0\r\n" + host + "\r\n", 505},
	{"HTTP/0.9 in so many words", "GET / HTTP/0.9\r\n" + host + "\r\n", 505},
	{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
	{"a version in lower case", "GET / http/1.1\r\n" + host + "\r\n", 400},
	{"a version with two digits", "GET / HTTP/1.10\r\n" + host + "\r\n", 400},
	{"a version with a comma", "GET / HTTP/1,1\r\n" + host + "\r\n", 400},
	{"a version of another protocol", "GET / ICAP/1.0\r\n" + host + "\r\n", 400},
	{"a version cut short", "GET / HTTP\r\n" + host + "\r\n", 400},
	// RFC 9112 section 5, RFC 9110 section 5.1, 5.5, 5.6.2: field lines.
	{"a space before the colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
	{"a tab before the colon", "GET / HTTP/1.1\r\n" + host + "A\t: b\r\n\r\n", 400},
	{"a space inside a name", "GET / HTTP/1.1\r\n" + host + "A b: c\r\n\r\n", 400},
	{"a folded line", "GET / HTTP/1.1\r\n" + host + "A: b\r\n c\r\n\r\n", 400},
	{"a line folded with a tab", "GET / HTTP/1.1\r\n" + host + "A: b\r\n\tc\r\n\r\n", 400},
	{"an empty name", "GET / HTTP/1.1\r\n" + host + ": b\r\n\r\n", 400},
	{"a name that is not a token", "GET / HTTP/1.1\r\n" + host + "A(b: c\r\n\r\n", 400},
	{"a name beyond ASCII", "GET / HTTP/1.1\r\n" + host + "\xe4: c\r\n\r\n", 400},
	{"a NUL in a name", "GET / HTTP/1.1\r\n" + host + "A\x00: c\r\n\r\n", 400},
	{"a line without a colon", "GET / HTTP/1.1\r\n" + host + "A\r\n\r\n", 400},
	{"a NUL in a value", "GET / HTTP/1.1\r\n" + host + "A: b\x00c\r\n\r\n", 400},
	{"a control character in a value", "GET / HTTP/1.1\r\n" + host + "A: b\x08c\r\n\r\n", 400},
	{"a DEL in a value", "GET / HTTP/1.1\r\n" + host + "A: b\x7fc\r\n\r\n", 400},
	// RFC 9112 section 3.2, RFC 9110 section 7.2: Host.
	{"HTTP/1.1 without Host", "GET / HTTP/1.1\r\n\r\n", 400},
	{"a URI without Host on HTTP/1.1", "GET http://h/ HTTP/1.1\r\n\r\n", 400},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400},
	{"the same Host twice", "GET / HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n", 400},
	{"two Hosts on HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n", 400},
	{"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
	{"a Host with a path", "GET / HTTP/1.1\r\nHost: h/a\r\n\r\n", 400},
	{"a Host with userinfo", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400},
	{"a Host that is a list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
	{"a Host whose port is a word", "GET / HTTP/1.1\r\nHost: h:http\r\n\r\n", 400},
	{"a Host whose port is empty", "GET / HTTP/1.1\r\nHost: h:\r\n\r\n", 400},
	{"a Host whose port is too large", "GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", 400},
	{"an invalid Host on HTTP/1.0", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400},
}

func TestRefusedRequests(t *testing.T) {
	for _, c := range refusedRequests {
		t.Run(c.rule, func(t *testing.T) {
			var h RequestHead
			n, err := ParseRequestHead(&h, []byte(c.head), Limits{})
			wantRefused(t, n, err, c.status)
		})
	}
}

func wantRefused(t *testing.T, n int, err error, status int) {
	t.Helper()
	var pe *ProtocolError
	if !errors.As(err, &pe) || n != 0 {
		t.Fatalf("n=%d, error %v; want a refusal with %d", n, err, status)
	}
	if pe.Status != status || pe.Reason == "" {
		t.Fatalf("refused with %d (%s), want %d", pe.Status, pe.Reason, status)
	}
}

func TestAcceptedRequests(t *testing.T) {
	cases := []struct {
		rule, head                      string
		method, target, authority, path string
		fields                          string // name=value|...
	}{
		{"origin-form", "GET /a/b?c=d&e HTTP/1.1\r\nHost: h:8080\r\n\r\n",
			"GET", "/a/b?c=d&e", "h:8080", "/a/b?c=d&e", "Host=h:8080"},
		{"one empty line before the request line", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/", "h", "/", "Host=h"},
		{"no white space behind the colon", "GET / HTTP/1.1\r\nHost:h\r\nA:b\r\n\r\n", "GET", "/", "h", "/", "Host=h|A=b"},
		{"white space around a value", "GET / HTTP/1.1\r\nHost: \t h\t \r\nA:  \t \r\n\r\n", "GET", "/", "h", "/", "Host=h|A="},
		{"white space inside a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b \t c\r\n\r\n", "GET", "/", "h", "/", "Host=h|A=b \t c"},
		{"an empty value", "GET / HTTP/1.1\r\nHost: h\r\nA:\r\n\r\n", "GET", "/", "h", "/", "Host=h|A="},
		{"obs-text in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: \xff\x80\r\n\r\n", "GET", "/", "h", "/", "Host=h|A=\xff\x80"},
		{"a colon in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b:c\r\n\r\n", "GET", "/", "h", "/", "Host=h|A=b:c"},
		{"case and order of names", "GET / HTTP/1.1\r\nhOST: h\r\nb: 1\r\nA: 2\r\nB: 3\r\n\r\n", "GET", "/", "h", "/", "hOST=h|b=1|A=2|B=3"},
		{"a method nobody registered", "FR-OB!9 / HTTP/1.1\r\nHost: h\r\n\r\n", "FR-OB!9", "/", "h", "/", "Host=h"},
		{"methods in their own case", "get / HTTP/1.1\r\nHost: h\r\n\r\n", "get", "/", "h", "/", "Host=h"},
		{"the query bytes of browsers", "GET /?a={|}\\^` HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/?a={|}\\^`", "h", "/?a={|}\\^`", "Host=h"},
		{"percent-encoding untouched", "GET /%2e%2E/%zz HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/%2e%2E/%zz", "h", "/%2e%2E/%zz", "Host=h"},
		{"two slashes are a path, not a host", "GET //x/y HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "//x/y", "h", "//x/y", "Host=h"},
		{"absolute-form", "GET http://H/a?b HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "http://H/a?b", "H", "/a?b", "Host=h"},
		{"absolute-form of https", "GET HTTPS://h:443/a HTTP/1.1\r\nHost: h:443\r\n\r\n", "GET", "HTTPS://h:443/a", "h:443", "/a", "Host=h:443"},
		{"absolute-form without a path", "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "http://h", "h", "/", "Host=h"},
		{"absolute-form with a query alone", "GET http://h?a=/b HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "http://h?a=/b", "h", "/?a=/b", "Host=h"},
		{"OPTIONS of a whole server by URI", "OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS", "http://h", "h", "*", "Host=h"},
		{"OPTIONS with a query is of a path", "OPTIONS http://h?a HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS", "http://h?a", "h", "/?a", "Host=h"},
		{"asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS", "*", "h", "*", "Host=h"},
		{"authority-form", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "CONNECT", "h:443", "h:443", "", "Host=h:443"},
		{"authority-form of IPv6", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", "CONNECT", "[::1]:443", "[::1]:443", "", "Host=[::1]:443"},
		{"a URI in a query", "GET /?u=http://u@other/ HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/?u=http://u@other/", "h", "/?u=http://u@other/", "Host=h"},
		{"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "GET", "/", "", "/", ""},
		{"HTTP/1.0 with Host", "GET / HTTP/1.0\r\nHost: h\r\n\r\n", "GET", "/", "h", "/", "Host=h"},
		{"HTTP/1.0 with a URI and no Host", "GET http://h/ HTTP/1.0\r\n\r\n", "GET", "http://h/", "h", "/", ""},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			var h RequestHead
			n, err := ParseRequestHead(&h, []byte(c.head+"next"), Limits{})
			if err != nil || n != len(c.head) {
				t.Fatalf("n=%d of %d, error %v", n, len(c.head), err)
			}
			got := []string{h.Method(), string(h.Target()), string(h.Authority()), string(h.Path()), fieldText(&h.Fields)}
			want := []string{c.method, c.target, c.authority, c.path, c.fields}
			for i, what := range []string{"method", "target", "authority", "path", "fields"} {
				if got[i] != want[i] {
					t.Errorf("%s is %q, want %q", what, got[i], want[i])
				}
			}
			if minor := strings.Contains(c.head, "HTTP/1.1"); minor != (h.Minor() == 1) {
				t.Errorf("Minor is %d", h.Minor())
			}
		})
	}
}

func fieldText(f *Fields) string {
	var parts []string
	for name, value := range f.All() {
		parts = append(parts, string(name)+"="+string(value))
	}
	return strings.Join(parts, "|")
}

func TestLimitsOfRequestHeads(t *testing.T) {
	line := "GET /" + strings.Repeat("a", 20) + " HTTP/1.1\r\n"
	head := line + host + "A: b\r\nC: d\r\n\r\n"
	exact := Limits{Head: len(head), Fields: 3, Target: 21}
	cases := []struct {
		rule   string
		lim    Limits
		head   string
		status int // 0: accepted
	}{
		{"all limits met exactly", exact, head, 0},
		{"a byte over the head limit", Limits{Head: len(head) - 1}, head, 431},
		{"a field over the limit", Limits{Fields: 2}, head, 431},
		{"a byte over the target limit", Limits{Target: 20}, head, 414},
		{"the head limit while the head is incomplete", Limits{Head: 64}, line + "A: " + strings.Repeat("b", 64), 431},
		{"the head limit inside the request line", Limits{Head: 16}, "GET /" + strings.Repeat("b", 64), 431},
		{"a head that fills the limit and is not complete", Limits{Head: len(head)}, head[:len(head)-2] + "A:", 431},
		{"a request line that fills the limit", Limits{Head: 8}, "GET /aaa", 431},
		{"the field limit while the head is incomplete", Limits{Fields: 1}, line + host + "A", 431},
		{"the target limit while the line is incomplete", Limits{Target: 9}, "GET /aaaaaaaaa", 414},
		{"the target limit counts before the head's", Limits{Head: 64, Target: 9}, "GET /" + strings.Repeat("b", 99), 414},
		{"defaults", Limits{}, "GET / HTTP/1.1\r\n" + host + strings.Repeat("A: b\r\n", 127) + "\r\n", 0},
		{"defaults of fields", Limits{}, "GET / HTTP/1.1\r\n" + host + strings.Repeat("A: b\r\n", 128) + "\r\n", 431},
		{"defaults of the target", Limits{}, "GET /" + strings.Repeat("a", 16<<10), 414},
		{"defaults of the head", Limits{}, "GET / HTTP/1.1\r\nA: " + strings.Repeat("a", 64<<10), 431},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			var h RequestHead
			n, err := ParseRequestHead(&h, []byte(c.head), c.lim)
			if c.status != 0 {
				wantRefused(t, n, err, c.status)
			} else if err != nil || n != len(c.head) {
				t.Fatalf("n=%d, error %v", n, err)
			}
		})
	}
}

func TestAHeadBuiltFromPartsIsChecked(t *testing.T) {
	var h RequestHead
	for _, m := range []string{"", "G T", "GET\r\n", "\x00", strings.Repeat("A", 65)} {
		if h.SetMethod(m) == nil {
			t.Errorf("method %q was accepted", m)
		}
	}
	for _, target := range []string{"", " ", "/a b", "/\r\n", "/#", "x", "http://u@h/", "/\x80"} {
		if h.SetTarget([]byte(target)) == nil {
			t.Errorf("target %q was accepted", target)
		}
		if len(h.Target()) != 0 {
			t.Errorf("a refused target left %q", h.Target())
		}
	}
	if err := errors.Join(h.SetMethod("GET"), h.SetTarget([]byte("/a"))); err != nil {
		t.Fatal(err)
	}
	if h.SetTarget([]byte("*")) == nil {
		t.Error("GET * was accepted")
	}
	if h.SetTarget([]byte("/")) != nil || h.SetMethod("CONNECT") == nil {
		t.Error("CONNECT / was accepted")
	}
	if h.Method() != "GET" || h.Minor() != 1 {
		t.Errorf("method %s, minor %d", h.Method(), h.Minor())
	}
	if h.SetMethod("OPTIONS") != nil || h.SetTarget([]byte("*")) != nil {
		t.Error("OPTIONS * was refused")
	}
}

func TestATargetMayBeSetToTheHeadsOwnPath(t *testing.T) {
	for _, head := range []string{"GET http://h/a/b?c HTTP/1.1\r\n", "GET http://h?c HTTP/1.1\r\n"} {
		var h RequestHead
		if _, err := ParseRequestHead(&h, []byte(head+host+"\r\n"), Limits{}); err != nil {
			t.Fatal(err)
		}
		want := string(h.Path())
		if err := h.SetTarget(h.Path()); err != nil || string(h.Target()) != want || string(h.Authority()) != "h" {
			t.Fatalf("target %q, authority %q, error %v; want %q", h.Target(), h.Authority(), err, want)
		}
	}
}

func TestAResetHeadRemembersNothing(t *testing.T) {
	var h RequestHead
	if _, err := ParseRequestHead(&h, []byte("GET http://h?c HTTP/1.0\r\nHost: h\r\n\r\n"), Limits{}); err != nil {
		t.Fatal(err)
	}
	h.Reset()
	if h.Method() != "" || len(h.Target()) != 0 || len(h.Authority()) != 0 || len(h.Path()) != 0 || h.Minor() != 1 || h.Fields.Len() != 0 {
		t.Errorf("%s %s %s %s %d %s", h.Method(), h.Target(), h.Authority(), h.Path(), h.Minor(), fieldText(&h.Fields))
	}
	if s := string(AppendRequestHead(nil, &h)); s != "GET / HTTP/1.1\r\n\r\n" {
		t.Errorf("an empty head is written as %q", s)
	}
}

func TestReasonsNameTheRule(t *testing.T) {
	const start = "GET / HTTP/1.1\r\n" + host
	for head, want := range map[string]string{
		start + "A: b\r\n c\r\n":         "folded",
		"GET / HTTP/1.1\r\n " + host:     "between the start line",
		start + "A : b\r\n":              "behind a field name",
		start + "A: b\n":                 "bare LF",
		start + "A: b\rc":                "bare CR",
		start + "A: b\x00":               "NUL",
		"GET / HTTP/1.1\r\nA: b\r\n\r\n": "no Host",
		"GET http://u@h/ HTTP/1.1\r\n":   "userinfo",
		"GET /#":                         "fragment",
		"\r\n\r\n":                       "more than one empty line",
	} {
		var h RequestHead
		_, err := ParseRequestHead(&h, []byte(head), Limits{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want it to say %q", head, err, want)
		}
	}
}
