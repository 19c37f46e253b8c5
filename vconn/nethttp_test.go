package vconn_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/h2gw/h2gw/vconn"
)

// A listener gives out the passive ends of a Connector.
type listener struct {
	ends   chan net.Conn
	closed chan struct{}
	open   sync.WaitGroup
}

func (l *listener) AcceptVConn(c *vconn.Conn) {
	l.open.Add(1)
	c.SetObserver(whenClosed{new(journal), l.open.Done})
	l.ends <- c
}

// whenClosed calls done when both ends are closed.
type whenClosed struct {
	*journal
	done func()
}

func (w whenClosed) Closed(*vconn.Conn) { w.done() }

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ends:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *listener) Close() error   { close(l.closed); return nil }
func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

// Code written for TCP on both sides, with its deadlines, keep-alive, hijacked
// reads and address parsing, works unchanged; with TLS in between, too.
func TestStandardHTTPOverVirtualConnections(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			// A Transport drops a connection whose writing goroutine is 50 ms late: not
			// where no time passes.
			synctest.Test(t, func(t *testing.T) {
				l := &listener{ends: make(chan net.Conn, 1), closed: make(chan struct{})}
				connector := vconn.NewConnector(l)
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, _, err := net.SplitHostPort(r.RemoteAddr); err != nil {
						t.Errorf("RemoteAddr %q: %v", r.RemoteAddr, err)
					}
					// All of it first: net/http gives up the request where a
					// handler begins its response before.
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					w.Write(body)
				})}
				done := make(chan error, 1)
				go func() {
					if secure {
						server.TLSConfig = selfSigned(t)
						done <- server.ServeTLS(l, "", "")
						return
					}
					done <- server.Serve(l)
				}()
				transport := &http.Transport{
					DialContext:     func(context.Context, string, string) (net.Conn, error) { return connector.Connect(origin) },
					TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
				}
				client := &http.Client{Transport: transport}
				for _, size := range []int{0, 1, 5000, 300_000} {
					body := pattern(0, size)
					resp, err := client.Post(name+"://example.com/", "text/plain", bytes.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || !bytes.Equal(got, body) {
						t.Fatalf("%d bytes came back as %d, %v", size, len(got), err)
					}
				}
				transport.CloseIdleConnections()
				if err := server.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if err := <-done; !errors.Is(err, http.ErrServerClosed) {
					t.Error(err)
				}
				l.open.Wait() // a Transport closes in its own time
				s := connector.Stats()[0]
				if s.Opened != s.Closed || s.Opened > 2 {
					t.Errorf("%d opened, %d closed for four requests: want a connection kept alive, and closed", s.Opened, s.Closed)
				}
			})
		})
	}
}
