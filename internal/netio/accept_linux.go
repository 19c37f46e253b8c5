//go:build linux && !386 && !s390x

package netio

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// An Acceptor accepts the connections of a listener for Pollers: package net
// never has them, which would be a registration with the runtime's poller each,
// and system calls that the runtime's monitor wakes up for. It waits in the
// runtime's poller, as the listener would.
type Acceptor struct {
	ln     net.Listener
	file   *os.File // of the same socket
	rc     syscall.RawConn
	local  net.Addr // of all connections; nil: each has its own
	try    func(fd uintptr) bool
	fd     int // of the call that runs
	peer   syscall.RawSockaddrAny
	failed syscall.Errno
}

// NewAcceptor returns an Acceptor for ln, nil where there is none: on other
// systems, and for what is no *net.TCPListener. ln stays its owner's.
func NewAcceptor(ln net.Listener) *Acceptor {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil
	}
	rc, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	fd, err := duplicate(rc)
	if err != nil {
		return nil
	}
	// What is accepted inherits it.
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	a := &Acceptor{ln: ln, file: os.NewFile(uintptr(fd), "listener")}
	if a.rc, err = a.file.SyscallConn(); err == nil {
		err = a.file.SetReadDeadline(noDeadline) // fails if it is not polled
	}
	if err != nil {
		a.file.Close()
		return nil
	}
	if addr, ok := ln.Addr().(*net.TCPAddr); ok && !addr.IP.IsUnspecified() {
		a.local = addr
	}
	a.try = a.accept
	return a
}

// Accept waits for a connection, and returns it as WrapPolled does, for p. It is
// for one goroutine. Its errors are those of a net.Listener.
func (a *Acceptor) Accept(p *Poller) (net.Conn, error) {
	if err := a.rc.Read(a.try); err != nil {
		return nil, a.opError(net.ErrClosed)
	}
	if a.failed != 0 {
		return nil, a.opError(os.NewSyscallError("accept4", a.failed))
	}
	local := a.local
	if local == nil {
		local = localAddr(a.fd)
	}
	return newPolled(a.fd, p, local, tcpAddr(&a.peer)), nil
}

// Close ends Accept. It does not close the listener.
func (a *Acceptor) Close() error { return a.file.Close() }

// accept returns false to be called again when there is a connection.
func (a *Acceptor) accept(fd uintptr) bool {
	for {
		size := uint32(unsafe.Sizeof(a.peer))
		r, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, fd, uintptr(unsafe.Pointer(&a.peer)), uintptr(unsafe.Pointer(&size)),
			syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case syscall.EINTR, syscall.ECONNABORTED: // gone before it was accepted
			continue
		case syscall.EAGAIN:
			return false
		}
		a.fd, a.failed = int(r), errno
		return true
	}
}

func (a *Acceptor) opError(err error) error {
	return &net.OpError{Op: "accept", Net: "tcp", Addr: a.ln.Addr(), Err: err}
}

// localAddr is the address of a socket; nil if it has none.
func localAddr(fd int) net.Addr {
	var sa syscall.RawSockaddrAny
	size := uint32(unsafe.Sizeof(sa))
	if _, _, errno := syscall.RawSyscall(syscall.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size))); errno != 0 {
		return nil
	}
	return tcpAddr(&sa)
}

// tcpAddr is an address as package net writes it, but for the name of a zone,
// which is its number here. It is nil for what is none of TCP.
func tcpAddr(sa *syscall.RawSockaddrAny) net.Addr {
	switch sa.Addr.Family {
	case syscall.AF_INET:
		sa := (*syscall.RawSockaddrInet4)(unsafe.Pointer(sa))
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), hostOrder(&sa.Port)))
	case syscall.AF_INET6:
		sa := (*syscall.RawSockaddrInet6)(unsafe.Pointer(sa))
		ip := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.Scope_id != 0 {
			ip = ip.WithZone(strconv.Itoa(int(sa.Scope_id)))
		}
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, hostOrder(&sa.Port)))
	}
	return nil
}

// hostOrder is a port as it lies in memory: in the network's order.
func hostOrder(port *uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(port))
	return uint16(b[0])<<8 | uint16(b[1])
}
