//go:build linux && !386 && !s390x

package netio

import (
	"runtime"
	"syscall"
	"unsafe"

	"github.com/h2gw/h2gw/internal/prefetch"
)

// dispatch is how a poller's goroutine tells of what has happened: in each round
// first whom AddFirst has added, all of them, then some of the others, in the order
// in which something has happened to them.
//
// Of a thousand clients who ask at the same time each thus gets his answer soon
// after he was heard, while his memory and that of his origin connection are in a
// near cache; and what waits at the origin at once is what it is being asked, not
// all that could be asked. In the order of arrival each is heard first, and
// answered after the last one was. That wants an origin that answers meanwhile: see
// offerProcessor.
type dispatch struct {
	events [256]syscall.EpollEvent
	queue  queue    // sockets that are told in a later round
	told   []notice // in this round
	many   bool     // sockets, more than whose memory a near cache holds
	round  Round
}

// perRound is how many are told in a round after those who are first: with some 15
// KiB each, the kernel's included, half of what a near cache holds. With 5, 12 or 20
// a request of 2,000 clients costs the same.
const perRound = 32

// roundsAtOnce is how many rounds follow one another before Go's scheduler is let run
// what else there is.
const roundsAtOnce = 8

// A notice is what a handler is told.
type notice struct {
	handler Handler
	near    *prefetch.List
	what    Readiness
}

// rounds tells everybody of what has happened until nothing has, and returns false
// to be called again when something does.
func (in *instance) rounds(fd uintptr) bool {
	d := &in.dispatch
	for n := 1; ; n++ {
		got := d.wait(fd)
		first := in.choose(got)
		d.tell()
		others := len(d.told) - first
		d.told = d.told[:0]
		if d.queue.len() == 0 && got < len(d.events) {
			return false
		}
		if others == perRound {
			offerProcessor()
		}
		if n%roundsAtOnce == 0 {
			runtime.Gosched()
		}
	}
}

// offerProcessor lets a process or thread run that waits for this processor, if one
// does: an origin on the same machine, for one, which has a round's requests by now
// and would else be heard of at the end of this thread's time slice, some hundred
// requests later.
func offerProcessor() { syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }

// wait takes what has happened, without waiting.
func (d *dispatch) wait(fd uintptr) int {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, fd,
			uintptr(unsafe.Pointer(&d.events)), uintptr(len(d.events)), 0, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case syscall.EINTR:
		default:
			panic("netio: epoll_pwait: " + errno.Error())
		}
	}
}

// choose notes who is told in this round, now that there are got events more, and
// has it fetched what they are going to touch. It returns how many of them are
// first.
func (in *instance) choose(got int) (first int) {
	d := &in.dispatch
	in.p.mu.Lock()
	defer in.p.mu.Unlock()
	d.many = in.count > fewSockets
	for _, ev := range d.events[:got] {
		s, what := &in.sockets[ev.Fd], readiness(ev.Events)
		switch {
		case s.handler == nil: // removed meanwhile
		case s.first:
			d.note(s, what)
		case s.due != 0:
			s.due |= what
		case what != 0:
			s.due = what
			d.queue.push(ev.Fd)
		}
	}
	first = len(d.told)
	for d.queue.len() > 0 && len(d.told)-first < perRound {
		// Who was removed has nothing due, nor has who has his file descriptor now.
		if s := &in.sockets[d.queue.pop()]; s.due != 0 {
			d.note(s, s.due)
			s.due = 0
		}
	}
	return first
}

// note has s told in this round.
func (d *dispatch) note(s *socket, what Readiness) {
	if d.many {
		s.near.FetchList()
	}
	d.told = append(d.told, notice{s.handler, s.near, what})
}

// tell calls the handlers, and ends the round.
func (d *dispatch) tell() {
	d.fetch(0)
	for i := range d.told {
		d.fetch(i + 1)
		n := &d.told[i]
		n.handler.Ready(n.what, &d.round)
		*n = notice{}
	}
	d.round.End()
}

// fewSockets are those whose memory stays in the near caches: some 6 KiB each, with
// what serves them, of 1 MiB or so.
const fewSockets = 100

// fetch has the processor fetch what the handler of notice i is going to touch, while
// the one before is called: nothing that 500 others have been served since is in a
// near cache any more.
func (d *dispatch) fetch(i int) {
	if d.many && i < len(d.told) {
		d.told[i].near.Fetch()
	}
}

func readiness(events uint32) (what Readiness) {
	const failed = syscall.EPOLLERR | syscall.EPOLLHUP
	if events&(syscall.EPOLLIN|syscall.EPOLLRDHUP|failed) != 0 {
		what |= Readable
	}
	if events&(syscall.EPOLLOUT|failed) != 0 {
		what |= Writable
	}
	if events&(syscall.EPOLLRDHUP|failed) != 0 {
		what |= Ended
	}
	return what
}

// A queue is of file descriptors, the one that has waited longest first. The zero
// queue is empty.
type queue struct {
	fds  []int32
	head int // those before have left
}

func (q *queue) len() int { return len(q.fds) - q.head }

func (q *queue) push(fd int32) {
	if len(q.fds) == cap(q.fds) && q.head > len(q.fds)/2 {
		q.fds, q.head = q.fds[:copy(q.fds, q.fds[q.head:])], 0
	}
	q.fds = append(q.fds, fd)
}

// pop takes the first one of a queue that is not empty.
func (q *queue) pop() int32 {
	fd := q.fds[q.head]
	if q.head++; q.head == len(q.fds) {
		q.fds, q.head = q.fds[:0], 0
	}
	return fd
}
