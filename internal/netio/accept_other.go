//go:build !linux || 386 || s390x

package netio

import "net"

// An Acceptor does not exist here; see accept_linux.go.
type Acceptor struct{}

// NewAcceptor returns nil.
func NewAcceptor(net.Listener) *Acceptor { return nil }

// Accept is not called.
func (*Acceptor) Accept(*Poller) (net.Conn, error) { return nil, net.ErrClosed }

// Close does nothing.
func (*Acceptor) Close() error { return nil }
