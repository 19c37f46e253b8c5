package failure

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/gateway"
)

// Clients of a rig, by the protocol they speak.
const (
	overH2   = "h2"       // TLS, HTTP/2: many requests on one connection
	overH1   = "http/1.1" // cleartext, a connection per request
	overH10  = "http/1.0" // likewise; where closing may be the end of a response
	overTLS1 = "https/1.1"
)

var allClients = []string{overH2, overH1, overH10}

// An answer is what a client saw of a response.
type answer struct {
	status  int // 0: no head came
	header  http.Header
	body    string
	trailer http.Header
	err     error // nil: the response looks complete
	took    time.Duration
}

// hung: the client's patience ended, not the gateway's.
func (a *answer) hung() bool {
	return errors.Is(a.err, context.DeadlineExceeded) || errors.Is(a.err, os.ErrDeadlineExceeded)
}

func (a *answer) String() string {
	return fmt.Sprintf("status %d, Proxy-Status %q, body %.60q, trailer %v, error %v, after %v", a.status, a.header.Get("Proxy-Status"), a.body, a.trailer, a.err, a.took)
}

// A caller sends requests over one protocol. It is safe for concurrent use.
type caller struct {
	r     *rig
	proto string
	h2    *http.Client
}

// client returns a caller; over HTTP/2 it has connections of its own.
func (r *rig) client(proto string) *caller {
	c := &caller{r: r, proto: proto}
	if proto == overH2 || proto == overTLS1 {
		p := new(http.Protocols)
		p.SetHTTP2(proto == overH2)
		p.SetHTTP1(proto == overTLS1)
		tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{RootCAs: r.roots()}, DisableKeepAlives: proto == overTLS1}
		r.cleanup = append(r.cleanup, tr.CloseIdleConnections)
		c.h2 = &http.Client{Transport: tr}
	}
	return c
}

func (r *rig) roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(r.Certificate().Leaf)
	return p
}

func (r *rig) clients(protos ...string) []*caller {
	var all []*caller
	for _, p := range protos {
		all = append(all, r.client(p))
	}
	return all
}

// do sends a request and reads the whole response.
func (c *caller) do(method, target, body string) answer {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	start := time.Now()
	a := c.send(ctx, method, target, rd)
	a.took = time.Since(start)
	return a
}

func (c *caller) send(ctx context.Context, method, target string, body io.Reader) answer {
	if c.h2 == nil {
		return c.sendRaw(ctx, method, target, body)
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://"+c.r.Addr(gateway.ListenerTLS).String()+target, body)
	if err != nil {
		return answer{err: err}
	}
	resp, err := c.h2.Do(req)
	return c.read(resp, err)
}

// sendRaw is for HTTP/1: net/http's client would send some requests again by
// itself, and hide what the gateway did.
func (c *caller) sendRaw(ctx context.Context, method, target string, body io.Reader) answer {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.r.Addr(gateway.ListenerPlain).String())
	if err != nil {
		return answer{err: err}
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	head := fmt.Sprintf("%s %s %s\r\nHost: example.com\r\n", method, target, strings.ToUpper(c.proto))
	var b []byte
	if body != nil {
		if b, err = io.ReadAll(body); err != nil {
			return answer{err: err}
		}
		head += fmt.Sprintf("Content-Length: %d\r\n", len(b))
	}
	if _, err := conn.Write(append([]byte(head+"\r\n"), b...)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		// The gateway may have answered early: what it said is to be read.
		err = nil
	}
	br := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err == nil && resp.StatusCode < 200 {
			continue
		}
		return c.read(resp, err)
	}
}

func (c *caller) read(resp *http.Response, err error) answer {
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body), trailer: resp.Trailer, err: err}
}

// contextOf ends when the test's patience does.
func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), patience)
}

// A dripReader gives a text byte by byte, with pauses.
type dripReader struct {
	text  string
	pause time.Duration
}

func (d *dripReader) Read(b []byte) (int, error) {
	if d.text == "" {
		return 0, io.EOF
	}
	time.Sleep(d.pause)
	n := copy(b[:1], d.text)
	d.text = d.text[n:]
	return n, nil
}

// An endless reader repeats a text for ever.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(b []byte) (n int, err error) {
	for n < len(b) {
		c := copy(b[n:], e.text[e.at:])
		n += c
		e.at = (e.at + c) % len(e.text)
	}
	return n, nil
}

// dial returns a connection to the cleartext listener, which settle closes.
func (r *rig) dial() *net.TCPConn {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.Addr(gateway.ListenerPlain).String())
	if err != nil {
		r.t.Fatal(err)
	}
	nc.SetReadDeadline(time.Now().Add(patience))
	r.cleanup = append(r.cleanup, func() { nc.Close() })
	return nc.(*net.TCPConn)
}
