package httpsm

import (
	"net/netip"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/pitag"
)

// Heads as h2load and a browser send them through h2session, and as nginx
// answers.
const (
	smallRequest = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8443\r\nuser-agent: h2load nghttp2/1.59.0\r\n\r\n"

	browserRequest = "GET /articles/2026/some-long-title?ref=home HTTP/1.1\r\nHost: www.example.com\r\n" +
		"user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\naccept-language: en-US,en;q=0.5\r\n" +
		"accept-encoding: gzip, deflate, br, zstd\r\nreferer: https://www.example.com/\r\n" +
		"upgrade-insecure-requests: 1\r\nsec-fetch-dest: document\r\nsec-fetch-mode: navigate\r\n" +
		"sec-fetch-site: same-origin\r\npriority: u=0, i\r\nte: trailers\r\ncookie: session=0123456789abcdef; theme=dark\r\n\r\n"

	nginxResponse = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 05:00:00 GMT\r\n" +
		"Content-Type: text/plain\r\nContent-Length: 100\r\nLast-Modified: Mon, 23 Nov 2026 04:00:00 GMT\r\n" +
		"Connection: keep-alive\r\nETag: \"6740f5f0-64\"\r\nAccept-Ranges: bytes\r\n\r\n"
)

// headTxn is a transaction that has what rewriting heads needs.
func headTxn(tb testing.TB) *Txn {
	m := New(Config{})
	tb.Cleanup(m.literal.Close)
	t := m.newTxn()
	t.takeDesk()
	t.now = time.Now()
	t.cl = &t.own
	t.rec.Session = &pitag.Session{
		Identity: pitag.Identity{Tag: pitag.TagH2, ID: 1}, Client: netip.MustParseAddrPort("192.0.2.7:40000"),
	}
	return t
}

// BenchmarkRequestHead is what a request's head costs the transaction: it is
// parsed, rewritten and serialised for the origin.
func BenchmarkRequestHead(b *testing.B) {
	for _, c := range []struct{ name, head string }{{"h2load", smallRequest}, {"browser", browserRequest}} {
		b.Run(c.name, func(b *testing.B) {
			t, head := headTxn(b), []byte(c.head)
			b.ReportAllocs()
			for b.Loop() {
				if n, err := h1.ParseRequestHead(&t.req, head, t.m.requestLimits); n == 0 || err != nil {
					b.Fatal(err)
				}
				f, err := h1.RequestFraming(&t.req)
				if err != nil || t.m.seenBefore(&t.req.Fields) || wantsWebSocket(&t.req) {
					b.Fatal(err)
				}
				t.up.framing = f
				if err := t.rewriteRequest(); err != nil {
					b.Fatal(err)
				}
				if err := t.frameRequestHead(); err != nil {
					b.Fatal(err)
				}
				t.reqOut = h1.AppendRequestHead(t.reqOut[:0], &t.oreq)
			}
		})
	}
}

// BenchmarkResponseHead is what a response's head costs the transaction.
func BenchmarkResponseHead(b *testing.B) {
	t, head := headTxn(b), []byte(nginxResponse)
	if n, err := h1.ParseRequestHead(&t.req, []byte(smallRequest), h1.Limits{}); n == 0 || err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if n, err := h1.ParseResponseHead(&t.resp, head, t.m.responseLimits); n == 0 || err != nil {
			b.Fatal(err)
		}
		if ev := t.prepareResponse(); ev.kind != evNone {
			b.Fatal(ev.err)
		}
		t.respOut = h1.AppendResponseHead(t.respOut[:0], &t.resp)
	}
}
