package h2session

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

func TestTrailersBothWays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, func(r *http.Request, c *vconn.Conn) {
			body, err := io.ReadAll(r.Body)
			if err != nil || string(body) != "abc" || r.Trailer.Get("Checksum") != "1" || len(r.Trailer) != 1 {
				t.Errorf("body %q, %v, trailers %v", body, err, r.Trailer)
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\nGrpc-Status: 0\r\nHost: no\r\n\r\n")
		})
		cl.Handshake()
		cl.Post(1, "/", "te", "trailers")
		cl.Data(1, false, "abc")
		// Content-Length may not be a trailer; it is dropped.
		cl.Headers(1, true, "checksum", "1", "content-length", "3")
		f := cl.WantHeaders(1, false)
		if f.Get("transfer-encoding") != "" {
			t.Errorf("got %v", &f)
		}
		body, tr := cl.WantBody(1)
		if string(body) != "xyz" || tr.Get("grpc-status") != "0" || len(tr.Fields) != 1 {
			t.Errorf("body %q, trailers %v", body, &tr)
		}
		cl.WantIdle()
		if want := "te: trailers\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nchecksum: 1\r\n\r\n"; !strings.HasSuffix(cl.request(0), want) {
			t.Errorf("the transaction got %q, want it to end in %q", cl.request(0), want)
		}
		cl.end()
	})
}

func TestBadTrailers(t *testing.T) {
	for name, fields := range map[string][]string{
		"pseudo-field":        {":path", "/"},
		"unknown pseudo":      {":x", "/"},
		"upper case":          {"X", "1"},
		"connection-specific": {"connection", "x"},
		"bad value":           {"x", "a\r\nb"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, nil)
				cl.Handshake()
				cl.Post(1, "/")
				cl.Data(1, false, "abc")
				cl.Headers(1, true, fields...)
				cl.WantReset(1, codeProtocol)
				cl.WantIdle()
				if strings.Contains(cl.request(0), "0\r\n\r\n") {
					t.Errorf("the transaction saw a complete request: %q", cl.request(0))
				}
				cl.end()
			})
		})
	}
}

// A body with content-length has no place for trailers in HTTP/1.1.
func TestTrailersBehindContentLength(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.Handshake()
		cl.Post(1, "/", "content-length", "3")
		cl.Data(1, false, "abc")
		cl.Headers(1, true, "a", "b")
		cl.WantHeaders(1, false)
		if body, _ := cl.WantBody(1); string(body) != "hello abc" {
			t.Errorf("body %q", body)
		}
		cl.end()
	})
}

func TestContentLength(t *testing.T) {
	type send = func(cl *bench)
	tests := []struct {
		name, length string
		send         send
		complete     bool
	}{
		{"exact", "3", func(cl *bench) { cl.Data(1, true, "abc") }, true},
		{"exact, END_STREAM later", "3", func(cl *bench) { cl.Data(1, false, "abc"); cl.Data(1, true, "") }, true},
		{"none", "0", func(cl *bench) { cl.Data(1, true, "") }, true},
		{"too little", "4", func(cl *bench) { cl.Data(1, true, "abc") }, false},
		{"too little, END_STREAM later", "4", func(cl *bench) { cl.Data(1, false, "abc"); cl.Data(1, true, "") }, false},
		{"too little, trailers", "4", func(cl *bench) { cl.Data(1, false, "abc"); cl.Headers(1, true, "a", "b") }, false},
		{"too much", "2", func(cl *bench) { cl.Data(1, true, "abc") }, false},
		{"too much, later", "3", func(cl *bench) { cl.Data(1, false, "abc"); cl.Data(1, true, "d") }, false},
		{"something, not none", "0", func(cl *bench) { cl.Data(1, true, "a") }, false},
		{"one byte, then another", "1", func(cl *bench) { cl.Data(1, false, "a"); cl.Data(1, true, "b") }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, nil)
				cl.Handshake()
				cl.Headers(1, false, testkit.Request("POST", "/", "content-length", tt.length)...)
				tt.send(cl)
				if tt.complete {
					cl.WantHeaders(1, false)
					cl.WantBody(1)
				} else {
					cl.WantReset(1, codeProtocol)
				}
				cl.WantIdle()
				head, body, whole := strings.Cut(cl.request(0), "\r\n\r\n")
				if !whole {
					body = ""
				}
				// Complete as HTTP/1.1 reads it: the head, and all of the length.
				if got := whole && len(body) >= int(tt.length[0]-'0'); got != tt.complete {
					t.Errorf("the transaction saw a complete request: %v, want %v (%q, %q)", got, tt.complete, head, body)
				}
				cl.end()
			})
		})
	}
}
