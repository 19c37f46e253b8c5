//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package origin

import (
	"net"
	"syscall"
)

// A socket receives from a kernel socket without waiting. It is used by the
// connection's owner alone.
type socket struct {
	rc      syscall.RawConn
	attempt func(fd uintptr) bool // s.try, bound once: binding allocates
	one     [1]byte
	into    []byte // where to; nil: peek
	n       int
	err     error
}

// newSocket returns nil if c is not a kernel socket itself: a wrapper may hold
// bytes that the socket does not show.
func newSocket(c net.Conn) *socket {
	var sc syscall.Conn
	switch c := c.(type) {
	case *net.TCPConn:
		sc = c
	case *net.UnixConn:
		sc = c
	default:
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{rc: rc}
	s.attempt = s.try
	return s
}

// recv receives into b, or only peeks if b is nil, with one system call. It
// returns errWouldBlock if nothing has arrived, 0 and nil at the end of input,
// and os.ErrDeadlineExceeded if the socket's read deadline has passed.
func (s *socket) recv(b []byte) (int, error) {
	s.into = b
	err := s.rc.Read(s.attempt)
	s.into = nil
	if err != nil {
		return 0, err
	}
	return s.n, s.err
}

// try never asks to be called again: Go's sockets do not block.
func (s *socket) try(fd uintptr) bool {
	b, flags := s.into, 0
	if b == nil {
		b, flags = s.one[:], syscall.MSG_PEEK
	}
	for {
		s.n, _, s.err = syscall.Recvfrom(int(fd), b, flags)
		switch s.err {
		case nil:
			return true
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			s.err = errWouldBlock
		}
		s.n = 0
		return true
	}
}
