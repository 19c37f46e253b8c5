//go:build unix

package testkit_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
)

// A reserved port refuses connections, serves whoever listens there, one after
// the other, and refuses again.
func TestAReservedPortIsListenedOnOnlyOnPurpose(t *testing.T) {
	addr := testkit.ReservePort(t)
	for range 3 {
		if c, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dial: %v, %v", c, err)
		}
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		a, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		c.Close()
		a.Close()
	}
}
