package h2session_test

import (
	"context"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// A session turns each HTTP/2 stream into an HTTP/1.1 exchange on a virtual
// connection. Whoever accepts those need not know of HTTP/2; httpsm.Machine is
// the usual one, here it is a function.
func Example() {
	clientEnd, conn := testkit.Pipe() // an accepted connection
	ctx := context.Background()

	sm := vconn.AcceptorFunc(func(c *vconn.Conn) {
		go func() {
			defer c.Close()
			request, _ := io.ReadAll(c)
			line, _, _ := strings.Cut(string(request), "\r\n")
			fmt.Printf("%v stream %d: %s\n", c.Identity(), c.Stream(), line)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nHi!")
		}()
	})
	ids := pitag.NewSequence("h2")
	srv := &h2session.Server{Connector: vconn.NewConnector(sm)}
	done := make(chan error)
	go func() { done <- srv.ServeConn(ctx, conn, ids.Next()) }()

	get(clientEnd, "/hello")
	fmt.Println("session:", <-done)

	// Output:
	// h2#1 stream 1: GET /hello HTTP/1.1
	// HEADERS
	// DATA Hi!
	// session: <nil>
}

// get is a client of one request.
func get(conn *testkit.Conn, path string) {
	defer conn.Close()
	io.WriteString(conn, http2.ClientPreface)
	fr := http2.NewFramer(conn, conn)
	fr.WriteSettings()
	var block blockWriter
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "example.com"}, {":path", path}} {
		enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true, EndHeaders: true})
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.HeadersFrame:
			fmt.Println("HEADERS")
		case *http2.DataFrame:
			fmt.Printf("DATA %s\n", f.Data())
			fr.WriteGoAway(0, http2.ErrCodeNo, nil)
		}
	}
}

type blockWriter []byte

func (b *blockWriter) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}
