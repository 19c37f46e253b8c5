//go:build linux && !386 && !s390x

package netio

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A descriptor is a socket that a Poller waits for, in place of the TCPConn of a
// conn. It implements syscall.RawConn, but Read never waits: it is ErrWouldBlock
// then, and news are told to whoever asked for them.
type descriptor struct {
	fd     int
	poller *Poller
	news   func(later interface{ Later(f interface{ Flush() }) })

	uses  atomic.Int64 // calls that use fd, and closing; who makes it just that closes fd
	fresh atomic.Bool  // something may have arrived since the last receive
	ended atomic.Bool  // nothing comes behind that

	full   atomic.Bool   // a Write waits for room
	room   chan struct{} // holds one, from who cleared full
	readBy atomic.Int64  // Unix nanoseconds; 0: no deadline
	sendBy atomic.Int64

	mu    sync.Mutex  // guards timer
	timer *time.Timer // of readBy; nil: none was needed yet
}

// closing is added to uses once; no use begins after that.
const closing = 1 << 40

// A wouldBlock is the error of a Read that would wait. It is a timeout, and
// temporary, so that crypto/tls does not take the connection for broken.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "netio: nothing to read" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

// WouldBlock tells it from other timeouts.
func (wouldBlock) WouldBlock() {}

// ErrWouldBlock is what Read says where it would wait, after Poll.
var ErrWouldBlock net.Error = wouldBlock{}

// newDescriptor returns another descriptor of c's socket. The caller adds it to
// p, or closes fd.
func newDescriptor(c *net.TCPConn, p *Poller, news func(interface {
	Later(f interface{ Flush() })
})) (*descriptor, error) {
	fd, err := Duplicate(c)
	if err != nil {
		return nil, err
	}
	d := &descriptor{fd: fd, poller: p, news: news, room: make(chan struct{}, 1)}
	d.fresh.Store(true)
	return d, nil
}

// Duplicate returns another file descriptor of c's socket, whose owner is the
// caller. It does not block.
func Duplicate(c *net.TCPConn) (fd int, err error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var errno syscall.Errno
	err = rc.Control(func(was uintptr) {
		var r uintptr
		r, _, errno = syscall.RawSyscall(syscall.SYS_FCNTL, was, syscall.F_DUPFD_CLOEXEC, 0)
		fd = int(r)
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("fcntl", errno)
	}
	return fd, err
}

// Ready is Handler's.
func (d *descriptor) Ready(what Readiness, later *Round) {
	if what&Writable != 0 {
		d.roomy()
	}
	if what&Readable == 0 {
		return
	}
	if what&Ended != 0 {
		d.ended.Store(true)
	}
	d.fresh.Store(true)
	d.news(later)
}

// use keeps fd from being closed until done is called. False: it is closed.
func (d *descriptor) use() bool {
	for {
		n := d.uses.Load()
		if n >= closing {
			return false
		}
		if d.uses.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (d *descriptor) done() {
	if d.uses.Add(-1) == closing {
		d.destroy()
	}
}

func (d *descriptor) destroy() {
	d.poller.Remove(d.fd, false)
	syscall.Close(d.fd)
}

// close closes fd when nobody uses it any more, and has everybody see that.
func (d *descriptor) close() error {
	for {
		n := d.uses.Load()
		if n >= closing {
			return net.ErrClosed
		}
		if d.uses.CompareAndSwap(n, n+closing) {
			d.setTimer(0)
			if n == 0 {
				d.destroy()
			}
			d.roomy()
			go d.news(nil) // whoever reads is to find out
			return nil
		}
	}
}

// Control is syscall.RawConn's.
func (d *descriptor) Control(f func(fd uintptr)) error {
	if !d.use() {
		return net.ErrClosed
	}
	defer d.done()
	f(uintptr(d.fd))
	return nil
}

// Read calls f if something may have arrived. It is ErrWouldBlock where f, or who
// would call it, would have to wait.
func (d *descriptor) Read(f func(fd uintptr) bool) error {
	if !d.use() {
		return net.ErrClosed
	}
	defer d.done()
	if by := d.readBy.Load(); by != 0 && time.Now().UnixNano() >= by {
		return os.ErrDeadlineExceeded
	}
	if !d.fresh.Load() {
		return ErrWouldBlock
	}
	d.fresh.Store(false) // what arrives from now on is told
	if !f(uintptr(d.fd)) {
		return ErrWouldBlock
	}
	return nil
}

// more says whether the receive that f of Read made has left anything. What is
// left is not told again.
func (d *descriptor) more(left bool) {
	if left || d.ended.Load() {
		d.fresh.Store(true)
	}
}

// Write calls f until it is true, and waits for room in between.
func (d *descriptor) Write(f func(fd uintptr) bool) error {
	if !d.use() {
		return net.ErrClosed
	}
	defer d.done()
	for !f(uintptr(d.fd)) {
		if err := d.awaitRoom(); err != nil {
			return err
		}
	}
	return nil
}

// awaitRoom waits until the socket, which was full, may take more, or the write
// deadline has passed, or somebody closes.
func (d *descriptor) awaitRoom() error {
	d.full.Store(true)
	if !d.use() {
		return net.ErrClosed
	}
	d.poller.Again(d.fd)
	d.done()
	var passed <-chan time.Time
	if by := d.sendBy.Load(); by != 0 {
		left := time.Until(time.Unix(0, by))
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		t := time.NewTimer(left)
		defer t.Stop()
		passed = t.C
	}
	select {
	case <-d.room:
	case <-passed:
	}
	if d.uses.Load() >= closing {
		return net.ErrClosed
	}
	return nil
}

// roomy has who waits in awaitRoom look again.
func (d *descriptor) roomy() {
	if d.full.Load() && d.full.Swap(false) {
		select {
		case d.room <- struct{}{}:
		default: // there is one already, of an event that nobody waited for
		}
	}
}

func (d *descriptor) setSendBy(t time.Time) {
	d.sendBy.Store(nanos(t))
	d.roomy()
}

// setReadBy sets the read deadline. That it passes is news.
func (d *descriptor) setReadBy(t time.Time) {
	by := nanos(t)
	if d.readBy.Swap(by) == by && by == 0 {
		return
	}
	d.setTimer(by)
}

func (d *descriptor) setTimer(by int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case by != 0 && d.uses.Load() >= closing:
	case by != 0 && d.timer == nil:
		d.timer = time.AfterFunc(time.Until(time.Unix(0, by)), func() { d.news(nil) })
	case by != 0:
		d.timer.Reset(time.Until(time.Unix(0, by)))
	case d.timer != nil:
		d.timer.Stop()
	}
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
