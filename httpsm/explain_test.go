package httpsm

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/internal/testkit"
)

// A debugLine is the line that explains a transaction.
type debugLine struct {
	Level, Pitag, Message string
	Piid, Txn             uint64
	Stream                uint32
	Request, Response     []string
}

// explain runs one exchange with an HTTP/1.1 client at debug level and returns
// the line that explains it.
func explain(t *testing.T, request, response string, change func(*Config)) debugLine {
	t.Helper()
	var log bytes.Buffer
	r := newRig(t, func(c *Config) {
		c.Log = zerolog.New(&log).Level(zerolog.DebugLevel)
		if change != nil {
			change(c)
		}
	}, testkit.Serve(response))
	c := r.dial()
	c.send(request)
	c.CloseWrite()
	r.readAll(c)
	c.Close()
	<-c.done
	var found []debugLine
	for text := range strings.Lines(log.String()) {
		var line debugLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line.Message == "translation" {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d lines explain it, want 1: %s", len(found), &log)
	}
	return found[0]
}

const (
	noteVia      = "Via added: a gateway names itself (RFC 9110, 7.6.3)"
	noteDate     = "Date added: the origin sent none (RFC 9110, 6.6.1)"
	noteFor      = "X-Forwarded-For added: the origin cannot see who asks, and how"
	noteProto    = "X-Forwarded-Proto added: the origin cannot see who asks, and how"
	noteHost     = "X-Forwarded-Host added: the origin cannot see who asks, and how"
	noteByLength = "the body goes by Content-Length, as it came (RFC 9112, 6.2)"
	noteChunked  = "the body goes chunked, as it came (RFC 9112, 7.1)"
)

var usualRequest = []string{noteVia, noteFor, noteProto, noteHost}

func TestATranslationIsExplained(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok"
	usual := []string{noteVia, noteByLength}
	tests := []struct {
		name, request, answer string
		wantRequest, want     []string
		change                func(*Config)
	}{
		{"nothing special", get, ok, usualRequest, usual, nil},
		{"hop-by-hop fields",
			"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\nkeep-alive: 5\r\nx-mine: 1\r\nTE: gzip, trailers\r\nProxy-Connection: x\r\n\r\n",
			"HTTP/1.1 200 OK\r\nDate: x\r\nConnection: x-its\r\nX-Its: 1\r\nKeep-Alive: 1\r\nContent-Length: 2\r\n\r\nok",
			[]string{
				"Connection replaced: it names what is for the origin's hop (RFC 9110, 7.6.1)",
				"keep-alive dropped: it is for one hop (RFC 9110, 7.6.1)",
				"x-mine dropped: Connection names it (RFC 9110, 7.6.1)",
				"TE replaced: trailers alone can be passed on (RFC 9110, 10.1.4)",
				"Proxy-Connection dropped: it is for one hop (RFC 9110, 7.6.1)",
				noteVia, noteFor, noteProto, noteHost,
			}, []string{
				"Connection dropped: it is for one hop (RFC 9110, 7.6.1)",
				"X-Its dropped: Connection names it (RFC 9110, 7.6.1)",
				"Keep-Alive dropped: it is for one hop (RFC 9110, 7.6.1)",
				noteVia, noteByLength,
			}, nil},
		{"what a client says of itself",
			"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\nVia: 1.1 other\r\n\r\n", ok,
			[]string{
				"X-Forwarded-For replaced: what a client says of itself does not count (RFC 7239, 8.1)",
				"Forwarded dropped: what a client says of itself does not count (RFC 7239, 8.1)",
				noteVia, noteProto, noteHost,
			}, usual, nil},
		{"absolute-form", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", ok,
			append([]string{"the request target loses scheme and host, which are in Host (RFC 9112, 3.2.1)"}, usualRequest...), usual, nil},
		{"a POST that ends at once", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", ok,
			append(slices.Clone(usualRequest), "Content-Length added: a method that expects a body comes without one (RFC 9110, 8.6)"), usual, nil},
		{"a body with a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", ok,
			append(slices.Clone(usualRequest), noteByLength), usual, nil},
		{"chunked both ways, with trailers",
			"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\nx-sum: 1\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 7\r\nSet-Cookie: a\r\nx-sum: 1\r\n\r\n",
			append(slices.Clone(usualRequest), noteChunked, "1 trailers dropped: they are not allowed there (RFC 9110, 6.5.1)"),
			[]string{noteVia, noteDate, noteChunked, "2 trailers dropped: they are not allowed there (RFC 9110, 6.5.1)"}, nil},
		{"an old origin", get, "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nok", usualRequest,
			[]string{
				"HTTP/1.0 becomes HTTP/1.1 (RFC 9110, 2.5)",
				"Connection dropped: it is for one hop (RFC 9110, 7.6.1)", noteVia, noteDate,
				"Transfer-Encoding added: the body is framed anew (RFC 9112, 6.3)",
				"the body goes chunked: the origin marked its end by closing (RFC 9112, 6.3)",
			}, nil},
		{"an old client", "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
			"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			[]string{
				"HTTP/1.0 becomes HTTP/1.1 (RFC 9110, 2.5)",
				"Expect dropped: HTTP/1.0 does not mean it (RFC 9110, 10.1.1)",
				"Host added: HTTP/1.1 must have one (RFC 9112, 3.2)",
				noteVia, noteFor, noteProto,
			}, []string{
				"103 dropped: HTTP/1.0 clients do not know it (RFC 9110, 15.2)",
				"Transfer-Encoding dropped: the body is framed anew (RFC 9112, 6.3)", noteVia,
				"Connection added: it is said of the client's connection (RFC 9112, 9.3)",
				"the body ends with the connection: the client speaks HTTP/1.0 (RFC 9112, 6.3)",
			}, nil},
		{"early hints", get, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok, usualRequest,
			[]string{"103 passed on ahead of the response (RFC 9110, 15.2)", noteVia, noteByLength}, nil},
		{"204 with a length", get, "HTTP/1.1 204 No Content\r\nDate: x\r\nContent-Length: 0\r\n\r\n", usualRequest,
			[]string{"Content-Length dropped: the body is framed anew (RFC 9112, 6.3)", noteVia}, nil},
		{"OPTIONS for the next hop", "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n", ok,
			append([]string{"Max-Forwards replaced: one hop less (RFC 9110, 7.6.2)"}, usualRequest...), usual, nil},
		{"a WebSocket", wsAsk, ws101 + "Date: x\r\n\r\n", usualRequest,
			[]string{noteVia, "from here on bytes pass both ways as they are (RFC 9110, 7.8)"}, nil},
		{"a WebSocket, loosely asked for", strings.Replace(wsAsk, "Connection: Upgrade", "Connection: keep-alive, upgrade", 1), ws101 + "Content-Length: 0\r\n\r\n",
			append([]string{"Connection replaced: it names what is for the origin's hop (RFC 9110, 7.6.1)"}, usualRequest...),
			[]string{
				"Content-Length dropped: the body is framed anew (RFC 9112, 6.3)", noteVia, noteDate,
				"from here on bytes pass both ways as they are (RFC 9110, 7.8)",
			}, nil},
		{"an offer to upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", ok,
			append([]string{"Connection dropped: it is for one hop (RFC 9110, 7.6.1)", "Upgrade dropped: it is for one hop (RFC 9110, 7.6.1)"}, usualRequest...), usual, nil},
		{"refused here", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", ok,
			nil, []string{"answered by the gateway itself: 405 http_request_denied"}, nil},
		{"hooks", get, ok,
			[]string{"User-Agent dropped: a hook did", noteVia, noteFor, noteProto, noteHost, "X-New added: a hook did"},
			[]string{
				"Date replaced: a hook did", "Content-Length dropped: the body is framed anew (RFC 9112, 6.3)", noteVia,
				"Transfer-Encoding added: the body is framed anew (RFC 9112, 6.3)",
				"the body goes chunked: a hook rewrites it (RFC 9112, 6.1)",
			},
			func(c *Config) {
				c.Hooks = new(Hooks)
				c.Hooks.On(SendRequestHead, func(t *Txn) Verdict {
					t.OriginRequest().Fields.Del("User-Agent")
					t.OriginRequest().Fields.Add("X-New", "1")
					return Continue
				})
				c.Hooks.On(SendResponseHead, func(t *Txn) Verdict {
					t.Response().Fields.Set("Date", "y")
					t.ResponseBody(TransformFunc(func(dst, src []byte, _ bool) ([]byte, error) { return append(dst, src...), nil }))
					return Continue
				})
			}},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			line := explain(t, tt.request, tt.answer, tt.change)
			wantNotes(t, "request", line.Request, tt.wantRequest)
			wantNotes(t, "response", line.Response, tt.want)
			line.Request, line.Response = nil, nil
			if line.Level != "debug" || line.Pitag != "http/1.1" || line.Piid != 1 || line.Txn != 1 || line.Stream != 0 {
				t.Errorf("%+v", line)
			}
		})
	}
}

func wantNotes(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestNothingIsExplainedAboveDebugLevel(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var log bytes.Buffer
		r := newRig(t, func(c *Config) {
			c.Log = zerolog.New(&log).Level(zerolog.InfoLevel)
			c.Hooks = new(Hooks)
			c.Hooks.On(TxnStart, func(txn *Txn) Verdict {
				if txn.explain != nil {
					t.Error("an explanation is made")
				}
				return Continue
			})
		})
		wantStatus(t, r.ask(get), 200)
		if log.Len() > 0 {
			t.Errorf("%s", &log)
		}
	})
}
