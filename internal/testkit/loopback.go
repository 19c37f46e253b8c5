package testkit

import (
	"net"
	"sync"
	"testing"
)

// ServeTCP listens on a free port of loopback TCP and runs serve for each
// connection, in a goroutine of its own; the connection is closed behind it. The
// end of tb closes the listener and waits for every serve: what it serves is to
// be closed before that, in a Cleanup registered later.
func ServeTCP(tb testing.TB, serve func(net.Conn)) (addr string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	tb.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}
