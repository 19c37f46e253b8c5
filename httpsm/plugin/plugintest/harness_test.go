package plugintest

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m)) }

// A result is what came of one request.
type result struct {
	transport string                // "vconn" or "http/1.1"
	origin    testkit.OriginRequest // as the origin received it; zero if it received none
	response  *http.Response        // as the client received it
	body      string                // of the response
	record    httpsm.Record
}

var client = netip.MustParseAddrPort("203.0.113.9:5555")

// overVConn is the session of virtual connections: HTTP/2 over TLS.
func overVConn() *pitag.Session {
	return &pitag.Session{
		Identity: pitag.Identity{Tag: pitag.TagH2, ID: 7}, Client: client, Listener: "main",
		TLS: &tls.ConnectionState{
			Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256,
			NegotiatedProtocol: "h2", ServerName: "www.example.org",
		},
	}
}

// overTCP is the session of HTTP/1.1 connections: cleartext.
func overTCP() *pitag.Session {
	return &pitag.Session{Identity: pitag.Identity{Tag: pitag.TagHTTP1, ID: 8}, Client: client, Listener: "plain"}
}

// registrar is what every plugin is.
type registrar interface{ Register(*httpsm.Hooks) error }

// each sends request, a whole HTTP/1.1 message, over both transports to an
// origin that answers with response, and gives each result to check. Plugins
// are registered in order.
func each(t *testing.T, request, response string, check func(t *testing.T, r result), plugins ...registrar) {
	t.Helper()
	for _, transport := range []string{"vconn", "http/1.1"} {
		t.Run(transport, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				check(t, run(t, transport, request, response, plugins))
			})
		})
	}
}

func run(t *testing.T, transport, request, response string, plugins []registrar) result {
	hooks := new(httpsm.Hooks)
	for _, p := range plugins {
		if err := p.Register(hooks); err != nil {
			t.Fatal(err)
		}
	}
	r := result{transport: transport}
	o := testkit.NewOrigin(t, func(c *testkit.OriginConn) {
		for {
			req, ok := c.ReadRequest()
			if !ok {
				return
			}
			r.origin = req
			c.Send(response)
		}
	})
	group, err := origin.NewGroup(origin.Config{
		Name: "web", Endpoints: []origin.EndpointConfig{{Addr: o.Addr()}}, Dial: o.Dial,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	records := make(chan httpsm.Record, 1)
	m := httpsm.New(httpsm.Config{
		Hooks: hooks,
		Route: func(*httpsm.Txn) (string, *origin.Group) { return "all", group },
		OnRecord: func(rec *httpsm.Record) {
			records <- *rec
		},
	})
	conn := connect(t, m, transport)
	go io.WriteString(conn, request)
	method, _, _ := strings.Cut(request, " ")
	r.response, err = http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("the response: %v", err)
	}
	body, err := io.ReadAll(r.response.Body)
	if err != nil {
		t.Fatalf("the response body: %v", err)
	}
	r.body = string(body)
	conn.Close()
	r.record = <-records
	if err := m.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	return r
}

// connect returns a client's connection to m: as stream 5, the third on its
// connection, or as an HTTP/1.1 connection's first.
func connect(t *testing.T, m *httpsm.Machine, transport string) net.Conn {
	if transport == "vconn" {
		s := overVConn()
		c, err := vconn.NewConnector(m).For(s).Open(vconn.Options{Identity: s.Identity, Session: s, Stream: 5, Txn: 3})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	near, far := net.Pipe()
	go m.ServeConn(context.Background(), far, overTCP())
	return near
}
