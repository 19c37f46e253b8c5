//go:build unix

package testkit

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// A Handover is a listening socket for an nginx that is about to be started: it
// is told of it as a new nginx is by an old one. So its port is never free for
// somebody else to take.
type Handover struct {
	Addr string // for nginx's "listen"

	file *os.File
}

// NewHandover listens on a free port of loopback.
func NewHandover(tb testing.TB) *Handover {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	return &Handover{Addr: ln.Addr().String(), file: f}
}

// Start starts cmd, nginx, which has the socket from then on.
func (h *Handover) Start(cmd *exec.Cmd) error {
	defer h.file.Close()
	cmd.ExtraFiles = []*os.File{h.file} // its descriptor 3
	cmd.Env = append(cmd.Environ(), "NGINX=3;")
	if err := cmd.Start(); err != nil {
		return err
	}
	// Being passed on has made it blocking, which nginx does not expect.
	return syscall.SetNonblock(int(h.file.Fd()), true)
}
