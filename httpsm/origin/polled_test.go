package origin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/netio"
)

// A line is an endpoint on loopback whose other side the test plays itself.
type line struct {
	*Endpoint
	t        testing.TB
	accepted chan *net.TCPConn
}

func newLine(t testing.TB, change ...func(*Config)) *line {
	t.Helper()
	if !netio.CanPoll {
		t.Skip("there are no pollers on this system")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{t: t, accepted: make(chan *net.TCPConn, 64)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			l.accepted <- c.(*net.TCPConn)
		}
	})
	cfg := Config{Endpoints: []EndpointConfig{{Addr: ln.Addr().String()}}}
	for _, f := range change {
		f(&cfg)
	}
	g, err := NewGroup(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(); ln.Close(); wg.Wait() })
	l.Endpoint = g.Endpoints()[0]
	return l
}

// fresh returns an exchange on a new connection, and the origin's end of it.
func (l *line) fresh() (Awaitable, *net.TCPConn) {
	l.t.Helper()
	x := get(l.t, l.Endpoint, true)
	return x.(Awaitable), <-l.accepted
}

// kept returns an exchange on a connection that has served two before.
func (l *line) kept() (Awaitable, *net.TCPConn) {
	l.t.Helper()
	x, peer := l.fresh()
	for range 2 {
		l.serve(x, peer)
		x.Release(true)
		if x = l.TryGet(false, 0); x == nil {
			l.t.Fatal("the connection was not kept")
		}
	}
	return x, peer
}

// serve does one exchange.
func (l *line) serve(x Awaitable, peer *net.TCPConn) {
	l.t.Helper()
	if n, err := x.TryWrite(requestBytes); n != len(request) || err != nil {
		l.t.Fatal(n, err)
	}
	if !readRequest(peer) {
		l.t.Fatal("no request came")
	}
	n := newNews()
	if !x.Await(n) {
		l.t.Fatal("cannot be awaited")
	}
	io.WriteString(peer, response)
	n.wait(l.t)
	if string(x.Buffered()) != response {
		l.t.Fatalf("received %q", x.Buffered())
	}
	x.Discard(len(response))
}

// ends waits until the gateway has closed the connection.
func (l *line) ends(peer *net.TCPConn) {
	l.t.Helper()
	peer.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, peer); errors.Is(err, os.ErrDeadlineExceeded) {
		l.t.Fatal("the connection was not closed")
	}
}

// until waits for what somebody else is about to do.
func (l *line) until(what string, done func() bool) {
	l.t.Helper()
	for start := time.Now(); !done(); time.Sleep(50 * time.Microsecond) {
		if time.Since(start) > patience {
			l.t.Fatalf("waited in vain until %s: %+v", what, l.Stats())
		}
	}
}

// over checks that nothing is left.
func (l *line) over() {
	l.t.Helper()
	l.until("nothing is left", func() bool {
		s := l.Stats()
		return s.Active == 0 && s.Idle == 0 && s.InFlight == 0
	})
}

// A news is a Resumer.
type news struct {
	came  chan struct{}
	times atomic.Int32
}

func newNews() *news { return &news{came: make(chan struct{}, 16)} }

func (n *news) Resume(Later) { n.times.Add(1); n.came <- struct{}{} }

func (n *news) wait(t testing.TB) {
	t.Helper()
	select {
	case <-n.came:
	case <-time.After(patience):
		t.Fatal("not resumed")
	}
}

// inResume runs a function as Resume.
type inResume func()

func (f inResume) Resume(Later) { f() }

var errReset = &net.OpError{Op: "read", Err: syscall.ECONNRESET}

// happenings are what can end a wait, each with what the next Fill says after
// what was received was taken; nil: nothing comes, it would wait.
var happenings = []struct {
	name  string
	do    func(x Awaitable, peer *net.TCPConn)
	bytes string
	next  error
}{
	{"bytes", func(_ Awaitable, p *net.TCPConn) { io.WriteString(p, response) }, response, nil},
	{"the end", func(_ Awaitable, p *net.TCPConn) { p.Close() }, "", io.EOF},
	{"half the end", func(_ Awaitable, p *net.TCPConn) { p.CloseWrite() }, "", io.EOF},
	{"bytes and the end", func(_ Awaitable, p *net.TCPConn) { io.WriteString(p, response); p.CloseWrite() }, response, io.EOF},
	{"a reset", func(_ Awaitable, p *net.TCPConn) { p.SetLinger(0); p.Close() }, "", errReset},
	{"an abort", func(x Awaitable, _ *net.TCPConn) { x.Abort() }, "", ErrAborted},
	{"the deadline", func(x Awaitable, _ *net.TCPConn) { x.SetReadDeadline(time.Now().Add(time.Millisecond)) }, "", os.ErrDeadlineExceeded},
	{"a deadline long past", func(x Awaitable, _ *net.TCPConn) { x.SetReadDeadline(longAgo) }, "", os.ErrDeadlineExceeded},
}

func sameError(got, want error) bool {
	return got == want || errors.Is(got, want) || want == error(errReset) && errors.Is(got, syscall.ECONNRESET)
}

// Whatever happens, before or after somebody waits for it, however he waits, he
// is told once, and then finds out what it was.
func TestWhoWaitsIsToldOnceWhatHappened(t *testing.T) {
	for _, h := range happenings {
		for _, early := range []bool{false, true} {
			for _, how := range []string{"Await", "Fill", "Await, then Fill elsewhere"} {
				t.Run(fmt.Sprintf("%s, early %v, %s", h.name, early, how), func(t *testing.T) {
					l := newLine(t)
					x, peer := l.kept()
					x.TryWrite(requestBytes)
					readRequest(peer)
					if early {
						h.do(x, peer)
						time.Sleep(2 * time.Millisecond) // mostly: then it has been noticed
					}
					n := newNews()
					waits := how != "Fill" && x.Await(n)
					var filled chan error
					if how == "Fill" {
						filled = make(chan error, 1)
						go func() { filled <- x.Fill() }()
					}
					if !early {
						h.do(x, peer)
					}
					var err error
					switch {
					case filled != nil:
						err = <-filled
					case waits:
						n.wait(t)
					}
					l.finds(x, h.bytes, h.next, err)
					x.Release(true)
					if waits && n.times.Load() != 1 {
						t.Errorf("resumed %d times", n.times.Load())
					}
					if h.next != nil && !errors.Is(h.next, os.ErrDeadlineExceeded) {
						l.ends(peer)
						l.over()
					}
				})
			}
		}
	}
}

// finds reads on another goroutine, as a transaction that was handed over, until
// it has all that is to come.
func (l *line) finds(x Awaitable, want string, next, err error) {
	l.t.Helper()
	done := make(chan bool)
	go func() {
		defer close(done)
		for err == nil && len(x.Buffered()) < len(want) {
			err = x.Fill()
		}
		if got := string(x.Buffered()); got != want {
			l.t.Errorf("received %q, want %q (%v)", got, want, err)
		}
		x.Discard(len(x.Buffered()))
		if next == nil {
			if err != nil {
				l.t.Errorf("%v", err)
			}
			return
		}
		for range 2 { // it stays so, but the kernel tells of a reset once
			if err == nil {
				err = x.Fill()
			}
			if !sameError(err, next) {
				l.t.Errorf("Fill says %v, want %v", err, next)
			}
			if err = nil; next == error(errReset) {
				break
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		l.t.Fatal("Fill hangs")
	}
}

// After a deadline reading goes on.
func TestReadingGoesOnAfterADeadline(t *testing.T) {
	l := newLine(t)
	x, peer := l.kept()
	for range 3 {
		x.SetReadDeadline(time.Now().Add(time.Millisecond))
		n := newNews()
		if x.Await(n) {
			n.wait(t)
		}
		if err := x.Fill(); err != os.ErrDeadlineExceeded {
			t.Fatal(err)
		}
		x.SetReadDeadline(time.Now().Add(time.Minute))
		l.serve(x, peer)
	}
	x.Release(true)
	if s := l.Stats(); s.Idle != 1 {
		t.Errorf("%+v", s)
	}
}

// A deadline that is moved while somebody waits counts from then on.
func TestADeadlineMovesWhileItIsWaitedFor(t *testing.T) {
	l := newLine(t)
	x, _ := l.kept()
	x.SetReadDeadline(time.Now().Add(time.Hour))
	n := newNews()
	if !x.Await(n) {
		t.Fatal("cannot be awaited")
	}
	for i := range 200 { // each moves it later, just before or after it has passed
		x.SetReadDeadline(time.Now().Add(time.Duration(i%4) * 50 * time.Microsecond))
		x.SetReadDeadline(time.Now().Add(time.Hour))
	}
	x.SetReadDeadline(time.Now().Add(time.Millisecond))
	n.wait(t)
	// One of the deadlines in between may have ended the wait: it had passed.
	x.SetReadDeadline(time.Now().Add(time.Millisecond))
	if err := x.Fill(); err != os.ErrDeadlineExceeded {
		t.Error(err)
	}
	x.Release(true)
}

// A deadline left on a connection that is idle when it passes does nothing, and
// nothing remains of it in the next exchange.
func TestADeadlineThatPassesWhileIdleDoesNothing(t *testing.T) {
	l := newLine(t)
	for range 30 {
		x, peer := l.kept()
		x.SetReadDeadline(time.Now().Add(100 * time.Microsecond))
		x.Release(true)
		time.Sleep(200 * time.Microsecond)
		x = l.TryGet(true, 0)
		if x == nil {
			t.Fatalf("not kept: %+v", l.Stats())
		}
		l.serve(x, peer)
		x.Release(false)
	}
}

// What comes on an idle connection ends it at once, before anybody wants it.
func TestAnIdleConnectionEndsWhenSomethingComes(t *testing.T) {
	for _, tc := range []struct {
		name               string
		do                 func(p *net.TCPConn)
		closed, unexpected uint64
	}{
		{"the end", func(p *net.TCPConn) { p.CloseWrite() }, 1, 0},
		{"a reset", func(p *net.TCPConn) { p.SetLinger(0); p.Close() }, 1, 0},
		{"a byte", func(p *net.TCPConn) { p.Write([]byte("x")) }, 0, 1},
		{"bytes and the end", func(p *net.TCPConn) { io.WriteString(p, response); p.CloseWrite() }, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLine(t, func(c *Config) { c.MaxConns = 1 })
			x, peer := l.kept()
			x.Release(true)
			tc.do(peer)
			l.until("it is noticed", func() bool { return l.Stats().Active+l.Stats().Idle == 0 })
			s := l.Stats()
			if s.IdleClosed != tc.closed || s.IdleUnexpected != tc.unexpected {
				t.Errorf("%+v", s)
			}
			if l.TryGet(false, 0) != nil {
				t.Error("it can still be had")
			}
			l.ends(peer)
			x, _ = l.fresh() // its place is free
			x.Release(false)
			l.over()
		})
	}
}

// News of what was read long ago, which a poller may be late with, take no kept
// connection away, not even for the moment of looking at it.
func TestLateNewsTakeNoIdleConnectionAway(t *testing.T) {
	l := newLine(t)
	x, peer := l.kept()
	c := x.(*conn)
	x.Release(true)
	stop := make(chan struct{})
	var late sync.WaitGroup
	late.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.Ready(netio.Readable, nil)
			}
		}
	})
	for i := range 20_000 {
		x := l.TryGet(i%2 == 0, 0)
		if x == nil {
			t.Errorf("not there at round %d", i)
			break
		}
		x.Release(true)
	}
	close(stop)
	late.Wait()
	l.group.Close()
	l.ends(peer)
	l.over()
}

// What comes right behind a response, whenever that is, is never taken for the
// response to another request as long as it comes before that is written.
func TestWhatComesBehindAResponseIsNotTheNextOne(t *testing.T) {
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	for name, send := range map[string]func(p *net.TCPConn){
		"in its segment": func(p *net.TCPConn) { io.WriteString(p, response+poison) },
		"right behind":   func(p *net.TCPConn) { io.WriteString(p, response); io.WriteString(p, poison) },
		"a little later": func(p *net.TCPConn) {
			io.WriteString(p, response)
			time.Sleep(50 * time.Microsecond)
			io.WriteString(p, poison)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLine(t)
			for range 200 {
				x, peer := l.kept()
				x.TryWrite(requestBytes)
				readRequest(peer)
				released := make(chan struct{})
				waiter := inResume(func() {
					defer close(released)
					if n := len(x.Buffered()); n > len(response) {
						x.Discard(len(response)) // the rest is nobody's
					} else {
						x.Discard(n)
					}
					x.Release(true)
				})
				if !x.Await(waiter) {
					t.Fatal("cannot be awaited")
				}
				send(peer)
				<-released
				if y := l.TryGet(true, 0); y != nil {
					t.Fatal("a poisoned connection was reused")
				}
				l.ends(peer)
			}
			l.over()
			if s := l.Stats(); s.IdleUnexpected > 200 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// An end together with the first response of a connection is found at once.
func TestAnEndWithTheFirstResponseIsFound(t *testing.T) {
	l := newLine(t)
	for i := range 50 {
		x, peer := l.fresh()
		x.TryWrite(requestBytes)
		readRequest(peer)
		io.WriteString(peer, response)
		peer.CloseWrite()
		time.Sleep(time.Millisecond) // mostly: then both are one edge
		for len(x.Buffered()) < len(response) {
			if err := x.Fill(); err != nil {
				t.Fatal(err)
			}
		}
		x.Discard(len(response))
		x.Release(true)
		l.over()
		if s := l.Stats(); s.IdleClosed != uint64(i+1) {
			t.Fatalf("%+v", s)
		}
	}
}

// What the poller has seen of a connection that was just taken keeps the
// request from being sent.
func TestNothingIsWrittenAfterAnEnd(t *testing.T) {
	for name, write := range map[string]func(x Awaitable) (int, error){
		"TryWrite": func(x Awaitable) (int, error) { return x.TryWrite(requestBytes) },
		"Write":    func(x Awaitable) (int, error) { return x.Write(requestBytes) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLine(t)
			x, peer := l.kept()
			peer.CloseWrite()
			l.until("it is noticed", func() bool { return x.(*conn).state.Load()&ready != 0 })
			if n, err := write(x); n != 0 || err != errSpoiled {
				t.Errorf("%d, %v", n, err)
			}
			x.Release(true)
			got, _ := io.ReadAll(peer)
			if len(got) != 0 {
				t.Errorf("sent %q", got)
			}
			l.over()
			if s := l.Stats(); s.IdleClosed != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// An abort may come at any time and from anywhere.
func TestAnAbortAtAnyTimeClosesTheConnection(t *testing.T) {
	for name, abort := range map[string]func(l *line, x Awaitable, peer *net.TCPConn){
		"before the request":  func(_ *line, x Awaitable, _ *net.TCPConn) { x.Abort() },
		"twice":               func(_ *line, x Awaitable, _ *net.TCPConn) { x.Abort(); x.Abort() },
		"of a new connection": func(l *line, x Awaitable, _ *net.TCPConn) { x.Abort() },
		"after the request": func(_ *line, x Awaitable, peer *net.TCPConn) {
			x.TryWrite(requestBytes)
			readRequest(peer)
			x.Abort()
		},
		"while it is awaited": func(l *line, x Awaitable, _ *net.TCPConn) {
			n := newNews()
			x.Await(n)
			x.Abort()
			n.wait(l.t)
		},
		"in Resume": func(l *line, x Awaitable, peer *net.TCPConn) {
			done := make(chan bool)
			x.Await(inResume(func() { x.Abort(); x.Discard(len(x.Buffered())); close(done) }))
			io.WriteString(peer, response)
			<-done
		},
		"in Fill": func(_ *line, x Awaitable, _ *net.TCPConn) {
			go x.Abort()
			if err := x.Fill(); err != ErrAborted {
				panic(err)
			}
		},
		"in Write": func(_ *line, x Awaitable, _ *net.TCPConn) {
			go func() { time.Sleep(time.Millisecond); x.Abort() }()
			if _, err := x.Write(make([]byte, 64<<20)); err != ErrAborted {
				panic(err)
			}
		},
		"with bytes that nobody reads": func(_ *line, x Awaitable, peer *net.TCPConn) {
			io.WriteString(peer, response)
			time.Sleep(time.Millisecond)
			x.Abort()
		},
		"of a tunnel": func(_ *line, x Awaitable, peer *net.TCPConn) {
			nc := x.NetConn()
			go x.Abort()
			if _, err := nc.Read(make([]byte, 1)); err == nil {
				panic("read something")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLine(t)
			for i := range 20 {
				x, peer := l.kept()
				abort(l, x, peer)
				if i%2 == 0 { // the origin sees it before the release
					l.ends(peer)
				}
				if err := x.Fill(); err != ErrAborted && name != "of a tunnel" {
					t.Errorf("Fill: %v", err)
				}
				if _, err := x.TryWrite(requestBytes); err != ErrAborted && name != "of a tunnel" {
					t.Errorf("TryWrite: %v", err)
				}
				if x.Await(newNews()) {
					t.Error("can be awaited")
				}
				x.Release(true)
				l.ends(peer)
			}
			l.over()
		})
	}
}

// A connection may serve one exchange after the other from within Resume, and be
// released and taken by anybody else in between.
func TestExchangesFollowEachOtherInsideResume(t *testing.T) {
	l := newLine(t)
	x, peer := l.kept()
	go func() {
		for readRequest(peer) {
			io.WriteString(peer, response)
		}
	}()
	const rounds = 2000
	done, n := make(chan bool), 0
	var step inResume
	step = func() {
		if n++; n > 1 {
			if !bytes.Equal(x.Buffered(), []byte(response)) {
				t.Errorf("round %d: %q", n, x.Buffered())
			}
			x.Discard(len(x.Buffered()))
			x.Release(true)
			if n == rounds {
				close(done)
				return
			}
			if x = l.TryGet(false, 0); x == nil {
				t.Errorf("round %d: not kept", n)
				close(done)
				return
			}
		}
		if _, err := x.TryWrite(requestBytes); err != nil {
			t.Errorf("round %d: %v", n, err)
		}
		if !x.Await(step) {
			t.Errorf("round %d: cannot be awaited", n)
			close(done)
		}
	}
	step()
	<-done
	if s := l.Stats(); s.Connects["ok"] != 1 {
		t.Errorf("%+v", s)
	}
}

// A body far larger than any buffer, read where it is handed over to, comes
// whole, and so does its end.
func TestALongBodyUntilTheEndComesWhole(t *testing.T) {
	l := newLine(t)
	const size = 8 << 20
	for _, chunk := range []int{100, 16 << 10, 1 << 20} {
		x, peer := l.kept()
		x.TryWrite(requestBytes)
		go func() {
			b := bytes.Repeat([]byte("x"), chunk)
			for n := 0; n < size; n += chunk {
				if _, err := peer.Write(b[:min(chunk, size-n)]); err != nil {
					t.Error(err)
				}
			}
			peer.CloseWrite()
		}()
		n := newNews()
		if x.Await(n) {
			n.wait(t)
		}
		got := 0
		for {
			got += len(x.Buffered())
			x.Discard(len(x.Buffered()))
			if err := x.Fill(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if got != size {
			t.Errorf("%d bytes of %d", got, size)
		}
		x.Release(true)
		l.ends(peer)
	}
	l.over()
}

// What the socket does not take at once is left to Write.
func TestTryWriteNeverWaits(t *testing.T) {
	l := newLine(t)
	x, peer := l.kept()
	big := make([]byte, 16<<20)
	n, err := x.TryWrite(big)
	if err != nil || n == 0 || n == len(big) {
		t.Fatal(n, err)
	}
	if m, err := x.TryWrite(big[n:]); err != nil || m > len(big)-n {
		t.Fatal(m, err)
	} else {
		n += m
	}
	x.SetWriteDeadline(time.Now().Add(time.Millisecond))
	m, err := x.Write(big[n:])
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(m, err)
	}
	n += m
	x.SetWriteDeadline(time.Now().Add(time.Minute))
	var rest sync.WaitGroup
	rest.Go(func() {
		if _, err := x.Write(big[n:]); err != nil {
			t.Error(err)
		}
	})
	if _, err := io.ReadFull(peer, make([]byte, len(big))); err != nil {
		t.Fatal(err)
	}
	rest.Wait()
	x.Release(false)
}

// A Write that waits for room goes on when there is some, however slowly the
// origin reads, and ends when its deadline is moved to where it has passed.
func TestAWriteThatWaitsGoesOnOrEnds(t *testing.T) {
	l := newLine(t)
	x, peer := l.kept()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	x.SetWriteDeadline(time.Now().Add(time.Minute))
	wrote := make(chan error, 1)
	go func() { _, err := x.Write(sent); wrote <- err }()
	got := make([]byte, len(sent))
	for n := 0; n < len(got); n += 256 << 10 {
		if _, err := io.ReadFull(peer, got[n:n+256<<10]); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-wrote; err != nil || !bytes.Equal(got, sent) {
		t.Fatal("not what was sent:", err)
	}
	go func() { _, err := x.Write(make([]byte, 64<<20)); wrote <- err }()
	l.until("the Write waits", func() bool { return x.(*conn).state.Load()&full != 0 })
	x.SetWriteDeadline(longAgo)
	if err := <-wrote; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	x.Release(true)
	l.ends(peer)
	l.over()
}

// A tunnel has the connection for itself, and gets what comes after.
func TestATunnelTakesOverFromThePoller(t *testing.T) {
	for _, holding := range []bool{false, true} {
		l := newLine(t)
		x, peer := l.kept()
		l.serve(x, peer)
		if holding {
			io.WriteString(peer, "early")
			time.Sleep(time.Millisecond)
		}
		x.SetReadDeadline(time.Now().Add(time.Millisecond))
		nc := x.NetConn()
		time.Sleep(2 * time.Millisecond) // which means nothing now
		go io.WriteString(peer, "hello")
		want := map[bool]string{false: "hello", true: "earlyhello"}[holding]
		got := make([]byte, len(want))
		if _, err := io.ReadFull(nc, got); err != nil || string(got) != want {
			t.Errorf("%q, %v", got, err)
		}
		nc.Write([]byte("bye"))
		if _, err := io.ReadFull(peer, got[:3]); err != nil || string(got[:3]) != "bye" {
			t.Errorf("%q, %v", got, err)
		}
		x.Release(true)
		l.ends(peer)
		l.over()
	}
}

// Closing, retiring and the limits of the pool end connections with pollers
// as they do others.
func TestThePoolEndsConnectionsWithPollers(t *testing.T) {
	for name, end := range map[string]func(l *line){
		"Close":   func(l *line) { l.group.Close() },
		"Retire":  func(l *line) { l.group.Retire() },
		"time":    func(*line) {},
		"MaxIdle": func(l *line) { get(l.t, l.Endpoint, true).Release(true) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLine(t, func(c *Config) {
				c.IdleTimeout = time.Hour
				if name == "time" {
					c.IdleTimeout = 40 * time.Millisecond
				}
				if name == "MaxIdle" {
					c.MaxIdle = 1
				}
			})
			x, peer := l.fresh()
			l.serve(x, peer)
			if name == "MaxIdle" {
				end(l)
				<-l.accepted
				x.Release(true)
				l.ends(peer)
				return
			}
			x.Release(true)
			end(l)
			l.ends(peer)
			l.over()
		})
	}
}

// Many do everything at once: each gets the answer to its own request, and at
// the end nothing is left.
func TestNobodyGetsAnothersAnswer(t *testing.T) {
	before := descriptors(t)
	l := newLine(t, func(c *Config) { c.MaxConns = 12 })
	var origins sync.WaitGroup
	stop := make(chan struct{})
	origins.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case p := <-l.accepted:
				origins.Go(func() { echoRequests(p, i) })
			}
		}
	})
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			for j := range 150 {
				askSomehow(t, l, i, j)
			}
		})
	}
	wg.Wait()
	l.group.Close()
	l.over()
	close(stop)
	origins.Wait()
	if s := l.Stats(); s.Reused == 0 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
	l.until("the descriptors are closed", func() bool {
		for { // what was given up before it was accepted, and that late
			select {
			case p := <-l.accepted:
				p.Close()
				continue
			default:
			}
			return descriptors(t) <= before+2 // the listener, and its poller
		}
	})
}

// echoRequests answers each request of 16 bytes with the same, in one piece or
// two, and closes at some time.
func echoRequests(p *net.TCPConn, seed int) {
	defer p.Close()
	b := make([]byte, 16)
	for i := seed; ; i++ {
		if _, err := io.ReadFull(p, b); err != nil {
			return
		}
		if i%13 == 7 {
			p.Write(b[:8])
			p.Write(b[8:])
		} else {
			p.Write(b)
		}
		if i%41 == 40 {
			return
		}
	}
}

// askSomehow does one exchange in one of several ways.
func askSomehow(t *testing.T, l *line, i, j int) {
	want := fmt.Sprintf("%08d%08d", i, j)
	var x Awaitable
	if j%3 != 0 {
		x = l.TryGet(j%2 == 0, 0)
	}
	if x == nil {
		x = get(t, l.Endpoint, j%31 == 30).(Awaitable)
	}
	x.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := x.Write([]byte(want)); err != nil {
		x.Release(true)
		return
	}
	var aborting sync.WaitGroup
	defer aborting.Wait()
	if j%17 == 16 {
		defer x.Release(true)
		aborting.Add(1) // joined before the release: see Exchange
		defer aborting.Wait()
		go func() { defer aborting.Done(); x.Abort() }()
	}
	done := make(chan error, 1)
	read := func() {
		for len(x.Buffered()) < 16 {
			if err := x.Fill(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}
	n := newNews()
	switch {
	case j%4 == 0 || !x.Await(n):
		go read()
	case j%4 == 1:
		n.wait(t)
		go read()
	default:
		n.wait(t)
		read()
	}
	if err := <-done; err == nil && string(x.Buffered()) != want {
		t.Errorf("%s got %q", want, x.Buffered())
	}
	if j%17 != 16 {
		x.Discard(len(x.Buffered()))
		x.Release(j%23 != 22)
	}
}

// descriptors counts the process's open files.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(all)
}

func TestAnExchangeWithoutAGoroutineAllocatesNothing(t *testing.T) {
	e := echoOrigin(t)
	use(t, e)
	n := newNews()
	if a := testing.AllocsPerRun(1000, func() {
		x := e.TryGet(false, 0)
		x.SetReadDeadline(time.Now().Add(time.Minute))
		x.TryWrite(requestBytes)
		if !x.Await(n) {
			t.Fatal("cannot be awaited")
		}
		<-n.came
		x.Discard(len(x.Buffered()))
		x.Release(true)
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

// One small exchange without blocking calls; the origin's share is included.
func BenchmarkAwait(b *testing.B) {
	e := echoOrigin(b)
	x := get(b, e, false)
	if err := roundTrip(x); err != nil {
		b.Fatal(err)
	}
	x.Release(true)
	n := newNews()
	b.ReportAllocs()
	for b.Loop() {
		x := e.TryGet(false, 0)
		x.SetReadDeadline(time.Now().Add(time.Minute))
		x.TryWrite(requestBytes)
		x.Await(n)
		<-n.came
		x.Discard(len(x.Buffered()))
		x.Release(true)
	}
}

// What the pool costs without system calls.
func BenchmarkTryGetRelease(b *testing.B) {
	e := echoOrigin(b)
	for range 2 {
		x := get(b, e, false)
		if err := roundTrip(x); err != nil {
			b.Fatal(err)
		}
		x.Release(true)
	}
	var held []Awaitable // more than few in flight
	for range fewInFlight {
		held = append(held, get(b, e, true).(Awaitable))
	}
	b.ReportAllocs()
	for b.Loop() {
		e.TryGet(false, 0).Release(true)
	}
	for _, x := range held {
		x.Release(false)
	}
}
