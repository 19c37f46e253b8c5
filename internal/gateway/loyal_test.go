package gateway

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/h2gw/h2gw/internal/frontend"
)

// loyal is client, of one connection whatever happens, for one request after the
// other over HTTP/1.1. Those of package net/http open a second one when the next
// request comes before the first connection has been noted as there for others.
func (r *rig) loyal(proto string) (*http.Client, string) {
	c, url := r.client(proto)
	if proto == frontend.ProtoH2 || proto == frontend.ProtoH2C {
		c.Transport.(*http.Transport).MaxConnsPerHost = 1
		return c, url
	}
	l := &loyalHTTP1{dial: func() (net.Conn, error) { return net.Dial("tcp", r.Addr(ListenerPlain).String()) }}
	if strings.HasPrefix(url, "https:") {
		l.dial = func() (net.Conn, error) {
			return tls.Dial("tcp", r.Addr(ListenerTLS).String(), &tls.Config{RootCAs: r.roots()})
		}
	}
	c.Transport = l
	r.t.Cleanup(c.CloseIdleConnections)
	return c, url
}

// loyalHTTP1 is a RoundTripper of one connection. A response is to be read to its
// end before the next request.
type loyalHTTP1 struct {
	dial func() (net.Conn, error)
	conn net.Conn
	in   *bufio.Reader
}

func (l *loyalHTTP1) RoundTrip(req *http.Request) (_ *http.Response, err error) {
	if l.conn == nil {
		if l.conn, err = l.dial(); err != nil {
			return nil, err
		}
		l.conn.SetDeadline(time.Now().Add(time.Minute))
		l.in = bufio.NewReader(l.conn)
	}
	if err := req.Write(l.conn); err != nil {
		return nil, err
	}
	return http.ReadResponse(l.in, req)
}

func (l *loyalHTTP1) CloseIdleConnections() {
	if l.conn != nil {
		l.conn.Close()
	}
}
