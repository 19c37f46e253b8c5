package testkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An Origin is a scripted HTTP/1.1 origin. Each connection to it plays a
// script, a plain function over an [OriginConn], and every byte it received is
// kept:
//
//	o := testkit.NewOrigin(t, func(c *testkit.OriginConn) {
//		c.Expect("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
//		c.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
//		c.Wait(time.Second)
//		c.Reset()
//	})
//	group, err := origin.NewGroup(origin.Config{
//		Endpoints: []origin.EndpointConfig{{Addr: o.Addr()}},
//		Dial:      o.Dial,
//	})
//
// The connection is closed when its script returns. An origin ends with its
// test: open connections are closed and scripts waited for. A script's failed
// expectation fails the test and ends the script.
type Origin struct {
	t       testing.TB
	addr    string
	scripts []Script
	wg      sync.WaitGroup

	mu    sync.Mutex
	grown *sync.Cond // a connection was added, or bytes were received
	conns []*OriginConn
	ended bool
	fail  error // what Dial returns; see Refuse
}

// A Script is what an origin does on one connection.
type Script func(c *OriginConn)

// OriginAddr is where an in-memory origin claims to be (RFC 5737).
const OriginAddr = "192.0.2.1:80"

// NewOrigin returns an origin in memory, reached through Dial; it works inside
// a synctest bubble. The first connection plays the first script, and so on;
// the last script also serves all later ones.
func NewOrigin(t testing.TB, scripts ...Script) *Origin {
	t.Helper()
	if len(scripts) == 0 {
		t.Fatal("testkit: an origin needs a script")
	}
	o := &Origin{t: t, addr: OriginAddr, scripts: scripts}
	o.grown = sync.NewCond(&o.mu)
	t.Cleanup(o.end)
	return o
}

// ListenOrigin returns an origin on a loopback socket; Dial still reaches it,
// and so does everything else that connects to Addr. Not for use in a bubble.
func ListenOrigin(t testing.TB, scripts ...Script) *Origin {
	t.Helper()
	o := NewOrigin(t, scripts...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.addr = ln.Addr().String()
	t.Cleanup(func() { ln.Close() }) // before end: cleanups run last first
	o.wg.Add(1)
	go func() {
		defer o.wg.Done()
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			o.play(c)
		}
	}()
	return o
}

// Addr is the origin's address.
func (o *Origin) Addr() string { return o.addr }

// Dial connects to the origin whatever the address, as a net.Dialer's
// DialContext would.
func (o *Origin) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	o.mu.Lock()
	fail, number := o.fail, len(o.conns)+1
	o.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case fail != nil:
		return nil, &net.OpError{Op: "dial", Net: network, Err: fail}
	case o.addr != OriginAddr:
		return new(net.Dialer).DialContext(ctx, network, o.addr)
	}
	near, far := newOriginPipe(number)
	o.play(far)
	return near, nil
}

// Refuse makes Dial fail from now on as if nobody listened; Accept undoes it.
// They have no effect on who connects to a loopback origin without Dial.
func (o *Origin) Refuse() { o.setFail(syscall.ECONNREFUSED) }

// Accept undoes Refuse.
func (o *Origin) Accept() { o.setFail(nil) }

func (o *Origin) setFail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail = err
}

// play starts the next script on nc.
func (o *Origin) play(nc net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		nc.Close()
		return
	}
	n := len(o.conns)
	c := &OriginConn{o: o, nc: nc, number: n + 1, done: make(chan struct{})}
	o.conns = append(o.conns, c)
	o.grown.Broadcast()
	script := o.scripts[min(n, len(o.scripts)-1)]
	o.wg.Add(1)
	go func() {
		defer o.wg.Done()
		defer close(c.done)
		defer c.Close()
		script(c)
	}()
}

// end closes what is open and waits for the scripts.
func (o *Origin) end() {
	o.mu.Lock()
	o.ended = true
	for _, c := range o.conns {
		c.nc.Close()
	}
	o.grown.Broadcast()
	o.mu.Unlock()
	o.wg.Wait()
}

// Conns returns the connections so far, in order.
func (o *Origin) Conns() []*OriginConn {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]*OriginConn(nil), o.conns...)
}

// Conn returns the nth connection (from 1), waiting for it.
func (o *Origin) Conn(n int) *OriginConn {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.conns) < n && !o.ended {
		o.grown.Wait()
	}
	if len(o.conns) < n {
		panic(fmt.Sprintf("testkit: the origin ended with %d connections, want %d", len(o.conns), n))
	}
	return o.conns[n-1]
}

// Received returns what all connections received, one string each.
func (o *Origin) Received() []string {
	var all []string
	for _, c := range o.Conns() {
		all = append(all, c.Received())
	}
	return all
}

// endedBy says that an origin's connection ended because its test did.
func (o *Origin) endedBy(err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended && (errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET))
}

// Serve is a script that answers every request of the connection with the same
// response, until the client closes.
func Serve(response string) Script {
	return func(c *OriginConn) {
		for {
			if _, ok := c.ReadRequest(); !ok {
				return
			}
			c.Send(response)
		}
	}
}

// Reply formats a 200 response with the body and its length.
func Reply(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// Silent is a script that reads and never answers.
func Silent(c *OriginConn) { c.ReadToEnd() }

// Hang is a script that does not even read, until the test ends.
func Hang(c *OriginConn) {
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	for !c.o.ended {
		c.o.grown.Wait()
	}
}

// Wait lets time pass. In a synctest bubble it costs none.
func (c *OriginConn) Wait(d time.Duration) { time.Sleep(d) }
