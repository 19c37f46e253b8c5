package testkit

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"golang.org/x/net/nettest"
)

func TestPipeIsANetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		a, b := Pipe()
		return a, b, func() { a.Close(); b.Close() }, nil
	})
}

func TestPipeHalfCloseAndReset(t *testing.T) {
	a, b := Pipe()
	a.Write([]byte("abc"))
	a.CloseWrite()
	if got, err := io.ReadAll(b); string(got) != "abc" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := b.Write([]byte("back")); err != nil {
		t.Error(err)
	}
	if n := a.Buffered(); n != 4 {
		t.Errorf("%d buffered", n)
	}
	a.Close() // with bytes unread
	if _, err := b.Write([]byte("x")); err == nil {
		t.Error("a write to a closed end succeeded")
	}

	a, b = Pipe()
	a.Reset()
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

func TestListener(t *testing.T) {
	l := NewListener()
	go func() {
		c, _ := l.Accept()
		io.WriteString(c, "hi")
		c.Close()
	}()
	c, err := l.Dial()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "hi" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	l.Close()
	if _, err := l.Dial(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
