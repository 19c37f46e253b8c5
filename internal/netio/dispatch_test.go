//go:build linux && !386 && !s390x

package netio

import (
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A crowd is sockets of one poller, each with a number, and the order in which they
// are told.
type crowd struct {
	t       *testing.T
	p       Poller
	told    chan int
	members []*member
	mu      sync.Mutex // held while the test says what is to happen
}

// A member is the Handler of one.
type member struct {
	c    *crowd
	n    int
	fd   int // -1: removed
	peer net.Conn
	what Readiness // what he was told last
	then func()    // once, when he is told
}

func (m *member) Ready(what Readiness, _ *Round) {
	m.c.mu.Lock()
	then := m.then
	m.what, m.then = what, nil
	m.c.mu.Unlock()
	m.c.told <- m.n
	if then != nil {
		then()
	}
}

func newCrowd(t *testing.T) *crowd {
	c := &crowd{t: t, told: make(chan int, 10*perRound)}
	c.mu.Lock()
	t.Cleanup(func() {
		for _, m := range c.members {
			m.leave()
		}
	})
	return c
}

// join adds one to whom nothing has happened: one who is told first, or another.
func (c *crowd) join(first bool) *member {
	c.t.Helper()
	m := &member{c: c, n: len(c.members)}
	m.fd, m.peer = socketPair(c.t)
	add := c.p.Add
	if first {
		add = c.p.AddFirst
	}
	if err := add(m.fd, m, nil); err != nil {
		c.t.Fatal(err)
	}
	c.members = append(c.members, m)
	return m
}

func (m *member) leave() {
	if m.fd >= 0 {
		m.c.p.Remove(m.fd, false)
		syscall.Close(m.fd)
		m.fd = -1
	}
}

// happen has something happen to him.
func (m *member) happen() { io.WriteString(m.peer, "x") }

// begin has something happen to gate, and waits until end was told.
func (c *crowd) begin(gate, end *member) {
	c.t.Helper()
	told := make(chan bool)
	end.then = func() { close(told) }
	c.mu.Unlock()
	gate.happen()
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		c.t.Fatalf("%d was not told", end.n)
	}
}

// wants waits until these were told, in this order, and sees that nobody else was.
func (c *crowd) wants(want ...int) {
	c.t.Helper()
	for i, w := range want {
		select {
		case got := <-c.told:
			if got != w {
				c.t.Fatalf("%d was told after %v, not %d", got, want[:i], w)
			}
		case <-time.After(10 * time.Second):
			c.t.Fatalf("nobody was told after %v, not %d", want[:i], w)
		}
	}
	if len(c.told) > 0 {
		c.t.Fatalf("%d was told after %v", <-c.told, want)
	}
}

// Answers come first, whenever they have come, and questions in the order in which
// they were asked, a round of them at a time.
func TestAnswersAreToldBeforeQuestions(t *testing.T) {
	c := newCrowd(t)
	gate, early, late := c.join(false), c.join(true), c.join(true)
	var asking []*member
	for range 2 * perRound {
		asking = append(asking, c.join(false))
	}
	slices.Reverse(asking) // the order is theirs, not that of their file descriptors
	gate.then = func() {
		for _, m := range asking {
			m.happen()
		}
		early.happen()
	}
	asking[3].then = late.happen
	c.begin(gate, asking[len(asking)-1])

	want := []int{gate.n, early.n}
	for i, m := range asking {
		if i == perRound {
			want = append(want, late.n)
		}
		want = append(want, m.n)
	}
	c.wants(want...)
}

// To whom more happens while he waits for his round, he is told once, of all of it.
func TestWhoWaitsIsToldOnce(t *testing.T) {
	c := newCrowd(t)
	gate, twice := c.join(false), c.join(false)
	var before []*member
	for range 2 * perRound {
		before = append(before, c.join(false))
	}
	gate.then = func() {
		for _, m := range before {
			m.happen()
		}
		twice.happen()
	}
	before[0].then = func() { twice.peer.(*net.UnixConn).CloseWrite() }
	c.begin(gate, twice)
	c.mu.Lock()
	what := twice.what
	c.mu.Unlock()
	if what != Readable|Ended {
		t.Errorf("told %03b", what)
	}
	want := []int{gate.n}
	for _, m := range before {
		want = append(want, m.n)
	}
	c.wants(append(want, twice.n)...)
}

// Who is removed while he waits for his round is not told, nor is who has his file
// descriptor then, to whom nothing has happened.
func TestWhoIsRemovedInTheQueueIsNotTold(t *testing.T) {
	c := newCrowd(t)
	gate, gone := c.join(false), c.join(false)
	var before []*member
	for range 2 * perRound {
		before = append(before, c.join(false))
	}
	last, heir := c.join(false), &member{c: c, n: -1, fd: -1}
	gate.then = func() {
		for _, m := range before {
			m.happen()
		}
		gone.happen()
		last.happen()
	}
	before[perRound-1].then = func() { // the queue holds him
		heir.fd, heir.peer = socketPair(t)
		c.members = append(c.members, heir)
		c.p.Remove(gone.fd, false)
		if err := syscall.Dup3(heir.fd, gone.fd, syscall.O_CLOEXEC); err != nil {
			t.Error(err)
		}
		syscall.Close(heir.fd)
		heir.fd, gone.fd = gone.fd, -1
		if err := c.p.Add(heir.fd, heir, nil); err != nil {
			t.Error(err)
		}
	}
	c.begin(gate, last)

	want := []int{gate.n}
	for _, m := range before {
		want = append(want, m.n)
	}
	c.wants(append(want, last.n)...)
	heir.happen()
	c.wants(heir.n)
}

// A queue gives back what it was given, in order, and needs no more room than what it
// has held at once.
func TestAQueueIsInOrder(t *testing.T) {
	var q queue
	in, out := int32(0), int32(0)
	for i := range 1000 {
		for range 1 + i%7 {
			q.push(in)
			in++
		}
		for q.len() > i%20 {
			if got := q.pop(); got != out {
				t.Fatalf("%d, not %d", got, out)
			}
			out++
		}
		if q.len() != int(in-out) {
			t.Fatalf("%d are in it, not %d", q.len(), in-out)
		}
	}
	if cap(q.fds) > 64 {
		t.Errorf("room for %d", cap(q.fds))
	}
}
