//go:build linux && !386 && !s390x

package netio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

var longAgo = time.Unix(1, 0)

// A heard is what a polled connection has had to say.
type heard chan bool

func (h heard) news(interface{ Later(f interface{ Flush() }) }) {
	select {
	case h <- true:
	default: // it will look anyway
	}
}

func (h heard) wait(t testing.TB) {
	t.Helper()
	select {
	case <-h:
	case <-time.After(10 * time.Second):
		t.Fatal("no news")
	}
}

// polledPair is a polled connection and its peer.
func polledPair(t testing.TB) (c *conn, peer *net.TCPConn, h heard) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c, h = WrapPolled(a, PollerOf(0)).(*conn), make(heard, 1)
	if !c.Poll(h.news) {
		t.Fatal("it cannot be polled")
	}
	t.Cleanup(func() { c.Close(); p.Close() })
	return c, p.(*net.TCPConn), h
}

// reads reads until n bytes have come, or the error, without ever waiting in Read.
func (h heard) reads(t testing.TB, c net.Conn, n int) ([]byte, error) {
	t.Helper()
	var got []byte
	b := make([]byte, 1000)
	for len(got) < n {
		m, err := c.Read(b)
		got = append(got, b[:m]...)
		switch {
		case err == ErrWouldBlock:
			h.wait(t)
		case err != nil:
			return got, err
		}
	}
	return got, nil
}

func TestAPolledReadNeverWaits(t *testing.T) {
	c, peer, h := polledPair(t)
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != ErrWouldBlock {
		t.Errorf("%d, %v", n, err)
	}
	sent := bytes.Repeat([]byte("0123456789"), 300_000)
	go func() {
		peer.Write(sent)
		time.Sleep(10 * time.Millisecond)
		peer.Write([]byte("x"))
		peer.CloseWrite()
	}()
	got, err := h.reads(t, c, len(sent)+2)
	if err != io.EOF || !bytes.Equal(got, append(sent, 'x')) {
		t.Errorf("%d bytes of %d, %v", len(got), len(sent)+1, err)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// OnWait is told where a Read would wait, as where it does.
func TestAPolledReadSaysThatItWouldWait(t *testing.T) {
	c, peer, h := polledPair(t)
	waits := 0
	c.OnWait(func() { waits++ })
	b := make([]byte, 100)
	c.Read(b)
	io.WriteString(peer, "x")
	for n := 0; n == 0; n, _ = c.Read(b) {
		h.wait(t)
	}
	before := waits
	if _, err := c.Read(b); err != ErrWouldBlock || waits != before+1 || before == 0 {
		t.Errorf("told %d times, then %d; %v", before, waits, err)
	}
}

func TestAPolledDeadlineIsNews(t *testing.T) {
	c, peer, h := polledPair(t)
	b := make([]byte, 100)
	for _, by := range []time.Time{time.Now().Add(time.Millisecond), longAgo} {
		c.SetReadDeadline(by)
		for {
			if _, err := c.Read(b); errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			h.wait(t)
		}
	}
	c.SetDeadline(time.Time{})
	io.WriteString(peer, "x")
	if got, err := h.reads(t, c, 1); string(got) != "x" || err != nil {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// A Close is news to who reads, ends a Flush that waits, and closes once.
func TestAPolledCloseIsNews(t *testing.T) {
	c, peer, h := polledPair(t)
	wrote := make(chan error, 1)
	go func() {
		wrote <- c.writeAll(make([]byte, 64<<20))
	}()
	for !c.d.full.Load() {
		time.Sleep(time.Millisecond)
	}
	c.Close()
	if err := <-wrote; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Flush: %v", err)
	}
	if _, err := h.reads(t, c, 1); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	for name, err := range map[string]error{"CloseWrite": c.CloseWrite(), "SetLinger": c.SetLinger(0)} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	peer.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, peer); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the socket is still open")
	}
}

// writeAll writes p, and waits for room.
func (c *conn) writeAll(p []byte) error {
	c.Gather()
	c.Write(p)
	_, _, err := c.Flush()
	return err
}

// A Flush waits for room, at most until its deadline, which may be moved.
func TestAPolledFlushWaits(t *testing.T) {
	c, peer, _ := polledPair(t)
	sent := bytes.Repeat([]byte("0123456789"), 1<<20)
	wrote := make(chan error, 1)
	c.SetWriteDeadline(time.Now().Add(time.Minute))
	go func() { wrote <- c.writeAll(sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, sent) {
		t.Fatal("not what was sent:", err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	go func() { wrote <- c.writeAll(make([]byte, 64<<20)) }()
	for !c.d.full.Load() {
		time.Sleep(time.Millisecond)
	}
	c.SetWriteDeadline(longAgo)
	if err := <-wrote; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestAPolledConnectionIsATCPConnection(t *testing.T) {
	c, peer, h := polledPair(t)
	if c.LocalAddr().String() != peer.RemoteAddr().String() || c.RemoteAddr().String() != peer.LocalAddr().String() {
		t.Errorf("%v, %v", c.LocalAddr(), c.RemoteAddr())
	}
	c.CloseWrite()
	if b, err := io.ReadAll(peer); len(b) != 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	io.WriteString(peer, "still")
	if got, err := h.reads(t, c, 5); string(got) != "still" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	c.SetLinger(0)
	c.Close()
	if _, err := peer.Read(make([]byte, 1)); err == nil || err == io.EOF {
		peer.Write([]byte("x"))
		if _, err = peer.Read(make([]byte, 1)); err == nil {
			t.Error("not closed")
		}
	}
}

// Whoever closes, and whenever, nothing is left, and no other's file descriptor
// is closed.
func TestPolledConnectionsAreClosedAtAnyTime(t *testing.T) {
	files := len(openFiles(t))
	for i := range 200 {
		c, peer, h := polledPair(t)
		done := make(chan bool, 3)
		go func() {
			if err := c.writeAll(make([]byte, 1<<20)); errors.Is(err, errNoPoller) {
				t.Error("closed, and taken for one that cannot be waited for")
			}
			done <- true
		}()
		go func() { peer.Write([]byte("x")); peer.Close(); done <- true }()
		go func() {
			time.Sleep(time.Duration(i%10) * 20 * time.Microsecond)
			c.Close()
			done <- true
		}()
		h.reads(t, c, 1<<20)
		for range 3 {
			<-done
		}
	}
	for start := time.Now(); len(openFiles(t)) > files+1; time.Sleep(time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%d files are open, were %d: %v", len(openFiles(t)), files, openFiles(t))
		}
	}
}

func TestWithoutAPollerNothingIsPolled(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if Wrap(a).(*conn).Poll(make(heard).news) {
		t.Error("polled")
	}
}

// A Write by itself, as TLS makes in a Read, does not wait, and neither is it
// kept waiting by a Flush that does: it goes behind what that writes.
func TestAPolledWriteByTheWayDoesNotWait(t *testing.T) {
	c, peer, _ := polledPair(t)
	peer.SetReadBuffer(128 << 10) // else it grows with what is read, to hold all of what follows
	if n, err := c.Write(make([]byte, 64<<20)); err == nil || n == 64<<20 {
		t.Fatalf("%d, %v", n, err)
	} else {
		io.CopyN(io.Discard, peer, int64(n))
	}
	sent := bytes.Repeat([]byte("0123456789"), 1<<21)
	c.Gather()
	c.Write(sent)
	type flushed struct {
		kept, written int
		err           error
	}
	done := make(chan flushed)
	go func() {
		kept, written, err := c.Flush()
		done <- flushed{kept, written, err}
	}()
	for !c.d.full.Load() {
		time.Sleep(time.Millisecond)
	}
	if n, err := c.Write([]byte("by the way")); n != 10 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	got := make([]byte, len(sent)+10)
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, append(sent, "by the way"...)) {
		t.Error("not what was sent:", err)
	}
	if f := <-done; f.kept != len(got) || f.written != len(got) || f.err != nil {
		t.Errorf("%+v", f)
	}
}

// A Flush that waits ends with its deadline, and with the connection.
func TestAPolledFlushEnds(t *testing.T) {
	for name, end := range map[string]func(c *conn){
		"deadline": func(c *conn) { c.SetWriteDeadline(longAgo) },
		"close":    func(c *conn) { c.Close() },
	} {
		c, _, _ := polledPair(t)
		c.Gather()
		c.Write(make([]byte, 64<<20))
		done := make(chan error)
		go func() {
			kept, written, err := c.Flush()
			if kept != 64<<20 || written >= kept {
				t.Errorf("%s: %d of %d", name, written, kept)
			}
			done <- err
		}()
		for !c.d.full.Load() {
			time.Sleep(time.Millisecond)
		}
		end(c)
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
		if c.gather != nil {
			t.Errorf("%s: it still gathers", name)
		}
	}
}
