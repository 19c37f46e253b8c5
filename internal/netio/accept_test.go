//go:build linux && !386 && !s390x

package netio

import (
	"errors"
	"io"
	"iter"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

// accepting is a listener's Acceptor.
func accepting(t testing.TB, network, addr string) (*Acceptor, net.Listener) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Skip(err)
	}
	a := NewAcceptor(ln)
	if a == nil {
		t.Fatal("no Acceptor")
	}
	t.Cleanup(func() { a.Close(); ln.Close() })
	return a, ln
}

// accepted are both ends of an accepted connection.
func accepted(t testing.TB, a *Acceptor, ln net.Listener) (c *conn, peer *net.TCPConn) {
	t.Helper()
	p, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w, err := a.Accept(PollerOf(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close(); p.Close() })
	return w.(*conn), p.(*net.TCPConn)
}

func TestAnAcceptedConnectionIsANetConn(t *testing.T) {
	a, ln := accepting(t, "tcp", "127.0.0.1:0")
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		c, peer := accepted(t, a, ln)
		w := WrapPolled(peer, PollerOf(1))
		return c, w, func() { c.Close(); w.Close() }, nil
	})
}

func TestAnAcceptedConnectionKnowsItsAddresses(t *testing.T) {
	for _, where := range []struct{ network, listen, dial string }{
		{"tcp", "127.0.0.1:0", ""},
		{"tcp4", "0.0.0.0:0", "127.0.0.1"},
		{"tcp6", "[::1]:0", ""},
		{"tcp", "[::]:0", "127.0.0.1"},
		{"tcp", "[::]:0", "::1"},
	} {
		t.Run(where.listen+" "+where.dial, func(t *testing.T) {
			a, ln := accepting(t, where.network, where.listen)
			addr := ln.Addr().String()
			if where.dial != "" {
				_, port, _ := net.SplitHostPort(addr)
				addr = net.JoinHostPort(where.dial, port)
			}
			peer, err := net.Dial("tcp", addr)
			if err != nil {
				t.Skip(err)
			}
			defer peer.Close()
			c, err := a.Accept(PollerOf(0))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if c.LocalAddr().String() != peer.RemoteAddr().String() || c.RemoteAddr().String() != peer.LocalAddr().String() {
				t.Errorf("%v from %v, the client says %v from %v", c.LocalAddr(), c.RemoteAddr(), peer.RemoteAddr(), peer.LocalAddr())
			}
		})
	}
}

func TestAnAcceptedConnectionSendsAtOnce(t *testing.T) {
	a, ln := accepting(t, "tcp", "127.0.0.1:0")
	c, _ := accepted(t, a, ln)
	c.d.Control(func(fd uintptr) {
		if v, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY); v != 1 || err != nil {
			t.Errorf("TCP_NODELAY: %d, %v", v, err)
		}
	})
}

func TestCloseEndsAccept(t *testing.T) {
	a, _ := accepting(t, "tcp", "127.0.0.1:0")
	done := make(chan error)
	go func() {
		_, err := a.Accept(PollerOf(0))
		done <- err
	}()
	a.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// A listener that is no socket has no Acceptor.
func TestOnlySocketsHaveAnAcceptor(t *testing.T) {
	if a := NewAcceptor(struct{ net.Listener }{}); a != nil {
		t.Error(a)
	}
}

// A process without file descriptors is told so, and accepts when it has some.
func TestAcceptSaysWhenThereAreNoFileDescriptors(t *testing.T) {
	a, ln := accepting(t, "tcp", "127.0.0.1:0")
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	none := was
	none.Cur = 1
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Skip(err)
	}
	_, err = a.Accept(PollerOf(0))
	syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
	if !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("%v, want too many open files at %v", err, ln.Addr())
	}
	c, err := a.Accept(PollerOf(0))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// lines reads lines until one is "end", and knows nothing of suspension.
func lines(c net.Conn) (got []string, err error) {
	line, b := "", make([]byte, 1)
	for {
		if _, err := c.Read(b); err != nil {
			return got, err
		}
		if line += string(b); b[0] != '\n' {
			continue
		}
		if got = append(got, line); line == "end\n" {
			return got, nil
		}
		line = ""
	}
}

// suspended reads lines in a coroutine, in turns of who has news.
func suspended(c *conn) <-chan error {
	var (
		turns Turns
		err   error
		yield func(struct{}) bool
		done  = make(chan error, 1)
	)
	step, _ := iter.Pull(func(y func(struct{}) bool) {
		yield = y
		_, err = lines(c)
	})
	c.Suspend(func(interface{ Later(f interface{ Flush() }) }) {
		turns.Run(func() bool {
			_, waits := step()
			if !waits {
				done <- err
			}
			return waits
		})
	}, func() { yield(struct{}{}) })
	return done
}

// What reads in a coroutine is left in the middle and gone on with, at the end of
// which the connection may wait or be polled.
func TestASuspendedReadGoesOnWithNews(t *testing.T) {
	for _, chunk := range []int{1, 3, 100} {
		c, peer, _ := suspendable(t)
		done := suspended(c)
		text := "some\nlines\nand the\nend\n"
		for len(text) > 0 {
			n := min(chunk, len(text))
			io.WriteString(peer, text[:n])
			text = text[n:]
			if chunk == 3 {
				time.Sleep(time.Millisecond) // so that it is left in between
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		c.Block()
		go io.WriteString(peer, "on\nend\n")
		if got, err := lines(c); len(got) != 2 || err != nil {
			t.Errorf("afterwards: %q, %v", got, err)
		}
	}
}

func suspendable(t testing.TB) (c *conn, peer *net.TCPConn, ln net.Listener) {
	a, ln := accepting(t, "tcp", "127.0.0.1:0")
	c, peer = accepted(t, a, ln)
	return c, peer, ln
}

func TestASuspendedReadEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(c *conn, peer *net.TCPConn)
		want error
	}{
		"with its deadline":                {func(c *conn, _ *net.TCPConn) { c.SetReadDeadline(time.Now().Add(time.Millisecond)) }, os.ErrDeadlineExceeded},
		"with a deadline that has passed":  {func(c *conn, _ *net.TCPConn) { c.SetDeadline(longAgo) }, os.ErrDeadlineExceeded},
		"with the connection":              {func(c *conn, _ *net.TCPConn) { c.Close() }, net.ErrClosed},
		"with the client's":                {func(_ *conn, peer *net.TCPConn) { peer.Close() }, io.EOF},
		"with the client's, without a FIN": {func(_ *conn, peer *net.TCPConn) { peer.SetLinger(0); peer.Close() }, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			c, peer, _ := suspendable(t)
			done := suspended(c)
			io.WriteString(peer, "x")
			tc.end(c, peer)
			select {
			case err := <-done:
				if !errors.Is(err, tc.want) {
					t.Errorf("%v, want %v", err, tc.want)
				}
			case <-time.After(10 * time.Second):
				t.Error("it goes on waiting")
			}
		})
	}
}

// A deadline that has passed before anybody can be told is told then.
func TestAPassedDeadlineIsToldToWhoComesLater(t *testing.T) {
	c, _, _ := suspendable(t)
	c.SetReadDeadline(longAgo)
	time.Sleep(5 * time.Millisecond) // its timer has fired for nobody
	if err := <-suspended(c); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// A closed connection cannot be suspended, and is closed.
func TestAClosedConnectionIsNotSuspended(t *testing.T) {
	c, _, _ := suspendable(t)
	c.Close()
	if c.Suspend(func(interface{ Later(f interface{ Flush() }) }) {}, func() {}) {
		t.Error("suspended")
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// Who has nobody to tell closes without a word to anybody.
func TestAfterPollingNobodyIsTold(t *testing.T) {
	c, peer, _ := suspendable(t)
	var told atomic.Int32
	c.Poll(func(interface{ Later(f interface{ Flush() }) }) { told.Add(1) })
	c.Poll(nil)
	before := told.Load()
	io.WriteString(peer, "x")
	c.SetReadDeadline(longAgo)
	c.Close()
	peer.Read(make([]byte, 1))
	if n := told.Load(); n != before {
		t.Errorf("told %d times", n-before)
	}
}

// Each Run is followed by a turn that began after it, turns do not overlap, and
// after the last there are none.
func TestTurnsFollowEachOther(t *testing.T) {
	var (
		turns   Turns
		inside  atomic.Int32
		seen    int // by the turns
		news    atomic.Int32
		callers sync.WaitGroup
	)
	turn := func() bool {
		if inside.Add(1) != 1 {
			t.Error("two at once")
		}
		seen = int(news.Load())
		inside.Add(-1)
		return seen < 4000
	}
	for range 4 {
		callers.Go(func() {
			for range 1000 {
				news.Add(1)
				turns.Run(turn)
			}
		})
	}
	callers.Wait()
	if seen != 4000 {
		t.Errorf("the last turn saw %d of 4000", seen)
	}
	turns.Run(func() bool { t.Error("a turn after the last"); return false })
}

// Of two who set a read deadline at the same time one is overtaken between its two
// steps: the other's deadline holds, and is told.
func TestAnOvertakenReadDeadlineDoesNotHideTheLast(t *testing.T) {
	fd, peer := socketPair(t)
	defer peer.Close()
	d := newDescriptor(fd, new(Poller), nil, nil)
	defer d.Close()
	read := make(chan error, 1)
	go func() { read <- d.Read(func(uintptr) bool { return false }) }()

	d.readBy.Store(nanos(time.Now().Add(time.Hour)))
	d.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	d.setTimer() // of the one for the hour
	select {
	case err := <-read:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the deadline was not told")
	}
}
