package origin_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/h2gw/h2gw/httpsm/origin"
)

// One request on a connection of the pool. HTTP itself is the caller's: an
// exchange moves bytes.
func ExampleGroup() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	}))
	defer server.Close()

	endpoint, err := origin.ParseURL(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	group, err := origin.NewGroup(origin.Config{Endpoints: []origin.EndpointConfig{endpoint}})
	if err != nil {
		log.Fatal(err)
	}
	defer group.Close()

	for range 2 {
		x, err := group.Pick().Get(context.Background(), false)
		if err != nil {
			log.Fatal(err) // an *origin.Error: nothing was sent, try another endpoint
		}
		if _, err := io.WriteString(x, "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"); err != nil {
			log.Fatal(err)
		}
		for !bytes.HasSuffix(x.Buffered(), []byte("hello")) {
			if err := x.Fill(); err != nil {
				log.Fatal(err)
			}
		}
		status, _, _ := strings.Cut(string(x.Buffered()), "\r\n")
		fmt.Println(status, "reused:", x.Info().Reused)
		x.Discard(len(x.Buffered()))
		x.Release(true) // both messages ended exactly: keep the connection
	}
	fmt.Println("connects:", group.Stats()[0].Connects["ok"])
	// Output:
	// HTTP/1.1 200 OK reused: false
	// HTTP/1.1 200 OK reused: true
	// connects: 1
}

func ExampleParseURL() {
	endpoint, err := origin.ParseURL("https://example.org")
	fmt.Println(endpoint.Addr, endpoint.TLS, err)
	_, err = origin.ParseURL("http://example.org/app")
	fmt.Println(err)
	// Output:
	// example.org:443 true <nil>
	// origin "http://example.org/app": a path (/app) is not allowed: requests keep their own; write http://example.org
}

// A group can dial by itself, for tests or for other transports.
func ExampleConfig_dial() {
	_, err := origin.NewGroup(origin.Config{
		Name:      "local",
		Endpoints: []origin.EndpointConfig{{Addr: "app:80"}},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", "/run/app.sock")
		},
	})
	fmt.Println(err)
	// Output: <nil>
}
