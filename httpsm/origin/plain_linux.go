package origin

import (
	"syscall"

	"github.com/h2gw/h2gw/internal/netio"
)

// What a connection that a poller waits for needs of its socket. See polled.go.

// receive receives into p what has arrived: errWouldBlock if nothing has, 0 and
// nil at the end of input.
func receive(fd int, p []byte) (int, error) {
	n, err := netio.Recv(uintptr(fd), p, 0)
	if err == syscall.EAGAIN {
		err = errWouldBlock
	}
	return n, err
}

// peek looks at a socket without taking anything from it; one is where to.
func peek(fd int, one *[1]byte) look {
	n, err := netio.Recv(uintptr(fd), one[:], syscall.MSG_PEEK)
	switch {
	case n > 0:
		return lookBytes
	case err == syscall.EAGAIN:
		return lookQuiet
	}
	return lookClosed
}

// transmit sends what the socket takes of p, which may be nothing.
func transmit(fd int, p []byte) (int, error) {
	n, err := netio.Send(uintptr(fd), p)
	if err == syscall.EAGAIN {
		err = nil
	}
	return n, err
}

func shutSocket(fd int)  { syscall.Shutdown(fd, syscall.SHUT_RDWR) }
func closeSocket(fd int) { syscall.Close(fd) }
