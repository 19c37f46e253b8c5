package h2session

import (
	"net"
	"net/http"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

func TestGet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.Handshake()
		cl.Get(1, "/a?b=c", "accept", "*/*")
		f := cl.WantHeaders(1, false)
		if f.Get(":status") != "200" || f.Get("content-length") != "6" {
			t.Errorf("got %v", &f)
		}
		if body, _ := cl.WantBody(1); string(body) != "hello " {
			t.Errorf("body %q", body)
		}
		want := "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\naccept: */*\r\n\r\n"
		if got := cl.request(0); got != want {
			t.Errorf("the transaction got\n%q, want\n%q", got, want)
		}
		cl.GoAway(http2.ErrCodeNo)
		cl.WantClosed()
		r := cl.end()
		if r.Streams != 1 || r.StreamsRefused != 0 || r.StreamsPeak != 1 || r.Cause != pitag.CauseClientClosed || r.GoAway != "NO_ERROR" {
			t.Errorf("record %+v", r)
		}
	})
}

func TestBadPreface(t *testing.T) {
	for name, sent := range map[string]string{
		"HTTP/1.1":      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"TLS":           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"nearly":        http2.ClientPreface[:20] + "XX\r\n",
		"no SETTINGS":   http2.ClientPreface + "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678",
		"SETTINGS ACK":  http2.ClientPreface + "\x00\x00\x00\x04\x01\x00\x00\x00\x00",
		"HEADERS first": http2.ClientPreface + "\x00\x00\x01\x01\x05\x00\x00\x00\x01\x82",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, nil)
				cl.Write([]byte(sent))
				cl.WantSettings()
				cl.WantGoAway(codeProtocol)
				cl.WantClosed()
				if r := cl.wantCause(pitag.CauseClientError); r.Streams != 0 || r.BytesIn == 0 || r.BytesOut == 0 {
					t.Errorf("record %+v", r)
				}
			})
		})
	}
}

// How the client leaves decides the cause.
func TestCauses(t *testing.T) {
	tests := []struct {
		name  string
		leave func(cl *bench)
		want  pitag.Cause
	}{
		{"closes before the preface", func(cl *bench) {
			cl.WantSettings() // else the server may find the end as it writes them
			cl.WantIdle()
			cl.Conn.Close()
		}, pitag.CauseClientClosed},
		{"closes within the preface", func(cl *bench) {
			cl.Write([]byte("PRI * HT"))
			cl.WantSettings()
			cl.WantIdle()
			cl.Conn.Close()
		}, pitag.CauseClientReset},
		{"closes when idle", func(cl *bench) { cl.Handshake(); cl.Conn.Close() }, pitag.CauseClientClosed},
		{"closes with a stream open", func(cl *bench) {
			cl.Handshake()
			cl.Get(1, "/wait")
			cl.WantIdle()
			cl.Conn.Close()
		}, pitag.CauseClientReset},
		{"closes within a frame", func(cl *bench) {
			cl.Handshake()
			cl.Write([]byte{0, 0, 8, 6})
			cl.WantIdle()
			cl.Conn.Close()
		}, pitag.CauseClientReset},
		{"closes between a frame's header and payload", func(cl *bench) {
			cl.Handshake()
			cl.Write([]byte("\x00\x00\x08\x06\x00\x00\x00\x00\x00"))
			cl.WantIdle()
			cl.Conn.Close()
		}, pitag.CauseClientReset},
		{"breaks", func(cl *bench) {
			cl.Handshake()
			cl.Conn.(*testkit.Conn).Reset()
		}, pitag.CauseClientReset},
		{"says goodbye and breaks", func(cl *bench) {
			cl.Handshake()
			cl.GoAway(codeNo)
			cl.WantClosed()
		}, pitag.CauseClientClosed},
		{"says goodbye with a stream open", func(cl *bench) {
			cl.Handshake()
			cl.Post(1, "/")
			cl.GoAway(codeNo)
			cl.WantIdle()
			cl.Data(1, true, "abc")
			cl.WantHeaders(1, false)
			cl.WantBody(1)
			cl.WantClosed()
		}, pitag.CauseClientClosed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, waitOr(hello))
				tt.leave(cl)
				cl.wantCause(tt.want)
			})
		})
	}
}

// The session is over when its transactions are: what they record and what it
// records agree.
func TestServeSessionWaitsForTransactions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan bool)
		cl := start(t, Config{}, func(_ *http.Request, c *vconn.Conn) { <-release })
		cl.Handshake()
		cl.Get(1, "/")
		cl.Get(3, "/")
		cl.WantIdle()
		cl.Conn.Close()
		synctest.Wait()
		select {
		case <-cl.done:
			t.Error("ServeSession returned while transactions ran")
		default:
		}
		close(release)
		if r := cl.end(); r.Streams != 2 || cl.finished != 2 {
			t.Errorf("%d streams, %d transactions", r.Streams, cl.finished)
		}
	})
}

// Bytes are counted as they are on the connection.
func TestByteCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := testkit.Pipe()
		counted := &countingConn{Conn: client}
		cl := startOn(t, Config{}, nil, counted, server)
		cl.Handshake()
		cl.Get(1, "/")
		cl.WantHeaders(1, false)
		cl.WantBody(1)
		cl.GoAway(codeNo)
		cl.WantClosed()
		r := cl.end()
		if int(r.BytesIn) != counted.out || int(r.BytesOut) != counted.in {
			t.Errorf("recorded %d in and %d out, the client sent %d and got %d", r.BytesIn, r.BytesOut, counted.out, counted.in)
		}
	})
}

type countingConn struct {
	net.Conn
	in, out int
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in += n
	return n, err
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.out += n
	return n, err
}
