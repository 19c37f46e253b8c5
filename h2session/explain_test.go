package h2session

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// explained serves at debug level; what it returns are the notes of the last
// transaction, once that has ended, and the log.
func explained(t *testing.T, h handler) (cl *bench, notes func() (request, response []string), log *bytes.Buffer) {
	log = new(bytes.Buffer)
	var mu sync.Mutex
	var last *vconn.Notes
	cl = start(t, Config{Log: zerolog.New(log).Level(zerolog.DebugLevel)}, func(r *http.Request, c *vconn.Conn) {
		mu.Lock()
		last = c.Notes()
		mu.Unlock()
		h(r, c)
	})
	cl.Handshake()
	return cl, func() (request, response []string) {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return last.Lists()
	}, log
}

func wantNotes(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

const (
	noteLine   = ":method and :path become the request line, :authority becomes Host, :scheme is dropped (RFC 9113, 8.3.1)"
	noteStatus = "the status line becomes :status 200, the reason phrase is dropped (RFC 9113, 8.3.2)"
	noteLower  = "all field names go in lower case (RFC 9113, 8.2)"
)

func TestATranslationIsExplained(t *testing.T) {
	tests := []struct {
		name              string
		send              func(cl *bench)
		answer            handler
		request, response []string
	}{
		{"GET", func(cl *bench) { cl.Get(1, "/", "accept", "*/*", "cookie", "a=1") }, hello,
			[]string{noteLine}, []string{noteStatus, noteLower}},
		{"host instead of :authority", func(cl *bench) {
			cl.Headers(1, true, ":method", "GET", ":scheme", "https", ":path", "/", "host", "a")
		}, hello,
			[]string{":method and :path become the request line, :scheme is dropped (RFC 9113, 8.3.1)"}, []string{noteStatus, noteLower}},
		{"host beside :authority", func(cl *bench) { cl.Get(1, "/", "host", "example.com") }, hello,
			[]string{noteLine, "host merged with :authority, which says the same (RFC 9113, 8.3.1)"}, []string{noteStatus, noteLower}},
		{"three crumbs", func(cl *bench) { cl.Get(1, "/", "cookie", "a=1", "cookie", "b=2", "cookie", "c=3") }, hello,
			[]string{noteLine, "cookie: 3 crumbs merged into one field (RFC 9113, 8.2.3)"}, []string{noteStatus, noteLower}},
		{"POST without a body", func(cl *bench) { cl.Headers(1, true, testkit.Request("POST", "/")...) }, hello,
			[]string{noteLine, "Content-Length: 0 added: POST without a body (RFC 9110, 8.6)"}, []string{noteStatus, noteLower}},
		{"POST with content-length", func(cl *bench) {
			cl.Post(1, "/", "content-length", "2")
			cl.Data(1, false, "ab")
			cl.Headers(1, true, "x-sum", "1")
		}, hello,
			[]string{
				noteLine, "content-length frames the body, and DATA has to add up to it (RFC 9113, 8.1.1)",
				"trailers dropped: a body with content-length has no place for them (RFC 9112, 6.3)",
			}, []string{noteStatus, noteLower}},
		{"POST with trailers", func(cl *bench) {
			cl.Post(1, "/")
			cl.Headers(1, true, "x-sum", "1", "authorization", "me")
		}, hello,
			[]string{
				noteLine, "Transfer-Encoding: chunked added: the body has no content-length (RFC 9112, 6.1)",
				"trailer authorization dropped: it is not allowed there (RFC 9110, 6.5.1)",
				"trailers become a trailer section behind the last chunk (RFC 9112, 7.1.2)",
			}, []string{noteStatus, noteLower}},
		{"a chunked response with all there is", func(cl *bench) { cl.Get(1, "/") }, func(_ *http.Request, c *vconn.Conn) {
			fmt.Fprint(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+
				"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nkeep-alive: 1\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n")
		},
			[]string{noteLine}, []string{
				noteStatus,
				"Transfer-Encoding dropped: DATA and END_STREAM frame the body (RFC 9113, 8.1)",
				"keep-alive dropped: it is connection-specific (RFC 9113, 8.2.2)", noteLower,
				"trailers become HEADERS with END_STREAM (RFC 9113, 8.1)",
			}},
		{"a response in lower case", func(cl *bench) { cl.Get(1, "/") }, func(_ *http.Request, c *vconn.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
		},
			[]string{noteLine}, []string{noteStatus}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl, notes, log := explained(t, tt.answer)
				tt.send(cl)
				request, response := notes()
				wantNotes(t, "request", request, tt.request...)
				wantNotes(t, "response", response, tt.response...)
				if log.Len() > 0 {
					t.Errorf("the line is the transaction's to write, but: %s", log)
				}
				cl.end()
			})
		})
	}
}

func TestARefusalIsExplained(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl, _, log := explained(t, hello)
		cl.Get(1, "/", "connection", "close")
		cl.WantReset(1, codeProtocol)
		cl.end()
		if want := `{"level":"debug","pitag":"h2","piid":7,"stream":1,"txn":1,"request":["refused: connection-specific field"],"message":"translation"}` + "\n"; log.String() != want {
			t.Errorf("%s, want %s", log, want)
		}
	})
}

func TestNothingIsNotedAboveDebugLevel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{Log: zerolog.New(new(bytes.Buffer)).Level(zerolog.InfoLevel)}, func(r *http.Request, c *vconn.Conn) {
			if c.Notes() != nil {
				t.Error("notes are kept")
			}
			hello(r, c)
		})
		cl.Handshake()
		cl.Get(1, "/")
		cl.WantHeaders(1, false)
		cl.end()
	})
}
