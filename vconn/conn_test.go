package vconn_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/h2gw/h2gw/vconn"
)

func TestNetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		a, p := open(t, vconn.Options{})
		return a, p, func() { a.Close(); p.Close() }, nil
	})
}

// A bound much smaller than nettest's chunks makes every write wait.
func TestNetConnWithSmallBound(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		a, p := open(t, vconn.Options{ActiveToPassive: 100, PassiveToActive: 1})
		return a, p, func() { a.Close(); p.Close() }, nil
	})
}

func TestWriteBeforeAnyoneReadsIsBuffered(t *testing.T) {
	a, p := open(t, vconn.Options{})
	write(t, a, "GET / HTTP/1.1\r\n")
	write(t, a, "\r\n")
	wantEqual(t, "passive Buffered", p.Buffered(), 18)
	wantRead(t, p, "GET / HTTP/1.1\r\n\r\n")
}

func TestEachDirectionHoldsItsBound(t *testing.T) {
	a, p := open(t, vconn.Options{ActiveToPassive: 10, PassiveToActive: 3})
	for _, dir := range []struct {
		w, r  *vconn.Conn
		bound int
	}{{a, p, 10}, {p, a, 3}} {
		wantEqual(t, "Room", dir.w.Room(), dir.bound)
		msg := []byte("0123456789abcdef")
		n, err := dir.w.TryWrite(msg)
		if n != dir.bound || err != nil {
			t.Fatalf("TryWrite = %d, %v, want %d bytes taken", n, err, dir.bound)
		}
		wantEqual(t, "Room when full", dir.w.Room(), 0)
		if n, err := dir.w.TryWrite(msg); n != 0 || err != nil {
			t.Fatalf("TryWrite when full = %d, %v, want 0, nil", n, err)
		}
		wantRead(t, dir.r, string(msg[:2]))
		wantEqual(t, "Room after a read", dir.w.Room(), 2)
	}
}

func TestBoundsDefault(t *testing.T) {
	a, p := open(t, vconn.Options{ActiveToPassive: -1})
	wantEqual(t, "Room of active", a.Room(), vconn.DefaultBound)
	wantEqual(t, "Room of passive", p.Room(), vconn.DefaultBound)
}

func TestWriteWaitsForRoomAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{ActiveToPassive: 10})
		msg := strings.Repeat("0123456789", 5)
		done := make(chan error, 1)
		go func() {
			_, err := a.Write([]byte(msg))
			done <- err
		}()
		synctest.Wait()
		wantEqual(t, "Buffered", p.Buffered(), 10)
		wantEqual(t, "Room while a Write waits", a.Room(), 0)
		if n, err := a.TryWrite([]byte("x")); n != 0 || err != nil {
			t.Fatalf("TryWrite while a Write waits = %d, %v, want 0, nil", n, err)
		}
		wantRead(t, p, msg)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// The writer may be woken late to save switches, but never so late that what
// would fit is not written.
func TestWriteIsWokenWhenItsRestFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{ActiveToPassive: 100})
		write(t, a, strings.Repeat("x", 100))
		done := false
		go func() { a.Write([]byte("yy")); done = true }()
		synctest.Wait()
		wantRead(t, p, "x")
		synctest.Wait()
		wantEqual(t, "done with room for 1 of 2", done, false)
		wantRead(t, p, "x")
		synctest.Wait()
		wantEqual(t, "done with room for 2 of 2", done, true)
	})
}

// A waiting Write has its turn: what comes later waits behind it even where it
// would fit, and goes on without another read once the turn is over.
func TestAWaitingWriteGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{ActiveToPassive: 10})
		var first, second bool
		go func() { a.Write([]byte("0123456789abcdefghij")); first = true }()
		synctest.Wait()
		wantRead(t, p, "0")
		go func() { a.Write([]byte("z")); second = true }()
		synctest.Wait()
		// One byte of room wakes nobody: there is more to write than that.
		wantEqual(t, "Buffered", p.Buffered(), 9)
		if n, err := a.TryWrite([]byte("y")); n != 0 || err != nil {
			t.Fatalf("TryWrite out of turn = %d, %v, want 0, nil", n, err)
		}
		wantRead(t, p, "123456789ab")
		synctest.Wait()
		wantEqual(t, "first done", first, true)
		wantEqual(t, "second done", second, true)
		wantRead(t, p, "cdefghijz")
	})
}

func TestDiscardMakesRoomForAWaitingWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{ActiveToPassive: 4})
		done := make(chan struct{})
		go func() { write(t, a, "01234567"); close(done) }()
		synctest.Wait()
		b, _ := p.Peek()
		p.Discard(len(b))
		<-done
		wantRead(t, p, "4567")
	})
}

func TestConcurrentWritesAreNotInterleaved(t *testing.T) {
	a, p := open(t, vconn.Options{ActiveToPassive: 7})
	var wg sync.WaitGroup
	for _, s := range []string{"a", "b", "c"} {
		wg.Go(func() {
			for range 20 {
				write(t, a, strings.Repeat(s, 50))
			}
		})
	}
	go func() { wg.Wait(); a.CloseWrite() }()
	all, err := io.ReadAll(p)
	if err != nil || len(all) != 3*20*50 {
		t.Fatalf("read %d bytes, %v, want 3000", len(all), err)
	}
	for i := 0; i < len(all); i += 50 {
		if bytes.Count(all[i:i+50], all[i:i+1]) != 50 {
			t.Fatalf("writes mixed at %d: %q", i, all[i:i+50])
		}
	}
}

func TestCloseWriteLetsThePeerDrainThenEOF(t *testing.T) {
	a, p := open(t, vconn.Options{})
	write(t, a, "request")
	for range 2 {
		if err := a.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	wantWriteErr(t, a, syscall.EPIPE)
	wantRead(t, p, "request")
	wantReadErr(t, p, io.EOF)
	// The other direction is open.
	write(t, p, "response")
	wantRead(t, a, "response")
}

func TestCloseWriteWakesAWaitingPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{})
		done := make(chan struct{})
		go func() { wantReadErr(t, p, io.EOF); close(done) }()
		synctest.Wait()
		a.CloseWrite()
		<-done
	})
}

func TestCloseReadDiscardsAndFailsThePeersWrites(t *testing.T) {
	a, p := open(t, vconn.Options{})
	write(t, a, "unwanted")
	for range 2 {
		if err := p.CloseRead(); err != nil {
			t.Fatal(err)
		}
	}
	wantReadErr(t, p, io.EOF)
	wantWriteErr(t, a, vconn.ErrPeerClosed)
	wantEqual(t, "Room", a.Room(), 0)
	wantEqual(t, "Unread", a.Unread(), 8)
	wantEqual(t, "chunks held", vconn.ChunksOut(), 0)
	write(t, p, "still open")
	wantRead(t, a, "still open")
}

func TestCloseReadFailsAWaitingWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{ActiveToPassive: 4})
		done := make(chan struct{})
		go func() {
			defer close(done)
			if n, err := a.Write([]byte("0123456789")); n != 4 || !errors.Is(err, syscall.EPIPE) {
				t.Errorf("Write = %d, %v, want 4, EPIPE", n, err)
			}
		}()
		synctest.Wait()
		p.CloseRead()
		<-done
	})
}

func TestPeekShowsAndDiscardConsumes(t *testing.T) {
	a, p := open(t, vconn.Options{})
	if b, err := p.Peek(); b != nil || err != nil {
		t.Fatalf("Peek of nothing = %q, %v, want nil, nil", b, err)
	}
	write(t, a, "head")
	write(t, a, "body")
	b, err := p.Peek()
	if string(b) != "headbody" || err != nil {
		t.Fatalf("Peek = %q, %v", b, err)
	}
	wantEqual(t, "room to append to what is shown", cap(b)-len(b), 0)
	p.Discard(4)
	wantEqual(t, "Buffered", p.Buffered(), 4)
	p.Discard(100)
	wantEqual(t, "Buffered", p.Buffered(), 0)
	p.Discard(1)
	p.Discard(-1)
	a.CloseWrite()
	if b, err := p.Peek(); b != nil || err != io.EOF {
		t.Fatalf("Peek at the end = %q, %v, want EOF", b, err)
	}
}

func TestCloseReadEndsWhatPeekShowed(t *testing.T) {
	a, p := open(t, vconn.Options{})
	write(t, a, "shown")
	p.Peek()
	p.CloseRead()
	wantEqual(t, "chunks held", vconn.ChunksOut(), 0)
}

// Neither the peer's reset nor another connection that takes a chunk from the
// pool changes what Peek showed.
func TestPeekedBytesOutliveThePeersReset(t *testing.T) {
	a, p := open(t, vconn.Options{})
	write(t, a, "shown")
	b, _ := p.Peek()
	a.Reset(8)
	wantEqual(t, "chunks held", vconn.ChunksOut(), 1)
	other, _ := open(t, vconn.Options{})
	write(t, other, "OTHER")
	wantEqual(t, "peeked", string(b), "shown")
	p.Discard(len(b))
	wantEqual(t, "chunks held", vconn.ChunksOut(), 1)
	if _, err := p.Peek(); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Peek after a reset = %v", err)
	}
}

func TestZeroLengthOperations(t *testing.T) {
	a, p := open(t, vconn.Options{ActiveToPassive: 1})
	write(t, a, "x") // full
	if n, err := a.Write(nil); n != 0 || err != nil {
		t.Fatalf("Write(nil) = %d, %v", n, err)
	}
	if n, err := a.Read(nil); n != 0 || err != nil {
		t.Fatalf("Read(nil) of nothing = %d, %v", n, err)
	}
	a.Close()
	p.Close()
	if _, err := a.Write(nil); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Write(nil) when closed = %v", err)
	}
	if _, err := a.Read(nil); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Read(nil) when closed = %v", err)
	}
}

func TestErrorsAreThoseOfTCP(t *testing.T) {
	a, p := open(t, vconn.Options{})
	a.SetReadDeadline(time.Unix(1, 0))
	_, err := a.Read(make([]byte, 1))
	var ne net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
		t.Fatalf("past the deadline: %v", err)
	}
	p.Reset(8)
	_, err = a.Write([]byte("x"))
	var re *vconn.ResetError
	if !errors.As(err, &re) || re.Code != 8 || !errors.Is(err, syscall.ECONNRESET) || !errors.Is(err, net.ErrClosed) {
		t.Fatalf("after a reset: %v", err)
	}
	wantEqual(t, "text", re.Error(), "vconn: connection reset with error code 8")
}
