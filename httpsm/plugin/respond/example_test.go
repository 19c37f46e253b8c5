package respond_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/plugin/respond"
	"github.com/h2gw/h2gw/pitag"
)

// A health check that no origin sees.
func Example() {
	plugin, err := respond.New(respond.Config{Rules: []respond.Rule{
		{Methods: []string{"GET"}, Path: "/healthz", Body: []byte("ok\n")},
		{Hosts: []string{"old.example.org"}, Status: 301, Fields: []httpsm.Field{{Name: "Location", Value: "https://example.org/"}}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	hooks := new(httpsm.Hooks)
	if err := plugin.Register(hooks); err != nil {
		log.Fatal(err)
	}
	machine := httpsm.New(httpsm.Config{Hooks: hooks})

	client, server := net.Pipe()
	go machine.ServeConn(context.Background(), server, &pitag.Session{Identity: pitag.NewSequence(pitag.TagHTTP1).Next()})
	go io.WriteString(client, "GET /healthz HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(client)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.15s … %s", answer, answer[len(answer)-3:])
	// Output: HTTP/1.1 200 OK … ok
}
