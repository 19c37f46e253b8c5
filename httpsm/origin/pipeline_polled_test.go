package origin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/netio"
	"github.com/h2gw/h2gw/internal/testkit"
)

// sharedLine is a line with one shared connection, and the origin's end of it. It
// does not tick: how slow the origin is here says nothing.
func sharedLine(t testing.TB, change ...func(*Config)) (*line, *net.TCPConn) {
	t.Helper()
	// Of two connections one is shared.
	l := newLine(t, append(change, func(c *Config) { c.Pipeline, c.MaxConns = 8, 2 })...)
	l.Endpoint.shared.ticking.Store(true)
	l.KeptAlive()
	l.Share(0)
	l.until("a connection is shared", func() bool { return l.Stats().Pipelines == 1 })
	return l, <-l.accepted
}

// sharedBy takes n exchanges.
func (l *line) sharedBy(n int) (all []*asking) {
	l.t.Helper()
	for i := range n {
		all = append(all, &asking{x: shared(l.t, l.Endpoint), path: pathOf(i), ended: make(chan struct{})})
	}
	return all
}

func (a *asking) request() []byte { return []byte("GET " + a.path + " HTTP/1.1\r\nHost: a\r\n\r\n") }

func (a *asking) writeLater(t testing.TB, later Later) {
	t.Helper()
	if n, err := a.x.TryWriteLater(a.request(), later); n != len(a.request()) || err != nil {
		t.Errorf("TryWriteLater: %d, %v", n, err)
	}
}

// answer is what the origin answers, at most a line.
func (a *asking) answer() string { return a.path[:min(len(a.path), 80)] }

// answers plays the origin for all requests, which must come in their order.
func (l *line) answers(peer *net.TCPConn, all []*asking) {
	l.t.Helper()
	var want, reply []byte
	for _, a := range all {
		want = append(want, a.request()...)
		reply = append(reply, replies(a.answer())...)
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
		l.t.Fatalf("%d bytes came of %d, %v: %.200q", n, len(want), err, got)
	}
	peer.Write(reply)
}

// What is written in one round goes in one write, at its end, and so does what
// others add meanwhile.
func TestRequestsOfARoundAreWrittenAtItsEnd(t *testing.T) {
	l, peer := sharedLine(t)
	for round := range uint64(3) {
		all := l.sharedBy(6)
		var later netio.Round
		for i, a := range all {
			if i == 3 {
				a.writeLater(t, nil) // by somebody else
			} else {
				a.writeLater(t, &later)
			}
			a.x.Await(a)
		}
		time.Sleep(5 * time.Millisecond) // for who would not wait for the end
		if s := l.Stats(); s.PipelineBatches != round {
			t.Fatalf("%d writes before the end of the round, want %d", s.PipelineBatches, round)
		}
		later.End()
		l.answers(peer, all)
		for _, a := range all {
			a.wantAnswer(t)
		}
		if s := l.Stats(); s.PipelineBatches != round+1 {
			t.Fatalf("%d writes at the end of the round, want %d", s.PipelineBatches, round+1)
		}
	}
}

// Who ends a round is never made to wait by an origin that does not read: what
// its socket does not take is written when it does, all of it and in order.
func TestTheEndOfARoundDoesNotWaitForASocket(t *testing.T) {
	l, peer := sharedLine(t)
	peer.SetReadBuffer(64 << 10)
	all := l.sharedBy(8)
	var later netio.Round
	for i, a := range all {
		a.path += strings.Repeat(string(rune('a'+i)), 1<<20)
		a.writeLater(t, &later)
		a.x.Await(a)
	}
	later.End()
	go l.answers(peer, all)
	for _, a := range all {
		if !a.wantEnd(t) {
			return
		}
		if a.err != nil || a.body != a.answer() {
			t.Errorf("%s was answered %q, %v", a.answer(), a.body, a.err)
		}
	}
}

// A connection that is given up while its socket takes nothing ends all the same.
func TestASharedConnectionEndsWhileItIsWritten(t *testing.T) {
	l, peer := sharedLine(t)
	peer.SetReadBuffer(64 << 10)
	all := l.sharedBy(8)
	var later netio.Round
	for _, a := range all {
		a.path += strings.Repeat("x", 1<<20)
		a.writeLater(t, &later)
		a.x.Await(a)
	}
	later.End()
	all[0].x.NetConn()
	for _, a := range all {
		if a.wantEnd(t) && a.err != ErrBroken {
			t.Errorf("%s was answered %q, %v", a.answer(), a.body, a.err)
		}
	}
	l.ends(peer)
	l.over()
}

// A shared connection that a poller waits for has no goroutine, whatever it has
// been used for.
func TestASharedConnectionHasNoGoroutine(t *testing.T) {
	l, peer := sharedLine(t)
	for range 3 {
		all := l.sharedBy(4)
		for _, a := range all {
			a.write(t)
			a.x.Await(a)
		}
		l.answers(peer, all)
		for _, a := range all {
			a.wantAnswer(t)
		}
		l.until("no goroutine is left", func() bool {
			stacks := make([]byte, 1<<20)
			return !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("origin.(*pipeline)"))
		})
	}
}

// However those wait who follow each other, and wherever they go on, each has the
// next one go on.
func TestEachHasTheNextGoOn(t *testing.T) {
	l, peer := sharedLine(t)
	ways := []func(t *testing.T, a *asking){
		func(t *testing.T, a *asking) { a.x.Await(a) },
		func(t *testing.T, a *asking) { go fillAnswer(t, a) },
		func(t *testing.T, a *asking) { a.x.Await(inResume(func() { go fillAnswer(t, a) })) },
	}
	const n = 3
	for k := range 3 * 3 * 3 {
		for _, cut := range []bool{false, true} {
			all := l.sharedBy(n)
			for i, a := range all {
				a.write(t)
				ways[[n]int{k % 3, k / 3 % 3, k / 9}[i]](t, a)
			}
			serve(t, peer, all, cut)
			for _, a := range all {
				a.wantAnswer(t)
			}
			l.until("all are given back", func() bool { return l.Stats().PipelineInFlight == 0 })
		}
	}
}

// serve answers all; cut: in pieces that end anywhere.
func serve(t *testing.T, peer *net.TCPConn, all []*asking, cut bool) {
	t.Helper()
	var b []byte
	for _, a := range all {
		if _, err := io.ReadFull(peer, make([]byte, len(a.request()))); err != nil {
			t.Fatal(err)
		}
		b = append(b, replies(a.path)...)
	}
	for n := len(b); len(b) > 0; b = b[n:] {
		if cut {
			n = min(17, len(b))
		}
		peer.Write(b[:n])
		runtime.Gosched()
	}
}

// fillAnswer reads a response as who may wait does.
func fillAnswer(t *testing.T, a *asking) {
	for {
		n, body, ok := takeResponse(a.x.Buffered())
		if ok {
			a.x.Discard(n)
			a.body = body
			a.end(nil)
			return
		}
		if err := a.x.Fill(); err != nil {
			a.end(err)
			return
		}
	}
}

// What a poller finds on a shared connection that nobody waits for: bytes that
// nobody asked for, or the end.
func TestWhatComesToASharedConnectionAtRest(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(peer *net.TCPConn)
		want uint64
	}{
		"the end": {func(peer *net.TCPConn) { peer.CloseWrite() }, 0},
		"a reset": {func(peer *net.TCPConn) { peer.SetLinger(0); peer.Close() }, 0},
		"bytes":   {func(peer *net.TCPConn) { io.WriteString(peer, response) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l, peer := sharedLine(t)
			all := l.sharedBy(2)
			all[0].write(t)
			all[0].x.Await(all[0])
			l.answers(peer, all[:1])
			all[0].wantAnswer(t)
			tc.do(peer)
			x := all[1].x
			for err := error(nil); err == nil; time.Sleep(time.Millisecond) {
				err = x.(*turn).standsYet()
			}
			if n, err := x.TryWrite(requestBytes); n != 0 || err != ErrBroken {
				t.Errorf("written: %d, %v", n, err)
			}
			x.Release(false)
			l.over()
			if s := l.Stats(); s.PipelineStray != tc.want {
				t.Errorf("%d stray, want %d", s.PipelineStray, tc.want)
			}
		})
	}
}

// standsYet is what the connection has ended with.
func (t *turn) standsYet() error {
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	return t.p.err
}

// A head that is longer than the buffer may be ends its own request, not those
// behind it, as long as somebody is to deal with it.
func TestALongHeadOnASharedConnectionIsItsOwnFault(t *testing.T) {
	l, peer := sharedLine(t, func(c *Config) { c.MaxBuffer = 32 << 10 })
	all := l.sharedBy(2)
	for _, a := range all {
		a.write(t)
		io.ReadFull(peer, make([]byte, len(a.request())))
	}
	long := make(chan error, 1)
	go func() {
		x := all[0].x
		err := x.Fill()
		for err == nil {
			err = x.Fill()
		}
		x.Release(false)
		long <- err
	}()
	all[1].x.Await(all[1])
	io.WriteString(peer, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 64<<10))
	if err := <-long; err != ErrBufferFull {
		t.Errorf("%v, want %v", err, ErrBufferFull)
	}
	all[1].wantError(t, ErrBroken)
	l.ends(peer)
	l.over()
}

// A request takes room on a connection of its own poller, on another's where that
// has none, and only such as are needed are made.
func TestRequestsPreferConnectionsOfTheirPoller(t *testing.T) {
	l := newLine(t, func(c *Config) { c.Pipeline, c.MaxConns = 2, 4 })
	l.Endpoint.shared.ticking.Store(true) // it does not tick: nothing is slow
	l.KeptAlive()
	pipelines := func(n int) {
		t.Helper()
		l.until(fmt.Sprint(n, " connections are shared"), func() bool { return l.Stats().Pipelines == n && !l.Endpoint.shared.growing.Load() })
	}
	take := func(lane, of int) Shared {
		t.Helper()
		x := l.Share(lane)
		if x == nil {
			t.Fatal("no room on a shared connection")
		}
		if got := x.(*turn).p.x.lane; got != of {
			t.Errorf("lane %d: on a connection of lane %d, want %d", lane, got, of)
		}
		return x
	}
	if l.Share(0) != nil {
		t.Fatal("shared before there is a connection")
	}
	pipelines(1)
	a := take(0, 0)
	pipelines(1)
	b := take(1, 0) // and one more is made for lane 1
	pipelines(2)
	c, d := take(1, 1), take(1, 1)
	b.Release(true)
	b = take(1, 0) // its own is full
	a.Release(true)
	a = take(0, 0)
	if l.Share(0) != nil || l.Share(1) != nil {
		t.Error("more is shared than there is room for")
	}
	for _, x := range []Shared{a, b, c, d} {
		x.Release(true)
	}
	pipelines(2)
}

// Those who add requests and those who end rounds, at the same time: each request
// is written once.
func TestRoundsAndOthersWriteTogether(t *testing.T) {
	o := groupOf(t, testkit.ListenOrigin(t, echo), func(c *Config) { c.Pipeline, c.Dial = 16, nil }).Endpoints()[0]
	o.KeptAlive()
	const workers, each = 8, 400
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var later netio.Round
			for i := 0; i < each; {
				var all []*asking
				for k := range 1 + (i+w)%4 {
					x := o.Share(w)
					if x == nil {
						break
					}
					a := &asking{x: x, path: fmt.Sprintf("/%d/%d/%d", w, i, k), ended: make(chan struct{}), slowly: patience}
					if w%2 == 0 {
						a.writeLater(t, &later)
					} else {
						a.writeLater(t, nil)
					}
					a.x.Await(a)
					all = append(all, a)
				}
				if len(all) == 0 {
					time.Sleep(time.Millisecond) // a connection is being made, or was slow
					continue
				}
				i++
				later.End()
				for _, a := range all {
					if a.wantEnd(t); a.err != nil && !errors.Is(a.err, ErrBehind) || a.err == nil && a.body != a.path {
						t.Errorf("%s was answered %q, %v", a.path, a.body, a.err)
					}
				}
			}
		})
	}
	wg.Wait()
}
