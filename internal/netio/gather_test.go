//go:build linux && !386 && !s390x

package netio

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

type gatherer interface {
	net.Conn
	Gather()
	TryGather() bool
	Flush() (int, int, error)
	TryFlush() (int, int, error)
}

// A TryFlush writes what the socket takes and waits for nothing; the rest, and
// what is written behind it, waits for Flush, in order.
func TestATryFlushDoesNotWait(t *testing.T) {
	w, peer := pair(t)
	c := w.(gatherer)
	var sent []byte
	write := func(n int) {
		p := make([]byte, n)
		rand.NewChaCha8([32]byte{byte(len(sent))}).Read(p)
		sent = append(sent, p...)
		if n, err := c.Write(p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	gather := func() {
		if !c.TryGather() {
			t.Fatal("refused, and nobody writes")
		}
	}
	gather()
	write(1000)
	if kept, written, err := c.TryFlush(); kept != 1000 || written != 1000 || err != nil {
		t.Fatal(kept, written, err)
	}
	gather()
	if kept, written, err := c.TryFlush(); kept != 0 || written != 0 || err != nil {
		t.Fatal(kept, written, err)
	}
	gather()
	write(64 << 20) // more than any socket takes
	kept, written, err := c.TryFlush()
	if kept != 64<<20 || written == 0 || written >= kept || err != nil {
		t.Fatal(kept, written, err)
	}
	if c.TryGather() {
		t.Fatal("two gather at a time")
	}
	write(5000)
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(peer)
		got <- b
	}()
	if again, all, err := c.Flush(); again != kept-written+5000 || all != again || err != nil {
		t.Fatal(again, all, err)
	}
	write(7) // not gathered
	c.Close()
	if b := <-got; !bytes.Equal(b, sent) {
		t.Errorf("%d bytes arrived that differ from the %d sent", len(b), len(sent))
	}
}

// A socket that is full takes no more than fits behind what it has, and nobody
// waits for it.
func TestATryFlushToAFullSocketDoesNotWait(t *testing.T) {
	w, peer := pair(t)
	c := w.(gatherer)
	full := 0
	for n := 1; n > 0; full += n { // what was sent moves on to the peer, and makes room
		c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, _ = c.Write(make([]byte, 64<<20))
	}
	c.SetWriteDeadline(time.Time{})
	if !c.TryGather() {
		t.Fatal("refused, and nobody writes")
	}
	const more = 32 << 20
	c.Write(make([]byte, more))
	kept, written, err := c.TryFlush()
	if kept != more || written == more || err != nil {
		t.Fatal(kept, written, err)
	}
	got := make(chan int64)
	go func() {
		n, _ := io.Copy(io.Discard, peer)
		got <- n
	}()
	if left, all, err := c.Flush(); left != more-written || all != left || err != nil {
		t.Fatal(left, all, err)
	}
	c.Close()
	if n := <-got; n != int64(full+more) {
		t.Errorf("%d bytes arrived of %d", n, full+more)
	}
}

// Who must not wait is not made to by somebody who does.
func TestTryGatherIsRefusedWhileSomebodyWrites(t *testing.T) {
	w, peer := pair(t)
	c := w.(gatherer)
	done := make(chan error)
	go func() {
		_, err := c.Write(make([]byte, 64<<20))
		done <- err
	}()
	if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if c.TryGather() {
		t.Error("in the midst of a write")
	}
	c.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if !c.TryGather() {
		t.Fatal("refused when it was over")
	}
	c.Write([]byte("x"))
	if _, _, err := c.TryFlush(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("TryFlush of a closed connection: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after it, which is not gathered: %v", err)
	}
}
