//go:build linux && !386 && !s390x

package netio

import (
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/h2gw/h2gw/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m)) }

// pair returns both ends of a TCP connection, the first of them wrapped.
func pair(t testing.TB) (wrapped, plain net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	plain, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); plain.Close() })
	return Wrap(c), plain
}

func TestAWrappedConnectionIsANetConn(t *testing.T) {
	nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
		a, b = pair(t)
		return a, Wrap(b), func() { a.Close(); b.Close() }, nil
	})
}

func TestWhatIsNoTCPConnectionIsLeftAlone(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if Wrap(a) != a {
		t.Error("a pipe was wrapped")
	}
}

func TestMuchMoreThanTheSocketHoldsArrivesWhole(t *testing.T) {
	w, r := pair(t)
	sent, got := sha256.New(), sha256.New()
	const total = 32 << 20
	go func() {
		defer w.(interface{ CloseWrite() error }).CloseWrite()
		rnd, chunk := rand.NewChaCha8([32]byte{1}), make([]byte, 700_001)
		for left := total; left > 0; {
			p := chunk[:min(left, len(chunk))]
			rnd.Read(p)
			sent.Write(p)
			if n, err := w.Write(p); n != len(p) || err != nil {
				t.Errorf("Write: %d, %v", n, err)
				return
			}
			left -= len(p)
		}
	}()
	buf := make([]byte, 100_003)
	n, err := io.CopyBuffer(struct{ io.Writer }{got}, struct{ io.Reader }{r}, buf)
	if err != nil || n != total {
		t.Fatalf("received %d of %d bytes: %v", n, total, err)
	}
	if string(sent.Sum(nil)) != string(got.Sum(nil)) {
		t.Error("other bytes arrived than were sent")
	}
}

func TestWritesAreNotInterleaved(t *testing.T) {
	w, r := pair(t)
	const each, size = 20, 300_000
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			p := make([]byte, size)
			for j := range p {
				p[j] = byte(i)
			}
			for range each {
				w.Write(p)
			}
		})
	}
	p := make([]byte, size)
	for range 4 * each {
		if _, err := io.ReadFull(r, p); err != nil {
			t.Fatal(err)
		}
		for _, c := range p {
			if c != p[0] {
				t.Fatal("bytes of two writes are mixed")
			}
		}
	}
	writers.Wait()
}

func TestAWriteThatTimesOutTellsHowMuchItWrote(t *testing.T) {
	w, r := pair(t)
	type written struct {
		n   int
		err error
	}
	done := make(chan written)
	go func() {
		n, err := w.Write(make([]byte, 64<<20))
		done <- written{n, err}
	}()
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil { // it has begun
		t.Fatal(err)
	}
	w.SetWriteDeadline(longAgo)
	wrote := <-done
	if !errors.Is(wrote.err, os.ErrDeadlineExceeded) {
		t.Fatalf("Write: %+v", wrote)
	}
	w.Close()
	if got, err := io.Copy(io.Discard, r); got+1 != int64(wrote.n) || err != nil {
		t.Errorf("%d bytes arrived of %d that were written, %v", got+1, wrote.n, err)
	}
}

// expire lets w's write deadline pass in the midst of a write: when something of
// it has arrived at r.
func expire(t *testing.T, w, r net.Conn) {
	for !readable(t, r) {
		time.Sleep(time.Millisecond)
	}
	w.SetWriteDeadline(longAgo)
}

func TestErrorsAreThoseOfPackageNet(t *testing.T) {
	check := func(what string, err error, op string, is error) {
		t.Helper()
		var oe *net.OpError
		if !errors.As(err, &oe) || oe.Op != op || !errors.Is(err, is) {
			t.Errorf("%s: %v, want a net.OpError of %s, %v", what, err, op, is)
		}
	}
	buf := make([]byte, 10)
	c, peer := pair(t)
	c.SetReadDeadline(time.Now().Add(-time.Second))
	_, err := c.Read(buf)
	check("a passed deadline", err, "read", os.ErrDeadlineExceeded)
	c.SetReadDeadline(time.Time{})
	peer.(*net.TCPConn).SetLinger(0)
	peer.Close()
	_, err = c.Read(buf)
	check("a reset", err, "read", syscall.ECONNRESET)
	_, err = c.Write(buf)
	check("a write after it", err, "write", syscall.EPIPE)
	c.Close()
	_, err = c.Read(buf)
	check("closed", err, "read", net.ErrClosed)
	_, err = c.Write(buf)
	check("closed", err, "write", net.ErrClosed)
}

func TestTheEndOfInputIsEOF(t *testing.T) {
	c, peer := pair(t)
	peer.Write([]byte("x"))
	peer.Close()
	if b, err := io.ReadAll(c); string(b) != "x" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d, %v, want a bare io.EOF", n, err)
	}
}

// What is called before a wait sees all that was sent before, and what is sent
// from there ends the wait.
func TestAReadSaysThatItIsGoingToWait(t *testing.T) {
	c, peer := pair(t)
	waits := 0
	c.(interface{ OnWait(func()) bool }).OnWait(func() {
		waits++
		peer.Write([]byte("again"))
		for !arrived(t, c) { // else what woke the Read may be what was read before
			time.Sleep(time.Millisecond)
		}
	})
	peer.Write([]byte("at once"))
	peer.(*net.TCPConn).SetNoDelay(true)
	for !readable(t, c) {
		time.Sleep(time.Millisecond)
	}
	p := make([]byte, 100)
	if n, err := c.Read(p); string(p[:n]) != "at once" || err != nil || waits != 0 {
		t.Fatalf("%q, %v, %d waits", p[:n], err, waits)
	}
	if n, err := c.Read(p); string(p[:n]) != "again" || err != nil || waits != 1 {
		t.Fatalf("%q, %v, %d waits", p[:n], err, waits)
	}
	c.(interface{ OnWait(func()) bool }).OnWait(nil)
	go peer.Close()
	if n, err := c.Read(p); n != 0 || err != io.EOF || waits != 1 {
		t.Fatalf("%q, %v, %d waits", p[:n], err, waits)
	}
}

// arrived is readable of a connection that is being read.
func arrived(t *testing.T, c net.Conn) (yes bool) {
	rc, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	rc.Control(func(fd uintptr) {
		n, _ := Recv(fd, make([]byte, 1), syscall.MSG_PEEK)
		yes = n > 0
	})
	return yes
}

// readable peeks.
func readable(t *testing.T, c net.Conn) (yes bool) {
	rc, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	rc.Read(func(fd uintptr) bool {
		n, _ := Recv(fd, make([]byte, 1), syscall.MSG_PEEK)
		yes = n > 0
		return true
	})
	return yes
}

func TestEmptyReadsAndWritesDoNothing(t *testing.T) {
	c, _ := pair(t)
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("Read: %d, %v", n, err)
	}
	if n, err := c.Write(nil); n != 0 || err != nil {
		t.Errorf("Write: %d, %v", n, err)
	}
}

func TestReadingAndWritingAllocateNothing(t *testing.T) {
	c, peer := pair(t)
	p, q := make([]byte, 1000), make([]byte, 1000)
	n := testing.AllocsPerRun(200, func() {
		c.Write(p)
		io.ReadFull(peer, q)
		peer.Write(q)
		io.ReadFull(c, p)
	})
	if n > 0 {
		t.Errorf("%v allocations in a round trip", n)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, kind := range []string{"net", "netio"} {
		b.Run(kind, func(b *testing.B) {
			c, peer := pair(b)
			if kind == "net" {
				c = c.(*conn).transport.(*net.TCPConn)
			}
			p := make([]byte, 16<<10)
			b.ReportAllocs()
			for b.Loop() {
				c.Write(p)
				io.ReadFull(peer, p)
				peer.Write(p[:100])
				io.ReadFull(c, p[:100])
			}
		})
	}
}

// What is written between Gather and Flush arrives in order and at once.
func TestGatheredWritesAreOneWrite(t *testing.T) {
	c, peer := pair(t)
	g := c.(interface {
		Gather()
		Flush() (int, int, error)
	})
	for range 3 {
		g.Gather()
		for _, s := range []string{"one ", "two ", "three"} {
			if n, err := c.Write([]byte(s)); n != len(s) || err != nil {
				t.Fatal(n, err)
			}
		}
		if readable(t, peer) {
			t.Error("something was written before Flush")
		}
		if kept, written, err := g.Flush(); kept != 13 || written != 13 || err != nil {
			t.Fatal(kept, written, err)
		}
		p := make([]byte, 20)
		if n, err := peer.Read(p); string(p[:n]) != "one two three" || err != nil {
			t.Fatalf("%q, %v", p[:n], err)
		}
	}
	g.Gather()
	if kept, written, err := g.Flush(); kept != 0 || written != 0 || err != nil {
		t.Error(kept, written, err)
	}
	g.Gather()
	c.Write(make([]byte, 64<<20))
	go expire(t, c, peer)
	if kept, written, err := g.Flush(); kept != 64<<20 || written == 0 || written == kept || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(kept, written, err)
	}
}
