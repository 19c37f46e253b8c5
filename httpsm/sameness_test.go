package httpsm

import (
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

// The proof of sameness: each request, once over an HTTP/1.1 connection and
// once through a virtual connection, reaches the origin byte for byte the same,
// with the same hooks in the same order and the same record. Both have the same
// session, so that not even the identity differs.
func TestATransactionIsTheSameOverTCPAndVConn(t *testing.T) {
	reply := testkit.Reply("ok")
	for _, tc := range []struct {
		name, request string
		origin        string // what it answers each request with
		want          string // what the origin must have seen of the request, "" = anything
	}{
		{"GET", get, reply, "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\n" +
			"Via: 1.1 PSEUDONYM\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: example.com\r\n\r\n"},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", ""},
		{"POST with length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", reply, "Content-Length: 5\r\nVia: 1.1 PSEUDONYM\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\nhello"},
		{"POST of nothing", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", reply, "Content-Length: 0\r\n"},
		{"POST without framing", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", reply, "Content-Length: 0\r\n"},
		{"POST chunked with trailers", "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\nContent-Length: 4\r\n\r\n", reply,
			"\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"},
		{"large POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("0123456789", 10000), reply, strings.Repeat("0123456789", 10000)},
		{"PUT with Expect", "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 100 Continue\r\n\r\n" + reply, "Expect: 100-continue\r\n"},
		{"odd fields", "GET / HTTP/1.1\r\nhOST: a\r\nX-Odd:\t \r\nX-Odd: \xc3\xa9\xff\r\nCOOKIE: a=b; c\r\nX-!#$%&'*+.^_`|~: 1\r\n\r\n", reply,
			"hOST: a\r\nX-Odd: \r\nX-Odd: \xc3\xa9\xff\r\nCOOKIE: a=b; c\r\nX-!#$%&'*+.^_`|~: 1\r\n"},
		{"odd target", "GET /%2F/../a//b?;&=%zz#'[]\\^{|} HTTP/1.1\r\nHost: a\r\n\r\n", reply, ""},
		{"odd target without fragment", "GET /%2F/../a//b?;&=%zz'[]\\^{|} HTTP/1.1\r\nHost: a\r\n\r\n", reply, "GET /%2F/../a//b?;&=%zz'[]\\^{|} HTTP/1.1\r\n"},
		{"absolute form", "GET http://example.com:80/x HTTP/1.1\r\nHost: example.com:80\r\n\r\n", reply, "GET /x HTTP/1.1\r\nHost: example.com:80\r\n"},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n", reply, "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\n"},
		{"hop-by-hop fields", "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x-mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip, trailers\r\nUpgrade: h2c\r\nX-Kept: 1\r\n\r\n", reply,
			"Host: a\r\nX-Kept: 1\r\nTE: trailers\r\nConnection: TE\r\n"},
		{"forwarding fields of the client", "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 x\r\nX-Forwarded-For: 1.2.3.4\r\nx-forwarded-proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=1.2.3.4\r\n\r\n", reply,
			"Host: a\r\nVia: 1.0 x\r\nVia: 1.1 PSEUDONYM\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n"},
		{"interim responses", get, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + reply, ""},
		{"chunked response with trailers", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\nHost: x\r\n\r\n", ""},
		{"204", get, "HTTP/1.1 204 No Content\r\n\r\n", ""},
		{"304", get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\nETag: \"x\"\r\n\r\n", ""},
		{"response without a reason", get, "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", ""},
		{"hop-by-hop fields of the origin", get, "HTTP/1.1 200 OK\r\nConnection: x-mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n", ""},
		{"WebSocket", wsAsk, ws101 + "\r\nhello", "GET /chat HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: " + wsKey + "\r\nSec-WebSocket-Version: 13\r\nVia: 1.1 PSEUDONYM\r\n"},
		{"WebSocket without a key", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", reply, ""},
		{"malformed request", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", reply, ""},
		{"obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", reply, ""},
		{"malformed response", get, "HTTP/1.1 2000 OK\r\n\r\n", ""},
		{"refused by a hook", "GET /denied HTTP/1.1\r\nHost: a\r\n\r\n", reply, ""},
		{"panic in a hook", "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n", reply, ""},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			var seen [2]string // at the origin
			var answers [2]string
			var hooks [2][]string
			var records [2]Record
			for i, serve := range []func(*rig, string) string{overTCP, overVConn} {
				r := newRig(t, func(c *Config) { c.Hooks = traced(&hooks[i]) }, func(c *testkit.OriginConn) {
					for {
						if _, ok := c.ReadRequest(); !ok {
							return
						}
						c.Send(tc.origin)
					}
				})
				answers[i] = anyDate.ReplaceAllString(serve(r, tc.request), "")
				synctest.Wait()
				seen[i] = strings.ReplaceAll(strings.Join(r.o.Received(), "|"), string(r.m.pseudonym), "PSEUDONYM")
				if len(r.records) != 1 {
					t.Fatalf("%d records", len(r.records))
				}
				records[i] = comparable(r.records[0])
			}
			if seen[0] != seen[1] || tc.want != "" && !strings.Contains(seen[0], tc.want) {
				t.Errorf("the origin saw over TCP\n%q\nover vconn\n%q\nwant\n%q", seen[0], seen[1], tc.want)
			}
			if answers[0] != answers[1] {
				t.Errorf("the client got over TCP\n%q\nover vconn\n%q", answers[0], answers[1])
			}
			if !slices.Equal(hooks[0], hooks[1]) || len(hooks[0]) < 2 {
				t.Errorf("hooks over TCP %q, over vconn %q", hooks[0], hooks[1])
			}
			if !reflect.DeepEqual(records[0], records[1]) {
				t.Errorf("record over TCP\n%+v\nover vconn\n%+v", records[0], records[1])
			}
		})
	}
}

var anyDate = regexp.MustCompile("Date: [^\r]*\r\n")

// comparable leaves out what must differ: identity, time, the stream's number
// and its reset, and the handle of the session.
func comparable(r Record) Record {
	r.Session, r.Stream, r.OriginConn = nil, 0, 0
	r.Start, r.End, r.FirstByte = time.Time{}, time.Time{}, time.Time{}
	if r.Err != nil {
		r.Path += " " + r.Err.Error()
		r.Err = nil
	}
	return r
}

// traced notes the hooks that run, and acts on two paths.
func traced(log *[]string) *Hooks {
	hooks := new(Hooks)
	for p := range numPoints {
		hooks.On(p, func(t *Txn) Verdict {
			*log = append(*log, p.String()+" in "+t.State().String())
			if p == PreRoute && string(t.Request().Path()) == "/denied" {
				return t.Reply(403, nil, []byte("no"))
			}
			if p == PostRoute && string(t.Request().Path()) == "/panic" {
				panic("at the disco")
			}
			return Continue
		})
	}
	return hooks
}

func overVConn(r *rig, request string) string {
	c := r.open()
	defer c.Close()
	io.WriteString(c, request)
	time.Sleep(time.Second) // the origin must not see a difference that is only one of time
	c.CloseWrite()
	return r.readAll(c)
}

// overTCP returns what came before the end. "Connection: close" on the replies
// to malformed requests is the one thing only a connection has to say.
func overTCP(r *rig, request string) string {
	c := r.dial()
	c.send(request)
	time.Sleep(time.Second)
	c.CloseWrite()
	answer := r.readAll(c)
	c.Close()
	<-c.done
	return strings.ReplaceAll(answer, "Connection: close\r\n", "")
}
