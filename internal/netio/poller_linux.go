//go:build linux && !386 && !s390x

package netio

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/h2gw/h2gw/internal/prefetch"
)

// CanPoll says whether there are Pollers on this system.
const CanPoll = true

// A Poller waits for many sockets in one goroutine, and calls each one's Handler
// there. In the runtime's own poller everybody who waits is a goroutine, which
// has to be made ready, found, and switched to, with a stack that other
// processors' caches may hold; here those to whom something happened at the same
// time follow each other as calls.
//
// It is an epoll instance, which is itself polled by the runtime: so the
// goroutine holds no thread while it waits. Both goroutine and instance exist
// only while there are sockets, and a moment longer.
//
// The zero Poller is ready. It is safe for concurrent use.
type Poller struct {
	mu       sync.Mutex
	instance *instance // nil: there are no sockets
}

// pollers are those of the process, as many as can run at once: clients and
// origins share them, so that a round has more to do at once. Their goroutines
// exist as long as an instance does.
var (
	pollers = make([]Poller, runtime.GOMAXPROCS(0))
	polls   atomic.Uint32 // calls of AnyLane
)

// PollerOf returns one of the process's Pollers: always the same for a lane, which
// must not be negative.
func PollerOf(lane int) *Poller { return &pollers[lane%len(pollers)] }

// AnyLane returns the number of one of the process's Pollers, each in turn.
func AnyLane() (lane int) { return int(polls.Add(1) % uint32(len(pollers))) }

// A Handler is told of one socket.
type Handler interface {
	// Ready is called when something has happened since the last call, or since
	// Add: each time that bytes or the end arrive, and after Again when the socket
	// takes more. It may be called for nothing, and, if that had begun
	// before, once during Remove and after it. It must not block or panic. later
	// is for the time of the call.
	Ready(what Readiness, later *Round)
}

// Readiness is what may be done with a socket.
type Readiness uint8

// Kinds of readiness.
const (
	Readable Readiness = 1 << iota // there may be something to be read
	Writable                       // it may take something
	Ended                          // nothing comes behind what there is to be read
)

// An instance is a Poller's epoll instance and its goroutine.
type instance struct {
	p    *Poller
	file *os.File
	rc   syscall.RawConn
	fd   int

	// Guarded by the Poller's lock.
	sockets []socket  // by file descriptor
	count   int       // of those that have a handler
	unused  time.Time // when count became 0
	alarmed bool      // file's deadline is set

	dispatch dispatch // of the goroutine
}

// A socket is who is told of one, and what he is going to touch then.
type socket struct {
	handler Handler        // nil: nobody
	near    *prefetch.List // not nil where there is a handler
	first   bool           // he is told before those who are not
	due     Readiness      // what he is to be told, while the socket is in the queue
}

// pollFor is what Add asks for; that a new socket takes something is no news.
const (
	pollFor   = syscall.EPOLLIN | syscall.EPOLLRDHUP | epollET
	pollAgain = pollFor | syscall.EPOLLOUT
)

// epollET is EPOLLET, which is negative in package syscall.
const epollET = 1 << 31

// Add has h called for the socket fd, which must not block and be polled by
// nobody else. The caller calls Remove before it closes fd. near names what h touches
// when it is called, and may change at any time; nil: nothing is known.
func (p *Poller) Add(fd int, h Handler, near *prefetch.List) error {
	return p.add(fd, socket{handler: h, near: near})
}

// AddFirst is Add for a socket whose news ends what other sockets' news has begun,
// as an origin's answer does. h is called before theirs, as long as they have to
// wait for each other.
func (p *Poller) AddFirst(fd int, h Handler, near *prefetch.List) error {
	return p.add(fd, socket{handler: h, near: near, first: true})
}

func (p *Poller) add(fd int, s socket) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.instance == nil {
		in, err := newInstance(p)
		if err != nil {
			return err
		}
		p.instance = in
		go in.run()
	}
	if s.near == nil {
		s.near = &nowhere
	}
	return p.instance.add(fd, s)
}

// Remove undoes Add. Where the caller does not close fd next, forget must be
// true.
func (p *Poller) Remove(fd int, forget bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in := p.instance
	if forget {
		syscall.EpollCtl(in.fd, syscall.EPOLL_CTL_DEL, fd, nil)
	}
	in.sockets[fd] = socket{}
	in.lose()
}

// nowhere is what nothing is known to be near to.
var nowhere prefetch.List

// Again has the Handler of fd told once more of what holds already, and from now
// on also when the socket has become writable: what it has come to take before is
// told, too.
func (p *Poller) Again(fd int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ev := syscall.EpollEvent{Events: pollAgain, Fd: int32(fd)}
	syscall.EpollCtl(p.instance.fd, syscall.EPOLL_CTL_MOD, fd, &ev)
}

func newInstance(p *Poller) (*instance, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // else package os does not poll it
		syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	in := &instance{p: p, fd: fd, file: os.NewFile(uintptr(fd), "epoll")}
	if in.rc, err = in.file.SyscallConn(); err == nil {
		err = in.file.SetReadDeadline(noDeadline) // fails if it is not polled
	}
	if err != nil {
		in.file.Close()
		return nil, err
	}
	return in, nil
}

// add is Add with the lock held.
func (in *instance) add(fd int, s socket) error {
	for fd >= len(in.sockets) {
		in.sockets = append(in.sockets, socket{})
	}
	in.sockets[fd] = s // before the first event
	in.count++
	ev := syscall.EpollEvent{Events: pollFor, Fd: int32(fd)}
	err := syscall.EpollCtl(in.fd, syscall.EPOLL_CTL_ADD, fd, &ev)
	if err == nil {
		return nil
	}
	in.sockets[fd] = socket{}
	in.lose()
	return os.NewSyscallError("epoll_ctl", err)
}

// outlast is how long an instance is kept without sockets: to make one takes as
// long as a request, and where connections come one by one each would have its
// own.
const outlast = 25 * time.Millisecond

// lose counts a socket out. With the lock held.
func (in *instance) lose() {
	if in.count--; in.count > 0 {
		return
	}
	in.unused = time.Now()
	if !in.alarmed {
		in.alarmed = true
		in.file.SetReadDeadline(in.unused.Add(outlast))
	}
}

// run is the goroutine. It ends when there were no sockets for a while.
func (in *instance) run() {
	for {
		err := in.rc.Read(in.rounds)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			panic("netio: waiting for an epoll instance: " + err.Error())
		}
		if in.over() {
			in.file.Close()
			return
		}
	}
}

// over decides, when the deadline has passed, whether the instance has come to
// its end; if not, it is to be asked again.
func (in *instance) over() bool {
	in.p.mu.Lock()
	defer in.p.mu.Unlock()
	if in.alarmed = in.count == 0; !in.alarmed {
		in.file.SetReadDeadline(noDeadline)
		return false
	}
	if time.Since(in.unused) < outlast {
		in.file.SetReadDeadline(in.unused.Add(outlast))
		return false
	}
	in.p.instance = nil
	return true
}
