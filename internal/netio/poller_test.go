//go:build linux && !386 && !s390x

package netio

import (
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A socketPair is two ends of a connection, one as a file descriptor.
func socketPair(t testing.TB) (fd int, peer net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[1]), "peer")
	peer, err = net.FileConn(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return fds[0], peer
}

// A told is a Handler that writes down what it is told, and then does more.
type told struct {
	what chan Readiness
	then func(*Round)
}

func newTold() *told { return &told{what: make(chan Readiness, 1000)} }

func (h *told) Ready(what Readiness, later *Round) {
	h.what <- what
	if h.then != nil {
		h.then(later)
	}
}

// wants waits until it was told all of want, and of nothing else.
func (h *told) wants(t *testing.T, want Readiness) {
	t.Helper()
	for got := Readiness(0); got != want; {
		select {
		case what := <-h.what:
			if got |= what; got&^want != 0 {
				t.Fatalf("told %03b, want %03b", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("told %03b, want %03b", got, want)
		}
	}
}

func TestAPollerTellsOfEachThingThatHappens(t *testing.T) {
	var p Poller
	fd, peer := socketPair(t)
	h := newTold()
	if err := p.Add(fd, h, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 { // though nothing is read in between
		io.WriteString(peer, "x")
		h.wants(t, Readable)
	}
	p.Again(fd)
	h.wants(t, Readable|Writable)
	b := make([]byte, 1<<16)
	sent := int64(0)
	for n := 1; n > 0; sent += int64(n) { // until it is full
		n, _ = Send(uintptr(fd), b)
	}
	go io.CopyN(io.Discard, peer, sent)
	for what := Readiness(0); what&Writable == 0; {
		what = <-h.what
	}
	peer.(*net.UnixConn).CloseWrite()
	for what := Readiness(0); what&Ended == 0; {
		what = <-h.what
	}
	p.Remove(fd, false)
	syscall.Close(fd)
}

// A socket that was removed, and lives on, is nobody's; what is told about others
// goes on.
func TestAfterRemoveNothingIsTold(t *testing.T) {
	var p Poller
	fd, peer := socketPair(t)
	other, otherPeer := socketPair(t)
	h, o := newTold(), newTold()
	p.Add(fd, h, nil)
	p.Add(other, o, nil)
	p.Remove(fd, true)
	io.WriteString(peer, "x")
	io.WriteString(otherPeer, "x")
	o.wants(t, Readable)
	if len(h.what) != 0 {
		t.Errorf("told %03b", <-h.what)
	}
	if err := p.Add(fd, h, nil); err != nil { // and back: what waits is told
		t.Fatal(err)
	}
	h.wants(t, Readable)
	p.Again(fd)
	h.wants(t, Readable|Writable)
	p.Remove(fd, false)
	p.Remove(other, false)
	syscall.Close(fd)
	syscall.Close(other)
}

// Goroutine and file descriptor go when there are no sockets.
func TestAPollerWithoutSocketsIsNothing(t *testing.T) {
	var p Poller
	before, files := runtime.NumGoroutine(), len(openFiles(t))
	for range 20 {
		fd, peer := socketPair(t)
		h := newTold()
		removed := make(chan bool)
		h.then = func(*Round) { // by the poller itself
			p.Remove(fd, false)
			syscall.Close(fd)
			close(removed)
		}
		if err := p.Add(fd, h, nil); err != nil {
			t.Fatal(err)
		}
		io.WriteString(peer, "x")
		<-removed
		peer.Close()
	}
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		n, now := runtime.NumGoroutine(), openFiles(t)
		if n <= before && len(now) <= files+1 { // package net's own poller
			return
		}
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%d goroutines, were %d; files %v", n, before, now)
		}
	}
}

func openFiles(t *testing.T) (names []string) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc to count file descriptors in:", err)
	}
	for _, e := range all {
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(name, "/proc") {
			names = append(names, name)
		}
	}
	return names
}

func TestWhatIsNoSocketIsRefused(t *testing.T) {
	var p Poller
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	if err := p.Add(int(f.Fd()), newTold(), nil); err == nil {
		t.Error("a file can be polled")
	}
	p.wantGone(t)
}

// wantGone waits until there is nothing left of p.
func (p *Poller) wantGone(t *testing.T) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		in := p.instance
		p.mu.Unlock()
		if in == nil {
			return
		}
		if time.Since(start) > 10*time.Second {
			t.Fatal("there is something left of it")
		}
	}
}

// An instance outlasts its last socket by a moment, and serves who comes then; one
// that is unused goes.
func TestAnInstanceOutlastsItsSockets(t *testing.T) {
	var p Poller
	const rounds = 100
	began, made := time.Now(), make(map[*instance]bool)
	for range rounds {
		fd, peer := socketPair(t)
		h := newTold()
		if err := p.Add(fd, h, nil); err != nil {
			t.Fatal(err)
		}
		p.mu.Lock()
		made[p.instance] = true
		p.mu.Unlock()
		io.WriteString(peer, "x")
		h.wants(t, Readable)
		p.Remove(fd, false)
		syscall.Close(fd)
	}
	if len(made) == rounds && time.Since(began) < (rounds-1)*outlast {
		t.Error("each socket had an instance of its own")
	}
	p.wantGone(t)
}

type flusher func()

func (f flusher) Flush() { f() }

// What is left for later is done once for each time, after all others of the
// round, on the same goroutine, also if it is left by what is done later.
func TestLaterIsAfterTheRound(t *testing.T) {
	var r Round
	var order []string
	r.Later(flusher(func() {
		order = append(order, "first")
		r.Later(flusher(func() { order = append(order, "left by the first") }))
	}))
	r.Later(flusher(func() { order = append(order, "second") }))
	if r.Empty() {
		t.Error("empty")
	}
	r.End()
	r.End()
	if !r.Empty() {
		t.Error("not empty")
	}
	if got := strings.Join(order, ", "); got != "first, second, left by the first" {
		t.Error(got)
	}

	var p Poller
	var told atomic.Int32
	const n = 200 // more than one round holds
	peers, fds := make([]net.Conn, n), make([]int, n)
	flushed := make(chan int32, n)
	h := newTold()
	h.what = make(chan Readiness, 10*n)
	h.then = func(later *Round) {
		told.Add(1)
		later.Later(flusher(func() { flushed <- told.Load() }))
	}
	for i := range n {
		fds[i], peers[i] = socketPair(t)
		io.WriteString(peers[i], "x")
		if err := p.Add(fds[i], h, nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if at := <-flushed; at < int32(i)+1 {
			t.Fatalf("flush %d came when %d were told", i, at)
		}
	}
	for _, fd := range fds {
		p.Remove(fd, false)
		syscall.Close(fd)
	}
}

// Everybody comes and goes at once: nobody's socket is left without being told,
// and nothing is told to who has another's file descriptor now but by chance.
func TestSocketsComeAndGo(t *testing.T) {
	var p Poller
	done := make(chan bool)
	for range 8 {
		go func() {
			defer func() { done <- true }()
			for range 300 {
				fd, peer := socketPair(t)
				h := newTold()
				if err := p.Add(fd, h, nil); err != nil {
					t.Error(err)
					return
				}
				io.WriteString(peer, "x")
				for what := Readiness(0); what&Readable == 0; {
					select {
					case what = <-h.what:
					case <-time.After(10 * time.Second):
						t.Error("nothing was told")
						return
					}
				}
				p.Remove(fd, false)
				syscall.Close(fd)
				peer.Close()
			}
		}()
	}
	for range 8 {
		<-done
	}
}

// What one event costs when 1, 8 and 64 come together, beside a read by a
// goroutine of its own for each.
func BenchmarkPoller(b *testing.B) {
	for _, together := range []int{1, 8, 64} {
		b.Run(map[int]string{1: "1", 8: "8", 64: "64"}[together], func(b *testing.B) {
			var p Poller
			var fds, peers []int
			done := make(chan bool, together)
			for range together {
				two, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
				if err != nil {
					b.Fatal(err)
				}
				fds, peers = append(fds, two[0]), append(peers, two[1])
				p.Add(two[0], &reader{fd: two[0], done: done}, nil)
			}
			x := []byte("x")
			for b.Loop() {
				for _, fd := range peers {
					Send(uintptr(fd), x)
				}
				for range together {
					<-done
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*together), "ns/event")
			for i, fd := range fds {
				p.Remove(fd, false)
				syscall.Close(fd)
				syscall.Close(peers[i])
			}
		})
	}
}

type reader struct {
	fd   int
	b    [16]byte
	done chan bool
}

func (r *reader) Ready(Readiness, *Round) {
	if n, _ := Recv(uintptr(r.fd), r.b[:], 0); n > 0 {
		r.done <- true
	}
}
