//go:build !386 && !s390x

package main

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// started is a relay in front of an origin that sends back what it receives; open is
// how many connections that has.
func started(t *testing.T) (r *relay, addr string, open *atomic.Int32) {
	t.Helper()
	origin, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { origin.Close() })
	open = new(atomic.Int32)
	go func() {
		for {
			c, err := origin.Accept()
			if err != nil {
				return
			}
			open.Add(1)
			go func() {
				defer open.Add(-1)
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	r, err = newRelay(netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort(origin.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	return r, r.addr(t), open
}

// addr is where r accepts.
func (r *relay) addr(t *testing.T) string {
	t.Helper()
	name, err := syscall.Getsockname(r.listener)
	if err != nil {
		t.Fatal(err)
	}
	at := name.(*syscall.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)).String()
}

// Each message arrives at the other side and is counted, each way; where one side of
// a pair ends, the other does, and other pairs go on.
func TestARelayCopiesAndCounts(t *testing.T) {
	r, addr, open := started(t)
	const rounds = 20
	done := make(chan error, 1)
	go func() { done <- exchange(addr, rounds) }()
	for start := time.Now(); ; r.turn(10 * time.Millisecond) {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			if want := 2 * 2 * rounds; r.messages != want {
				t.Errorf("%d messages counted, want %d", r.messages, want)
			}
			r.wantEnded(t, open)
			return
		default:
			if time.Since(start) > time.Minute {
				t.Fatal("the exchange did not end")
			}
		}
	}
}

// wantEnded waits until the origin has been told that the clients have left.
func (r *relay) wantEnded(t *testing.T, open *atomic.Int32) {
	t.Helper()
	for start := time.Now(); open.Load() > 0; r.turn(10 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("both clients have left, and the origin has %d connections", open.Load())
		}
	}
}

// exchange has two connections say something and hear it, in turns, so often.
func exchange(addr string, rounds int) error {
	var conns []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		conns = append(conns, c)
	}
	var b [5]byte
	for _, c := range conns { // one after the other: the first is closed when the second goes on
		for range rounds {
			if _, err := io.WriteString(c, "hello"); err != nil {
				return err
			}
			if _, err := io.ReadFull(c, b[:]); err != nil {
				return err
			}
		}
		c.Close()
	}
	return nil
}

func TestAnOriginThatIsNotThereEndsTheClient(t *testing.T) {
	r, err := newRelay(netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp4", r.addr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	done := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		done <- err
	}()
	for ended := false; !ended; r.turn(10 * time.Millisecond) { // a turn may end by a signal
		select {
		case err = <-done:
			ended = true
		default:
		}
	}
	if err == nil {
		t.Error("something came")
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Error("the connection was left open")
	}
}
