//go:build !linux

package frontend

import "syscall"

// inheritedOptions does nothing where accepted sockets do not inherit the
// listening socket's options.
func inheritedOptions(_, _ string, _ syscall.RawConn) error { return nil }
