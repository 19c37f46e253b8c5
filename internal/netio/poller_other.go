//go:build !linux || 386 || s390x

package netio

import (
	"errors"
	"net"

	"github.com/h2gw/h2gw/internal/prefetch"
)

// CanPoll says whether there are Pollers on this system.
const CanPoll = false

// Duplicate fails.
func Duplicate(*net.TCPConn) (int, error) { return 0, errors.ErrUnsupported }

// A Poller does not exist here; see poller_linux.go.
type Poller struct{}

// PollerOf returns nil.
func PollerOf(int) *Poller { return nil }

// AnyLane returns 0.
func AnyLane() int { return 0 }

// A Handler is told of one socket.
type Handler interface {
	Ready(what Readiness, later *Round)
}

// Readiness is what may be done with a socket.
type Readiness uint8

// Kinds of readiness.
const (
	Readable Readiness = 1 << iota
	Writable
	Ended
)

// Add fails.
func (*Poller) Add(int, Handler, *prefetch.List) error { return errors.ErrUnsupported }

// AddFirst fails.
func (*Poller) AddFirst(int, Handler, *prefetch.List) error { return errors.ErrUnsupported }

// Again does nothing.
func (*Poller) Again(int) {}

// Remove does nothing.
func (*Poller) Remove(int, bool) {}
