package httpsm

import (
	"net"
	"testing"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// benchMachine returns a Machine in front of an origin on loopback that answers
// each read with the same response, and allocates nothing for it. (A connection
// in memory would need a watcher while it is idle; a socket is looked at.)
func benchMachine(b *testing.B, response string) *Machine {
	addr := testkit.ServeTCP(b, func(c net.Conn) {
		buf, canned := make([]byte, 64<<10), []byte(response)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			if _, err := c.Write(canned); err != nil {
				return
			}
		}
	})
	g, err := origin.NewGroup(origin.Config{Endpoints: []origin.EndpointConfig{{Addr: addr}}})
	if err != nil {
		b.Fatal(err)
	}
	m := New(Config{Origins: g, OnRecord: func(*Record) {}})
	b.Cleanup(func() {
		m.literal.Close()
		m.dismiss()
		g.Close()
	})
	return m
}

// BenchmarkGetOverVConn is one small GET: open, request, response, close. It
// includes the virtual connection.
func BenchmarkGetOverVConn(b *testing.B) {
	m := benchMachine(b, "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"+
		"Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
	request := []byte("GET /index.html HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\r\n")
	s := &pitag.Session{Identity: pitag.Identity{Tag: "h2", ID: 1}, Client: clientAddr, Start: time.Now()}
	connector := vconn.NewConnector(m).For(s)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 4096)
		for pb.Next() {
			c, err := connector.Open(vconn.Options{Identity: s.Identity, Stream: 1, Txn: 1})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := c.Write(request); err != nil {
				b.Fatal(err)
			}
			c.CloseWrite()
			for {
				if _, err := c.Read(buf); err != nil {
					break
				}
			}
			c.Close()
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	b.ReportAllocs()
	v := view{replayable: true, idempotent: true}
	for b.Loop() {
		decide(StateExchange, v, event{kind: evResponseHead})
	}
}
