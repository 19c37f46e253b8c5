package vconn_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// All tests together leave no goroutine and no chunk behind: every connection
// they made is closed at both ends.
func TestMain(m *testing.M) {
	code := testkit.Run(m)
	if code == 0 {
		if n := vconn.ChunksOut(); n != 0 {
			fmt.Fprintf(os.Stderr, "%d chunks are not back in their pools\n", n)
			code = 1
		}
	}
	os.Exit(code)
}

var origin = netip.MustParseAddrPort("192.0.2.7:8080")

// open returns both ends of a new connection, closed when the test ends.
func open(t testing.TB, o vconn.Options) (a, p *vconn.Conn) {
	t.Helper()
	a, err := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { p = c })).Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); p.Close() })
	return a, p
}

func write(t testing.TB, c net.Conn, s string) {
	t.Helper()
	if n, err := c.Write([]byte(s)); n != len(s) || err != nil {
		t.Fatalf("Write(%d bytes) = %d, %v", len(s), n, err)
	}
}

// wantRead reads exactly s.
func wantRead(t testing.TB, c net.Conn, s string) {
	t.Helper()
	b := make([]byte, len(s))
	if n, err := io.ReadFull(c, b); err != nil || string(b) != s {
		t.Fatalf("read %q, %v, want %q", b[:n], err, s)
	}
}

func wantReadErr(t testing.TB, c net.Conn, want error) {
	t.Helper()
	if n, err := c.Read(make([]byte, 8)); n != 0 || !errors.Is(err, want) {
		t.Fatalf("Read = %d, %v, want %v", n, err, want)
	}
}

func wantWriteErr(t testing.TB, c net.Conn, want error) {
	t.Helper()
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, want) {
		t.Fatalf("Write = %d, %v, want %v", n, err, want)
	}
}

func wantEqual[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s = %v, want %v", what, got, want)
	}
}
