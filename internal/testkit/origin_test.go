package testkit_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m)) }

// dial connects to o, failing the test if it cannot.
func dial(t *testing.T, o *testkit.Origin) net.Conn {
	t.Helper()
	c, err := o.Dial(context.Background(), "tcp", o.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestOriginPlaysItsScriptInMemoryAndOnLoopback(t *testing.T) {
	script := func(c *testkit.OriginConn) {
		c.Expect("GET / HTTP/1.1\r\n\r\n")
		c.Send(testkit.Reply("one"))
		r, ok := c.ReadRequest()
		if !ok || r.Body != "hello world" || r.Trailer != "t: 1\r\n\r\n" || r.Field("HOST") != "a" || r.Method() != "POST" || r.Target() != "/x" {
			t.Errorf("second request: %+v, %v", r, ok)
		}
		c.Send("HTTP/1.1 204 No Content\r\n", "\r\n")
		c.ExpectEOF()
	}
	for name, start := range map[string]func(testing.TB, ...testkit.Script) *testkit.Origin{
		"memory": testkit.NewOrigin, "loopback": testkit.ListenOrigin,
	} {
		t.Run(name, func(t *testing.T) {
			o := start(t, script)
			c := dial(t, o)
			const first = "GET / HTTP/1.1\r\n\r\n"
			const second = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nt: 1\r\n\r\n"
			io.WriteString(c, first)
			r := bufio.NewReader(c)
			if _, err := io.CopyN(io.Discard, r, int64(len(testkit.Reply("one")))); err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, second)
			if line, _ := r.ReadString('\n'); line != "HTTP/1.1 204 No Content\r\n" {
				t.Errorf("second response starts %q", line)
			}
			c.Close()
			<-o.Conn(1).Done()
			if got := o.Received(); len(got) != 1 || got[0] != first+second {
				t.Errorf("received %q", got)
			}
		})
	}
}

func TestOriginPipeBehavesAsASocket(t *testing.T) {
	for name, start := range map[string]func(testing.TB, ...testkit.Script) *testkit.Origin{
		"memory": testkit.NewOrigin, "loopback": testkit.ListenOrigin,
	} {
		t.Run(name, func(t *testing.T) {
			o := start(t,
				func(c *testkit.OriginConn) { c.Send("last words"); c.CloseWrite(); c.Expect("still heard") },
				func(c *testkit.OriginConn) { c.Expect("x"); c.Reset() },
				testkit.Hang,
			)
			c := dial(t, o)
			if b, err := io.ReadAll(c); string(b) != "last words" || err != nil {
				t.Errorf("after a half close: %q, %v", b, err)
			}
			io.WriteString(c, "still heard")
			<-o.Conn(1).Done()

			c = dial(t, o)
			io.WriteString(c, "x")
			if _, err := c.Read(make([]byte, 1)); !testkit.IsReset(err) {
				t.Errorf("after a reset: %v", err)
			}

			c = dial(t, o)
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("after the deadline: %v", err)
			}
		})
	}
}

func TestOriginPipeFillsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testkit.NewOrigin(t, testkit.Hang)
		c := dial(t, o)
		c.SetWriteDeadline(time.Now().Add(time.Hour))
		n, err := c.Write(make([]byte, 1<<20))
		if n != 256<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v", n, err)
		}
	})
}

func TestOriginRefuses(t *testing.T) {
	o := testkit.NewOrigin(t, testkit.Silent)
	o.Refuse()
	if _, err := o.Dial(context.Background(), "tcp", "x:1"); err == nil {
		t.Error("a refusing origin was reached")
	}
	o.Accept()
	dial(t, o)
}

func TestOriginDelaysUnderSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testkit.NewOrigin(t, func(c *testkit.OriginConn) { c.Wait(time.Hour); c.Send("x") })
		c := dial(t, o)
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); err != nil || time.Since(start) != time.Hour {
			t.Errorf("read after %v, %v", time.Since(start), err)
		}
	})
}
