//go:build unix && (!linux || 386 || s390x || race)

package netio

import "syscall"

// Where the kernel is not to be called directly, and with the race detector,
// the calls are those of package syscall: they tell the detector that what is
// read happened after what was written.

// Recv is described in call_linux.go.
func Recv(fd uintptr, p []byte, flags int) (n int, err error) {
	for err = syscall.EINTR; err == syscall.EINTR; {
		if flags == 0 {
			n, err = syscall.Read(int(fd), p)
		} else {
			n, _, err = syscall.Recvfrom(int(fd), p, flags)
		}
	}
	return max(n, 0), err
}

// Send is described in call_linux.go.
func Send(fd uintptr, p []byte) (n int, err error) {
	for err = syscall.EINTR; err == syscall.EINTR; {
		n, err = syscall.Write(int(fd), p)
	}
	return max(n, 0), err
}
