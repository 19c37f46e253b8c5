package h2session

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// Requests as HTTP/2 says them and as HTTP/1.1 must: rules 1 to 6 of the
// translation.
func TestRequestTranslation(t *testing.T) {
	req := testkit.Request
	tests := []struct {
		name   string
		fields []string
		body   bool // DATA follows
		want   string
	}{
		{"plain", req("GET", "/"), false, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"},
		{"target is byte-exact", req("GET", "/%7Ea//b/../c;x=1?q=%2f&&"), false, "GET /%7Ea//b/../c;x=1?q=%2f&& HTTP/1.1\r\nHost: example.com\r\n\r\n"},
		{"OPTIONS *", req("OPTIONS", "*"), false, "OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n"},
		{"port", req("GET", "/", ":authority", "a.example:8443"), false, "GET / HTTP/1.1\r\nHost: a.example:8443\r\n\r\n"},
		{"host that agrees", req("GET", "/", "a", "1", "host", "Example.com"), false, "GET / HTTP/1.1\r\nHost: example.com\r\na: 1\r\n\r\n"},
		{"host alone", []string{":method", "GET", ":scheme", "http", ":path", "/", "host", "h"}, false, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"order and repeats", req("GET", "/", "b", "1", "a", "2", "b", "3"), false, "GET / HTTP/1.1\r\nHost: example.com\r\nb: 1\r\na: 2\r\nb: 3\r\n\r\n"},
		{"obs-text", req("GET", "/", "a", "\xff\x80"), false, "GET / HTTP/1.1\r\nHost: example.com\r\na: \xff\x80\r\n\r\n"},
		{"empty value", req("GET", "/", "a", ""), false, "GET / HTTP/1.1\r\nHost: example.com\r\na: \r\n\r\n"},
		{"cookie crumbs", req("GET", "/", "cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3"), false, "GET / HTTP/1.1\r\nHost: example.com\r\nx: y\r\ncookie: a=1; b=2; c=3\r\n\r\n"},
		{"te: trailers", req("GET", "/", "te", "trailers"), false, "GET / HTTP/1.1\r\nHost: example.com\r\nte: trailers\r\n\r\n"},
		{"expect", req("POST", "/", "expect", "100-continue", "content-length", "3"), true, "POST / HTTP/1.1\r\nHost: example.com\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc"},
		{"POST without a body", req("POST", "/"), false, "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\n\r\n"},
		{"PUT without a body", req("PUT", "/"), false, "PUT / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\n\r\n"},
		{"DELETE without a body", req("DELETE", "/"), false, "DELETE / HTTP/1.1\r\nHost: example.com\r\n\r\n"},
		{"content-length: 0", req("GET", "/", "content-length", "0"), false, "GET / HTTP/1.1\r\nHost: example.com\r\ncontent-length: 0\r\n\r\n"},
		{"body with length", req("POST", "/", "content-length", "3"), true, "POST / HTTP/1.1\r\nHost: example.com\r\ncontent-length: 3\r\n\r\nabc"},
		{"body without length", req("POST", "/"), true, "POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
		{"GET with a body", req("GET", "/"), true, "GET / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, nil)
				cl.Handshake()
				cl.Headers(1, !tt.body, tt.fields...)
				if tt.body {
					cl.Data(1, true, "abc")
				}
				cl.WantStatus(1, "200")
				cl.WantBody(1)
				if got := cl.request(0); got != tt.want {
					t.Errorf("got\n%q, want\n%q", got, tt.want)
				}
				cl.end()
			})
		})
	}
}

// What is malformed is RST_STREAM(PROTOCOL_ERROR), and nothing of it reaches a
// transaction.
func TestMalformedRequests(t *testing.T) {
	req := testkit.Request
	without := func(name string) []string {
		var out []string
		for f := req("GET", "/"); len(f) > 0; f = f[2:] {
			if f[0] != name {
				out = append(out, f[:2]...)
			}
		}
		return out
	}
	tests := map[string][]string{
		"no method":                without(":method"),
		"no scheme":                without(":scheme"),
		"no path":                  without(":path"),
		"no authority":             without(":authority"),
		"empty path":               req("GET", ""),
		"relative path":            req("GET", "a"),
		"* for GET":                req("GET", "*"),
		"absolute form":            req("GET", "http://example.com/"),
		"fragment":                 req("GET", "/#a"),
		"space in the path":        req("GET", "/ HTTP/1.1"),
		"CR LF in the path":        req("GET", "/\r\nX: y"),
		"NUL in the path":          req("GET", "/\x00"),
		"obs-text in the path":     req("GET", "/\xff"),
		"method twice":             append(req("GET", "/"), ":method", "GET"),
		"unknown pseudo-field":     append(req("GET", "/"), ":protocol", "websocket"),
		"response pseudo-field":    append(req("GET", "/"), ":status", "200"),
		"pseudo-field at the end":  append(without(":path"), "a", "b", ":path", "/"),
		"invalid method":           req("G ET", "/"),
		"CR LF in the method":      req("GET / HTTP/1.1\r\nX:", "/"),
		"empty method":             req("", "/"),
		"scheme":                   req("GET", "/", ":scheme", "ftp"),
		"userinfo":                 req("GET", "/", ":authority", "u@example.com"),
		"empty authority":          req("GET", "/", ":authority", ""),
		"path in the authority":    req("GET", "/", ":authority", "a/b"),
		"CR LF in the authority":   req("GET", "/", ":authority", "a\r\nX: y"),
		"host differs":             req("GET", "/", "host", "other"),
		"host twice":               req("GET", "/", "host", "example.com", "host", "example.com"),
		"upper case":               req("GET", "/", "Accept", "x"),
		"space in a name":          req("GET", "/", "a b", "x"),
		"colon in a name":          req("GET", "/", "a:", "x"),
		"empty name":               req("GET", "/", "", "x"),
		"CR in a value":            req("GET", "/", "a", "x\ry"),
		"LF in a value":            req("GET", "/", "a", "x\ny"),
		"NUL in a value":           req("GET", "/", "a", "x\x00"),
		"leading space":            req("GET", "/", "a", " x"),
		"trailing tab":             req("GET", "/", "a", "x\t"),
		"CR LF in a cookie":        req("GET", "/", "cookie", "x\r\ny: z"),
		"connection":               req("GET", "/", "connection", "close"),
		"keep-alive":               req("GET", "/", "keep-alive", "1"),
		"proxy-connection":         req("GET", "/", "proxy-connection", "close"),
		"transfer-encoding":        req("GET", "/", "transfer-encoding", "chunked"),
		"upgrade":                  req("GET", "/", "upgrade", "x"),
		"te":                       req("GET", "/", "te", "trailers, gzip"),
		"content-length twice":     req("GET", "/", "content-length", "0", "content-length", "0"),
		"content-length list":      req("GET", "/", "content-length", "0, 0"),
		"content-length sign":      req("GET", "/", "content-length", "+0"),
		"content-length minus":     req("GET", "/", "content-length", "-1"),
		"content-length hex":       req("GET", "/", "content-length", "0x0"),
		"content-length empty":     req("GET", "/", "content-length", ""),
		"content-length too large": req("GET", "/", "content-length", "9223372036854775808"),
		"content-length, no body":  req("GET", "/", "content-length", "1"),
		"CONNECT with a path":      {":method", "CONNECT", ":authority", "a:1", ":path", "/"}, // RFC 9113, section 8.5
		"CONNECT with a scheme":    {":method", "CONNECT", ":authority", "a:1", ":scheme", "https"},
		"CONNECT without host":     {":method", "CONNECT"},
		"CONNECT without a port":   {":method", "CONNECT", ":authority", "a"},
		"CONNECT with upgrade":     {":method", "CONNECT", ":authority", "a:1", "upgrade", "x"},
	}
	for name, fields := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, nil)
				cl.Handshake()
				cl.Headers(1, true, fields...)
				cl.WantReset(1, codeProtocol)
				cl.WantIdle()
				if len(cl.requests) != 0 {
					t.Errorf("a transaction got %q", cl.requests)
				}
				if r := cl.wantRefusal("http_request_error"); r.H2Error != "PROTOCOL_ERROR" || r.Stream != 1 || r.Txn != 1 || r.Reason == "" ||
					strings.ContainsFunc(r.Method+r.Host+r.Path, func(c rune) bool { return c < 0x20 || c > 0x7e }) {
					t.Errorf("refusal %+v", r)
				}
				cl.Get(3, "/") // the session goes on
				cl.WantStatus(3, "200")
				cl.WantBody(3)
				if r := cl.end(); r.Streams != 2 || r.StreamsRefused != 1 {
					t.Errorf("record %+v", r)
				}
			})
		})
	}
}

func TestPlainConnectIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.Handshake()
		cl.Headers(1, false, ":method", "CONNECT", ":authority", "example.com:443")
		cl.WantStatus(1, "405")
		cl.WantBody(1)
		cl.WantReset(1, codeNo)
		if r := cl.wantRefusal("http_request_denied"); r.Status != 405 || r.BytesOut == 0 || r.Host != "example.com:443" {
			t.Errorf("refusal %+v", r)
		}
		cl.end()
	})
}

// Responses as HTTP/1.1 says them and as HTTP/2 must: rules 9 to 13.
func TestResponseTranslation(t *testing.T) {
	tests := []struct {
		name, method, text string
		want               string // fields, a bar, the body
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Mixed: Case\r\n\r\nabc", ":status=200 content-length=3 x-mixed=Case |abc"},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n", ":status=200 |abc"},
		{"until close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", ":status=200 |abc"},
		{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ":status=200 content-length=0 |"},
		{"204", "GET", "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n", ":status=204 a=b |"},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nEtag: \"x\"\r\n\r\n", ":status=304 content-length=5 etag=\"x\" |"},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", ":status=200 content-length=5 |"},
		{"connection-specific", "GET", "HTTP/1.1 200 OK\r\nKeep-Alive: 1\r\nUpgrade: x\r\nProxy-Connection: y\r\nConnection: a\r\nContent-Length: 0\r\n\r\n", ":status=200 content-length=0 |"},
		{"unusual status", "GET", "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n", ":status=599 content-length=0 |"},
		{"set-cookie stays apart", "GET", "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n", ":status=200 set-cookie=a set-cookie=b content-length=0 |"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, func(_ *http.Request, c *vconn.Conn) { io.WriteString(c, tt.text) })
				cl.Handshake()
				for id := uint32(1); id < 9; id += 2 { // the HPACK table learns
					cl.Headers(id, true, testkit.Request(tt.method, "/")...)
					f, err := cl.Next()
					if err != nil {
						t.Fatal(err)
					}
					got := ""
					for _, h := range f.Fields {
						got += h.Name + "=" + h.Value + " "
					}
					got += "|"
					if !f.End() {
						body, _ := cl.WantBody(id)
						got += string(body)
					}
					if got != tt.want {
						t.Errorf("got %s, want %s", got, tt.want)
					}
				}
				cl.end()
			})
		})
	}
}

// A head may arrive byte by byte.
func TestSlowHead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		text := "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nt: 1\r\n\r\n"
		cl := start(t, Config{}, func(_ *http.Request, c *vconn.Conn) {
			for i := range len(text) {
				io.WriteString(c, text[i:i+1])
				synctestWait()
			}
		})
		cl.Handshake()
		cl.Get(1, "/")
		cl.WantStatus(1, "103")
		cl.WantStatus(1, "200")
		if body, tr := cl.WantBody(1); string(body) != "ab" || tr.Get("t") != "1" {
			t.Errorf("body %q, %v", body, &tr)
		}
		cl.end()
	})
}

func TestInterimResponses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, func(_ *http.Request, c *vconn.Conn) {
			for i := range maxInterim + 5 {
				fmt.Fprintf(c, "HTTP/1.1 103 Early Hints\r\nN: %d\r\n\r\n", i)
			}
			respond(c, 200, "")
		})
		cl.Handshake()
		cl.Get(1, "/")
		for i := range maxInterim {
			if f := cl.WantStatus(1, "103"); f.Get("n") != fmt.Sprint(i) || f.End() {
				t.Errorf("got %v", &f)
			}
		}
		cl.WantHeaders(1, true)
		cl.end()
	})
}

func TestExpectContinue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, func(r *http.Request, c *vconn.Conn) {
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			hello(r, c)
		})
		cl.Handshake()
		cl.Post(1, "/", "expect", "100-continue")
		cl.WantStatus(1, "100")
		cl.Data(1, true, "abc")
		cl.WantStatus(1, "200")
		cl.WantBody(1)
		cl.end()
	})
}

// A response that comes before the request has ended is delivered, and then the
// upload is stopped without blame.
func TestEarlyResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, func(_ *http.Request, c *vconn.Conn) { respond(c, 403, "no") })
		cl.Handshake()
		cl.Post(1, "/")
		cl.Data(1, false, "abc")
		cl.WantStatus(1, "403")
		if body, _ := cl.WantBody(1); string(body) != "no" {
			t.Errorf("body %q", body)
		}
		cl.WantReset(1, codeNo)
		cl.Data(1, false, "more") // was on its way
		cl.Data(1, true, "")
		cl.WantIdle()
		cl.end()
	})
}

// Requests and responses may overlap for as long as both sides like.
func TestBidirectional(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, func(r *http.Request, c *vconn.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			buf := make([]byte, 10)
			for {
				n, err := r.Body.Read(buf)
				if n > 0 {
					fmt.Fprintf(c, "%x\r\n%s\r\n", n, buf[:n])
				}
				if err != nil {
					break
				}
			}
			io.WriteString(c, "0\r\n\r\n")
		})
		cl.Handshake()
		cl.Post(1, "/")
		cl.WantHeaders(1, false)
		for _, m := range []string{"a", "bb", "ccc"} {
			cl.Data(1, false, m)
			if got := cl.WantData(1, false); string(got) != m {
				t.Errorf("got %q", got)
			}
		}
		cl.Data(1, true, "")
		if got := cl.WantData(1, true); len(got) != 0 {
			t.Errorf("got %q", got)
		}
		cl.WantIdle()
		cl.end()
	})
}
