//go:build unix

package h2session

import "syscall"

// readable reports whether a read of the socket fd would not wait. It looks
// without taking anything, because what was looked at has to go through TLS.
func readable(fd uintptr) bool {
	var b [1]byte
	for {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return err != syscall.EAGAIN
		}
	}
}
