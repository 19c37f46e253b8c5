//go:build linux && !386 && !s390x && !race

package netio

import (
	"syscall"
	"unsafe"
)

// Recv receives into p, which must not be empty, from the socket fd, which must
// not block; flags are those of recv(2). It returns 0 and nil at the end of
// input, and a syscall.Errno otherwise: EAGAIN when nothing has arrived. It is
// for use within the callbacks of a syscall.RawConn.
func Recv(fd uintptr, p []byte, flags int) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(flags), 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// Send sends what the socket fd, which must not block, takes of p. It returns a
// syscall.Errno: EAGAIN when that is nothing. It is for use within the callbacks
// of a syscall.RawConn.
func Send(fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
