package failure

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

// An origin is an HTTP/1.1 origin whose connections each play a script.
type origin struct {
	ln       net.Listener
	wg       sync.WaitGroup
	accepted atomic.Int64
	done     chan struct{} // closed when the test ends: for scripts that wait

	mu    sync.Mutex
	ended bool
	open  map[*peer]struct{}
}

// A peer is the origin's end of a connection. Its methods are the script's.
type peer struct {
	*net.TCPConn
	br     *bufio.Reader
	out    io.Writer // the connection, or TLS over it
	o      *origin
	number int64 // in the order of arrival, from 1
	served int   // requests read
}

// startOrigin plays script on each connection; the connection is closed when it
// returns. The end of the test closes what is open and waits.
func startOrigin(t *testing.T, script func(p *peer)) *origin {
	t.Helper()
	return startOriginAt(t, testkit.ReservePort(t), script)
}

// startOriginAt is startOrigin at a reserved address, where there may have been
// one before.
func startOriginAt(t *testing.T, addr string, script func(*peer)) *origin {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{ln: ln, open: make(map[*peer]struct{}), done: make(chan struct{})}
	o.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			o.play(c.(*net.TCPConn), script)
		}
	})
	t.Cleanup(o.stop)
	return o
}

func (o *origin) addr() string { return o.ln.Addr().String() }

func (o *origin) play(c *net.TCPConn, script func(*peer)) {
	p := &peer{TCPConn: c, br: bufio.NewReader(c), out: c, o: o, number: o.accepted.Add(1)}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		c.Close()
		return
	}
	o.open[p] = struct{}{}
	o.wg.Go(func() {
		script(p)
		c.Close()
		o.mu.Lock()
		delete(o.open, p)
		o.mu.Unlock()
	})
}

// stop ends the origin: nobody listens any more. It may be called more than
// once.
func (o *origin) stop() {
	o.ln.Close()
	o.mu.Lock()
	if !o.ended {
		close(o.done)
	}
	o.ended = true
	for p := range o.open {
		p.TCPConn.Close()
	}
	o.mu.Unlock()
	o.wg.Wait()
}

// request reads one whole request.
func (p *peer) request() (*http.Request, []byte, error) {
	req, err := http.ReadRequest(p.br)
	if err != nil {
		return nil, nil, err
	}
	p.served++
	body, err := io.ReadAll(req.Body)
	return req, body, err
}

// send writes; a gateway that has gone is not the script's business.
func (p *peer) send(s string) bool {
	_, err := io.WriteString(p.out, s)
	return err == nil
}

// reset breaks the connection with a TCP reset.
func (p *peer) reset() {
	p.SetLinger(0)
	p.Close()
}

// gone waits until the gateway has closed its end, and returns the bytes it sent
// before.
func (p *peer) gone() int64 {
	n, _ := io.Copy(io.Discard, p.br)
	return n
}

// hang waits for the end of the test.
func (p *peer) hang() { <-p.o.done }

// echo is the response to a request: its method and target are the body, so that
// an answer that went astray is seen.
func echo(req *http.Request) string {
	id := identity(req.Method, req.URL.RequestURI())
	body := id
	if req.Method == http.MethodHead {
		body = ""
	}
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Id: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(id), body)
}

func identity(method, target string) string { return method + " " + target }

// serveEcho answers everything, properly.
func serveEcho(p *peer) {
	for {
		req, _, err := p.request()
		if err != nil || !p.send(echo(req)) {
			return
		}
	}
}

// deadAddr is an address where nobody listens.
func deadAddr(t *testing.T) string { return testkit.ReservePort(t) }

// blackHole is an address that takes no connection and refuses none: its queue
// is full, and nobody accepts.
func blackHole(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	rc, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	rc.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }) // again, with a queue of the least length
	if err != nil {
		t.Skip("the queue of a listener cannot be made short:", err)
	}
	late := 0
	for range 16 {
		c, err := net.DialTimeout("tcp", ln.Addr().String(), time.Second)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			if late++; late == 2 { // once may be this machine's doing
				return ln.Addr().String()
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Skip("the queue of a listener is never full here")
	return ""
}
