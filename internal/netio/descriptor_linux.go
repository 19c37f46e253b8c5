//go:build linux && !386 && !s390x

package netio

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/h2gw/h2gw/internal/prefetch"
)

// A descriptor is a socket that a Poller waits for: the transport of a conn, and
// its syscall.RawConn. What a Read does where it would wait is to be chosen:
//
//	blocking   it waits, as any connection's. This is what a new one does.
//	suspended  it calls pause, and then tries again; see conn.Suspend.
//	polled     it is ErrWouldBlock; see conn.Poll.
//
// The mode belongs to who reads, and changes only while nobody reads or writes.
type descriptor struct {
	fd            int
	poller        *Poller
	local, remote net.Addr

	blocks bool                 // blocking
	pause  func()               // suspended
	news   atomic.Pointer[News] // who is to be told; nil: nobody yet, or any more

	uses  atomic.Int64 // calls that use fd, and closing; who makes it just that closes fd
	fresh atomic.Bool  // something may have arrived since the last receive
	ended atomic.Bool  // nothing comes behind that

	arrived chan struct{} // blocking: holds one, from who has news
	full    atomic.Bool   // a Write waits for room
	room    chan struct{} // holds one, from who cleared full
	readBy  atomic.Int64  // Unix nanoseconds; 0: no deadline
	sendBy  atomic.Int64

	near prefetch.List // what Ready touches; of who begins the modes

	mu    sync.Mutex  // guards what follows
	added bool        // to the Poller
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

// newDescriptor returns a blocking one of a socket that does not block. It owns fd.
func newDescriptor(fd int, p *Poller, local, remote net.Addr) *descriptor {
	d := &descriptor{fd: fd, poller: p, local: local, remote: remote, blocks: true, room: make(chan struct{}, 1)}
	d.fresh.Store(true)
	return d
}

// attach has the Poller wait for it, if it does not yet. False: it is closed, or
// that cannot be.
func (d *descriptor) attach() bool {
	if !d.use() {
		return false
	}
	defer d.done()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.added = d.added || d.poller.Add(d.fd, d, &d.near) == nil
	return d.added
}

// tell has news called.
func (d *descriptor) tell(later interface{ Later(f interface{ Flush() }) }) {
	if news := d.news.Load(); news != nil {
		(*news)(later)
	}
}

// Duplicate returns another file descriptor of c's socket, whose owner is the
// caller. It does not block.
func Duplicate(c *net.TCPConn) (fd int, err error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	return duplicate(rc)
}

func duplicate(rc syscall.RawConn) (fd int, err error) {
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
	d.tell(later)
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
	if d.added { // nobody attaches any more
		d.poller.Remove(d.fd, false)
	}
	closeFD(d.fd)
}

// Close closes fd when nobody uses it any more, and has everybody see that.
func (d *descriptor) Close() error {
	for {
		n := d.uses.Load()
		if n >= closing {
			return net.ErrClosed
		}
		if d.uses.CompareAndSwap(n, n+closing) {
			d.setTimer()
			if n == 0 {
				d.destroy()
			}
			d.roomy()
			if d.news.Load() != nil {
				go d.tell(nil) // whoever reads is to find out
			}
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

// Read calls f if something may have arrived, until that is true, and waits in
// between as the mode says.
func (d *descriptor) Read(f func(fd uintptr) bool) error {
	if !d.use() {
		return net.ErrClosed
	}
	defer d.done()
	for {
		if by := d.readBy.Load(); by != 0 && time.Now().UnixNano() >= by {
			return os.ErrDeadlineExceeded
		}
		if d.fresh.Load() {
			d.fresh.Store(false) // what arrives from now on is told
			if f(uintptr(d.fd)) {
				return nil
			}
			continue // the deadline may have passed, if f has taken long
		}
		switch {
		case d.pause != nil:
			d.pause()
		case !d.blocks:
			return ErrWouldBlock
		case !d.await() && d.uses.Load() < closing:
			return errNoPoller
		}
		if d.uses.Load() >= closing {
			return net.ErrClosed
		}
	}
}

var errNoPoller = errors.New("netio: the connection cannot be waited for")

// await waits for news.
func (d *descriptor) await() bool {
	if d.arrived == nil {
		d.arrived = make(chan struct{}, 1)
		arrived := d.arrived
		var news News = func(interface{ Later(f interface{ Flush() }) }) {
			select {
			case arrived <- struct{}{}:
			default: // he will look anyway
			}
		}
		d.news.Store(&news)
		if !d.attach() {
			return false
		}
		return true // from here on there is news; what came before is looked for once more
	}
	<-d.arrived
	return true
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
	// Where a Write does not wait the deadline is that of a Flush that does: TLS
	// sets one that has passed behind its goodbye, which is yet to be flushed.
	if by := d.sendBy.Load(); d.blocks && by != 0 && time.Now().UnixNano() >= by {
		return os.ErrDeadlineExceeded
	}
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
	attached := d.attach()
	if attached {
		d.poller.Again(d.fd)
	}
	d.done()
	switch {
	case d.uses.Load() >= closing: // which may be why it was not attached
		return net.ErrClosed
	case !attached:
		return errNoPoller
	}
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

// What is net.Conn's, and TCPConn's, is so here.

func (d *descriptor) LocalAddr() net.Addr  { return d.local }
func (d *descriptor) RemoteAddr() net.Addr { return d.remote }

func (d *descriptor) SyscallConn() (syscall.RawConn, error) { return d, nil }

func (d *descriptor) CloseWrite() error {
	return d.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_WR) })
}

func (d *descriptor) SetLinger(sec int) (err error) {
	l := syscall.Linger{Linger: int32(sec)}
	if sec >= 0 {
		l.Onoff = 1
	}
	if e := d.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &l))
	}); e != nil {
		return e
	}
	return err
}

func (d *descriptor) SetDeadline(t time.Time) error {
	return errors.Join(d.SetReadDeadline(t), d.SetWriteDeadline(t))
}

func (d *descriptor) SetWriteDeadline(t time.Time) error {
	d.sendBy.Store(nanos(t))
	d.roomy()
	return nil
}

// SetReadDeadline sets the read deadline. That it passes is news.
func (d *descriptor) SetReadDeadline(t time.Time) error {
	by := nanos(t)
	if d.readBy.Swap(by) != by || by != 0 {
		d.setTimer()
	}
	return nil
}

// setTimer has the timer go off at the read deadline, as that is now: when several
// set one at a time, the one that holds in the end must be told.
func (d *descriptor) setTimer() {
	d.mu.Lock()
	defer d.mu.Unlock()
	by := d.readBy.Load()
	switch {
	case by == 0 || d.uses.Load() >= closing:
		if d.timer != nil {
			d.timer.Stop()
		}
	case d.timer == nil:
		d.timer = time.AfterFunc(time.Until(time.Unix(0, by)), func() { d.tell(nil) })
	default:
		d.timer.Reset(time.Until(time.Unix(0, by)))
	}
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
