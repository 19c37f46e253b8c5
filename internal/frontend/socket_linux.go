package frontend

import "syscall"

// Keep-alive probes find clients that vanished without a word: the first after
// a minute of silence, given up after two more.
const (
	keepAliveIdle     = 60 // seconds
	keepAliveInterval = 15 // seconds
	keepAliveCount    = 4
)

// inheritedOptions sets options on the listening socket. On Linux accepted
// sockets inherit them, which spares four system calls per connection. (Go
// itself sets TCP_NODELAY on each.)
func inheritedOptions(_, _ string, c syscall.RawConn) error {
	var err error
	set := func(fd uintptr, level, opt, v int) {
		if err == nil {
			err = syscall.SetsockoptInt(int(fd), level, opt, v)
		}
	}
	cerr := c.Control(func(fd uintptr) {
		set(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
		set(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, keepAliveIdle)
		set(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, keepAliveInterval)
		set(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, keepAliveCount)
	})
	if cerr != nil {
		return cerr
	}
	return err
}
