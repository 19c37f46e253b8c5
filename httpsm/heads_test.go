package httpsm

import (
	"strings"
	"testing"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/vconn"
)

// ours is what the transaction of headTxn adds to every request behind the fields
// that it keeps.
const ours = "Via: 2 h2gw-*|X-Forwarded-For: 192.0.2.7|X-Forwarded-Proto: http|X-Forwarded-Host: h"

func TestWhatAnOriginGetsOfARequest(t *testing.T) {
	cases := []struct {
		rule, in string
		want     string // fields; "" refused
	}{
		{"a usual one stays as it is", "GET / HTTP/1.1|Host: h|user-agent: x|Accept:*/*", "GET / HTTP/1.1|Host: h|user-agent: x|Accept: */*|" + ours},
		{"connection fields go", "GET / HTTP/1.1|Host: h|Connection: x-a, close|Keep-Alive: 5|X-A: 1|Proxy-Connection: y|Upgrade: h2c|B: 2", "GET / HTTP/1.1|Host: h|B: 2|" + ours},
		{"TE: trailers is passed on with its Connection", "GET / HTTP/1.1|Host: h|te: trailers", "GET / HTTP/1.1|Host: h|TE: trailers|Connection: TE|" + ours},
		{"what a client says of who it is goes", "GET / HTTP/1.1|X-Forwarded-For: 1.2.3.4|Host: h|Forwarded: for=x|X-Forwarded-Proto: https|X-Forwarded-Host: evil|X-Forwarded-Port: 1|X-Real-IP: 5", "GET / HTTP/1.1|Host: h|X-Real-IP: 5|" + ours},
		{"Via is appended", "GET / HTTP/1.1|Host: h|Via: 1.1 a", "GET / HTTP/1.1|Host: h|Via: 1.1 a|" + ours},
		{"an absolute target becomes its path", "GET http://h/a?b HTTP/1.1|Host: h", "GET /a?b HTTP/1.1|Host: h|" + ours},
		{"OPTIONS of a host is OPTIONS *", "OPTIONS http://h HTTP/1.1|Host: h|Max-Forwards: 3", "OPTIONS * HTTP/1.1|Host: h|Max-Forwards: 2|" + ours},
		{"Max-Forwards of a GET is not ours", "GET / HTTP/1.1|Host: h|Max-Forwards: 3", "GET / HTTP/1.1|Host: h|Max-Forwards: 3|" + ours},
		{"HTTP/1.0 has no Expect, and gets a Host", "GET / HTTP/1.0|Expect: 100-continue", "GET / HTTP/1.1|Host: origin:80|" + strings.TrimSuffix(ours, "|X-Forwarded-Host: h")},
		{"a length stays", "POST / HTTP/1.1|Host: h|Content-Length: 5|A: b", "POST / HTTP/1.1|Host: h|Content-Length: 5|A: b|" + ours},
		{"a length is written as a number", "POST / HTTP/1.1|Host: h|Content-Length: 005|A: b", "POST / HTTP/1.1|Host: h|A: b|" + ours + "|Content-Length: 5"},
		{"chunked is ours to say", "POST / HTTP/1.1|Host: h|Transfer-Encoding: CHUNKED", "POST / HTTP/1.1|Host: h|" + ours + "|Transfer-Encoding: chunked"},
		{"a method that expects a body says that there is none", "PUT / HTTP/1.1|Host: h", "PUT / HTTP/1.1|Host: h|" + ours + "|Content-Length: 0"},
		{"Connection must not name what is meant for all", "GET / HTTP/1.1|Host: h|Connection: host", ""},
	}
	for _, c := range cases {
		txn := headTxn(t)
		// "origin:80" is resolved only when somebody connects.
		g, err := origin.NewGroup(origin.Config{Endpoints: []origin.EndpointConfig{{Addr: "origin:80"}}})
		if err != nil {
			t.Fatal(err)
		}
		txn.ep = g.Pick()
		got, err := originHead(t, txn, c.in)
		if g.Close(); (err != nil) != (c.want == "") || err == nil && got != c.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", c.rule, got, err, c.want)
		}
	}
}

func text(lines string) []byte { return []byte(strings.ReplaceAll(lines, "|", "\r\n") + "\r\n\r\n") }

// lines is a head as the tables write it, without the part of Via that is different
// in each Machine.
func lines(txn *Txn, head []byte) string {
	s := strings.ReplaceAll(strings.TrimSuffix(string(head), "\r\n\r\n"), "\r\n", "|")
	return strings.ReplaceAll(s, string(txn.m.pseudonym), "h2gw-*")
}

func originHead(t *testing.T, txn *Txn, in string) (string, error) {
	t.Helper()
	if n, err := h1.ParseRequestHead(&txn.req, text(in), h1.Limits{}); n == 0 || err != nil {
		t.Fatalf("%s: %v", in, err)
	}
	f, err := h1.RequestFraming(&txn.req)
	if err != nil {
		t.Fatal(err)
	}
	txn.up.framing, txn.up.chunked = f, f.Kind == h1.Chunked
	if err := txn.rewriteRequest(); err != nil {
		return "", err
	}
	if err := txn.frameRequestHead(); err != nil {
		return "", err
	}
	return lines(txn, h1.AppendRequestHead(nil, &txn.oreq)), nil
}

func TestWhatAClientGetsOfAResponse(t *testing.T) {
	const date = "Date: Mon, 23 Nov 2026 05:00:00 GMT"
	cases := []struct{ rule, in, want string }{
		{"a usual one stays as it is", "HTTP/1.1 200 OK|" + date + "|Content-Length: 5|ETag: x", "HTTP/1.1 200 OK|" + date + "|Content-Length: 5|ETag: x|Via: 1.1 h2gw"},
		{"connection fields go", "HTTP/1.1 200 OK|Connection: x-a|Keep-Alive: 5|X-A: 1|" + date + "|Content-Length: 5|Upgrade: h2c", "HTTP/1.1 200 OK|" + date + "|Content-Length: 5|Via: 1.1 h2gw"},
		{"keep-alive goes", "HTTP/1.1 200 OK|Connection: keep-alive|" + date + "|Content-Length: 5", "HTTP/1.1 200 OK|" + date + "|Content-Length: 5|Via: 1.1 h2gw"},
		{"chunked is ours to say", "HTTP/1.1 200 OK|" + date + "|Transfer-Encoding: chunked|A: b", "HTTP/1.1 200 OK|" + date + "|A: b|Via: 1.1 h2gw|Transfer-Encoding: chunked"},
		{"what ends with its connection becomes chunked", "HTTP/1.0 200 Fine|" + date, "HTTP/1.1 200 Fine|" + date + "|Via: 1.0 h2gw|Transfer-Encoding: chunked"},
		{"204 has no length", "HTTP/1.1 204 No Content|" + date + "|Content-Length: 0", "HTTP/1.1 204 No Content|" + date + "|Via: 1.1 h2gw"},
		{"304 keeps it", "HTTP/1.1 304 |" + date + "|Content-Length: 9", "HTTP/1.1 304 |" + date + "|Content-Length: 9|Via: 1.1 h2gw"},
	}
	for _, c := range cases {
		txn := headTxn(t)
		txn.cl.vc = new(vconn.Conn) // only that it is one matters
		if _, err := originHead(t, txn, "GET / HTTP/1.1|Host: h"); err != nil {
			t.Fatal(err)
		}
		if n, err := h1.ParseResponseHead(&txn.resp, text(c.in), h1.Limits{}); n == 0 || err != nil {
			t.Fatalf("%s: %v", c.rule, err)
		}
		if ev := txn.prepareResponse(); ev.kind != evNone {
			t.Errorf("%s: %v", c.rule, ev.err)
		}
		if got := lines(txn, h1.AppendResponseHead(nil, &txn.resp)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.rule, got, c.want)
		}
	}
}

// A pseudonym that cannot stand in Via would make every request one that cannot be
// forwarded.
func TestAPseudonymThatIsNoTokenIsNotUsed(t *testing.T) {
	for _, via := range []string{"", "a b", "a\r\nB: c"} {
		m := New(Config{Via: via})
		m.literal.Close()
		if !strings.HasPrefix(string(m.pseudonym), "h2gw-") {
			t.Errorf("%q became %q", via, m.pseudonym)
		}
	}
}
