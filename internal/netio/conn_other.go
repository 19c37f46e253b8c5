//go:build !linux || 386 || s390x

package netio

import "net"

// Wrap returns c.
func Wrap(c net.Conn) net.Conn { return c }

// WrapPolled returns c.
func WrapPolled(c net.Conn, _ *Poller) net.Conn { return c }
