package origin

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

// An asking is one request on a shared connection and what became of it. It
// waits without a goroutine, as transactions do.
type asking struct {
	x      Shared
	path   string
	body   string // of the response
	err    error  // nil: answered
	ended  chan struct{}
	onHead func(a *asking) // called before the response is taken; nil: nothing
	onEnd  flusher         // left for later when it is answered; nil: nothing is
	rest   bool            // nobody wants the response
	slowly time.Duration   // how long a response nobody wants may take in its turn; 0: a second
}

func pathOf(i int) string { return "/" + strconv.Itoa(i) }

// ask writes a request on x, and waits for its answer in the background.
func ask(t testing.TB, x Shared, path string) *asking {
	t.Helper()
	a := &asking{x: x, path: path, ended: make(chan struct{})}
	a.write(t)
	if !x.Await(a) {
		t.Error("a shared exchange cannot be waited for")
	}
	return a
}

func (a *asking) write(t testing.TB) {
	t.Helper()
	line := "GET " + a.path + " HTTP/1.1\r\nHost: a\r\n\r\n"
	if n, err := a.x.TryWrite([]byte(line)); n != len(line) || err != nil {
		t.Errorf("TryWrite: %d, %v", n, err)
	}
}

// shared shares a connection, of which there must be one with room.
func shared(t testing.TB, e *Endpoint) Shared {
	t.Helper()
	x := e.Share(0)
	if x == nil {
		t.Fatal("no room on a shared connection")
	}
	return x
}

func (a *asking) Resume(later Later) {
	if a.onHead != nil && len(a.x.Buffered()) > 0 {
		a.onHead(a)
	}
	for {
		n, body, ok := takeResponse(a.x.Buffered())
		switch {
		case ok:
			a.body = body
			a.x.Discard(n)
			if a.onEnd != nil {
				later.Later(a.onEnd)
			}
			a.end(nil)
			return
		case len(a.x.Buffered()) == 0:
			err := a.x.Fill()
			if a.rest && errors.Is(err, os.ErrDeadlineExceeded) && a.x.Behind() {
				a.discard()
				return
			}
			if err != nil {
				a.end(err)
				return
			}
		default:
			a.x.Await(a)
			return
		}
	}
}

// read waits for the whole response in Fill.
func (a *asking) read() error {
	for {
		if err := a.x.Fill(); err != nil {
			return err
		}
		if n, body, ok := takeResponse(a.x.Buffered()); ok {
			a.body = body
			a.x.Discard(n)
			return nil
		}
	}
}

func (a *asking) end(err error) {
	a.err = err
	if errors.Is(err, ErrBehind) || errors.Is(err, ErrAborted) {
		(&asking{x: a.x, rest: true, slowly: a.slowly, ended: make(chan struct{})}).discard()
	} else {
		a.x.Release(err == nil)
	}
	close(a.ended)
}

// discard waits for a response that nobody wants, as long as it may take in its turn.
func (a *asking) discard() {
	a.x.SetReadDeadline(time.Now().Add(cmp.Or(a.slowly, time.Second)))
	a.x.Abandon(a)
}

// takeResponse takes a response with a length from the front of b.
func takeResponse(b []byte) (n int, body string, ok bool) {
	head := bytes.Index(b, []byte("\r\n\r\n")) + 4
	if head < 4 {
		return 0, "", false
	}
	_, rest, _ := strings.Cut(string(b[:head]), "Content-Length: ")
	length, _, _ := strings.Cut(rest, "\r")
	size, err := strconv.Atoi(length)
	if err != nil {
		panic(fmt.Sprintf("not a response: %q", b))
	}
	if len(b) < head+size {
		return 0, "", false
	}
	return head + size, string(b[head : head+size]), true
}

// patience is longer than anything takes that does come.
const patience = time.Minute

// within waits for done, and says so if it does not come: an endless wait would
// not end a bubble in which connections age.
func within(t testing.TB, what string, done <-chan struct{}) bool {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-done:
		return true
	case <-late.C:
		t.Errorf("not within %v: %s", patience, what)
		return false
	}
}

// wantEnd waits until a has ended, well or not.
func (a *asking) wantEnd(t testing.TB) bool {
	t.Helper()
	return within(t, a.path+" is answered, or fails", a.ended)
}

// wantAnswer waits until a has ended, and expects its path as answer.
func (a *asking) wantAnswer(t testing.TB) {
	t.Helper()
	if a.wantEnd(t) && (a.err != nil || a.body != a.path) {
		t.Errorf("%s was answered %q, %v", a.path, a.body, a.err)
	}
}

func (a *asking) wantError(t testing.TB, want error) {
	t.Helper()
	if a.wantEnd(t) && !errors.Is(a.err, want) {
		t.Errorf("%s was answered %q, %v, want %v", a.path, a.body, a.err, want)
	}
}

// wantClosed waits for the end of an origin's connection.
func wantClosed(t testing.TB, c *testkit.OriginConn) {
	t.Helper()
	within(t, "the connection is closed", c.Done())
}

// echo answers every request with its path.
func echo(c *testkit.OriginConn) {
	for {
		r, ok := c.ReadRequest()
		if !ok {
			return
		}
		c.Send(testkit.Reply(r.Target()))
	}
}

// readPaths reads n requests.
func readPaths(c *testkit.OriginConn, n int) []string {
	var paths []string
	for range n {
		r, ok := c.ReadRequest()
		if !ok {
			return paths
		}
		paths = append(paths, r.Target())
	}
	return paths
}

func replies(paths ...string) string {
	var b strings.Builder
	for _, p := range paths {
		b.WriteString(testkit.Reply(p))
	}
	return b.String()
}

// pipelining runs a test in a bubble, on an endpoint that has a shared
// connection, whose script is the second of the origin: the first serves a
// request that goes alone.
func pipelining(t *testing.T, change func(*Config), script testkit.Script, test func(t *testing.T, o *testkit.Origin, e *Endpoint)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := testkit.NewOrigin(t, echo, script)
		g := groupOf(t, o, func(c *Config) {
			c.Pipeline = 8
			if change != nil {
				change(c)
			}
		})
		e := g.Endpoints()[0]
		e.KeptAlive()
		x := get(t, e, false)
		if e.Share(0) != nil {
			t.Fatal("shared before there is a connection")
		}
		synctest.Wait() // one is made
		x.Release(true)
		test(t, o, e)
	})
}

func TestNothingIsSharedWithoutNeed(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		proven bool
		want   bool
	}{
		"off":                        {func(c *Config) {}, true, false},
		"one at a time":              {func(c *Config) { c.Pipeline = 1 }, true, false},
		"on":                         {func(c *Config) { c.Pipeline = 2 }, true, true},
		"not proven":                 {func(c *Config) { c.Pipeline = 2 }, false, false},
		"connections are not kept":   {func(c *Config) { c.Pipeline, c.IdleTimeout = 2, -1 }, true, false},
		"only one connection":        {func(c *Config) { c.Pipeline, c.MaxConns = 2, 1 }, true, false},
		"two connections":            {func(c *Config) { c.Pipeline, c.MaxConns = 2, 2 }, true, true},
		"any number of connections":  {func(c *Config) { c.Pipeline, c.MaxConns = 2, -1 }, true, true},
		"connections are not parked": {func(c *Config) { c.Pipeline, c.MaxIdle = 2, -1 }, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tc.change, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
				if tc.proven {
					e.KeptAlive()
				}
				x := e.Share(0)
				if x != nil {
					t.Fatal("shared before there is a connection")
				}
				synctest.Wait()
				if x = e.Share(0); (x != nil) != tc.want {
					t.Errorf("shared: %v", x != nil)
				}
				if x != nil {
					x.Release(true)
				}
			})
		})
	}
}

// The order is that of writing; how the responses are cut into packets, and how
// long the origin waits in between, plays no part.
func TestResponsesComeInOrderHoweverTheyAreCut(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		const n = 8
		pipelining(t, nil, func(c *testkit.OriginConn) {
			b := replies(readPaths(c, n)...)
			for len(b) > 0 {
				k := min(1+rnd.IntN(60), len(b))
				c.Send(b[:k])
				b = b[k:]
				c.Wait(time.Duration(rnd.IntN(2000)) * time.Microsecond)
			}
			c.ReadToEnd()
		}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
			var all []*asking
			for i := range n {
				all = append(all, ask(t, shared(t, e), pathOf(i)))
			}
			for _, a := range all {
				a.wantAnswer(t)
			}
			if s := e.Stats(); s.PipelineRequests != n || s.PipelineInFlight != 0 || s.Pipelines != 1 || s.InFlight != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

type flusher func()

func (f flusher) Flush() { f() }

// What is left for later when a response is there is done when all are passed on
// that came with it, before anything is waited for.
func TestWhatResponsesLeaveForLaterIsDoneTogether(t *testing.T) {
	const n = 5
	pipelining(t, nil, func(c *testkit.OriginConn) {
		paths := readPaths(c, n+1)
		c.Send(replies(paths[:n]...))
		c.Wait(time.Millisecond)
		c.Send(replies(paths[n]))
		c.ReadToEnd()
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		var all []*asking
		resumed, flushed := 0, []int(nil)
		for i := range n + 1 {
			a := &asking{x: shared(t, e), path: pathOf(i), ended: make(chan struct{})}
			a.onHead = func(*asking) { resumed++ }
			a.onEnd = func() { flushed = append(flushed, resumed) }
			a.write(t)
			a.x.Await(a)
			all = append(all, a)
		}
		for _, a := range all {
			a.wantAnswer(t)
		}
		synctest.Wait()
		if want := []int{n, n, n, n, n, n + 1}; !slices.Equal(flushed, want) {
			t.Errorf("flushed when so many had been resumed: %v, want %v", flushed, want)
		}
	})
}

// What is asked while a write is under way goes with the next, all of it.
func TestRequestsAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testkit.NewOrigin(t, echo)
		gate := make(chan struct{})
		g := groupOf(t, o, func(c *Config) {
			c.Pipeline = 8
			c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := o.Dial(ctx, network, addr)
				return gatedConn{nc, gate}, err
			}
		})
		e := g.Endpoints()[0]
		e.KeptAlive()
		e.Share(0)
		synctest.Wait()
		all := []*asking{ask(t, shared(t, e), "/first")}
		synctest.Wait() // it is being written
		for i := range 7 {
			all = append(all, ask(t, shared(t, e), pathOf(i)))
		}
		close(gate)
		for _, a := range all {
			a.wantAnswer(t)
		}
		if s := e.Stats(); s.PipelineRequests != 8 || s.PipelineBatches != 2 {
			t.Errorf("%d requests took %d writes, want 8 and 2", s.PipelineRequests, s.PipelineBatches)
		}
	})
}

// A gatedConn's writes wait until its gate is open.
type gatedConn struct {
	net.Conn
	gate chan struct{}
}

func (c gatedConn) Write(b []byte) (int, error) {
	<-c.gate
	return c.Conn.Write(b)
}

func TestASharedExchangeAllocatesNothing(t *testing.T) {
	e := echoOrigin(t)
	e.shared = newPipelines(e, 8)
	e.shared.ticking.Store(true) // it does not tick: how slow the origin is here says nothing
	e.KeptAlive()
	e.Share(0)
	eventually(t, func() bool { return e.Stats().Pipelines == 1 })
	t.Cleanup(e.shared.retire)
	if n := testing.AllocsPerRun(1000, func() {
		x := shared(t, e)
		if err := roundTrip(x); err != nil {
			t.Fatal(err)
		}
		x.Release(true)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAConnectionIsSharedByAsManyAsMay(t *testing.T) {
	pipelining(t, func(c *Config) { c.MaxConns = 5 }, testkit.Silent, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		var all []Shared
		for {
			x := e.Share(0)
			if x == nil {
				synctest.Wait() // another connection is made
				if x = e.Share(0); x == nil {
					break
				}
			}
			all = append(all, x)
		}
		if len(all) != 16 { // two connections: half of five
			t.Errorf("%d requests are shared", len(all))
		}
		if s := e.Stats(); s.Pipelines != 2 || s.PipelineInFlight != 16 || s.InFlight != 16 {
			t.Errorf("%+v", s)
		}
		for _, x := range all[:8] { // none was written: the connection is still good
			x.Release(true)
		}
		shared(t, e).Release(false)
		for _, x := range all[8:] {
			x.Release(false)
		}
		if s := e.Stats(); s.Pipelines != 2 || s.PipelineInFlight != 0 || s.Active != 0 || s.Idle != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// cutAt has the origin answer three requests and break off after n bytes. It
// returns false when n is more than all.
func cutAt(t *testing.T, n int, reset bool) (more bool) {
	paths := []string{"/a", "/bb", "/ccc"}
	ends := []int{0, len(replies(paths[:1]...)), len(replies(paths[:2]...)), len(replies(paths...))}
	pipelining(t, nil, func(c *testkit.OriginConn) {
		b := replies(readPaths(c, 3)...)
		c.Send(b[:n])
		if reset {
			c.Wait(time.Second / 2) // what was sent is not lost by it
			c.Reset()
		}
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		var all []*asking
		for _, p := range paths {
			all = append(all, ask(t, shared(t, e), p))
		}
		for i, a := range all {
			switch {
			case n >= ends[i+1]:
				a.wantAnswer(t)
			case n > ends[i] && reset:
				if a.wantEnd(t) && !testkit.IsReset(a.err) {
					t.Errorf("cut at %d: %s ended with %v", n, a.path, a.err)
				}
			case n > ends[i]: // as any other that is cut short
				a.wantError(t, io.EOF)
			default:
				a.wantError(t, ErrBroken)
			}
		}
		wantClosed(t, o.Conn(2))
		synctest.Wait()
		if s := e.Stats(); s.PipelineInFlight != 0 || s.InFlight != 0 || s.Pipelines != 0 || s.Active != 0 {
			t.Errorf("cut at %d: %+v", n, s)
		}
	})
	return n < ends[3]
}

func TestABreakAtEveryByteOfABatch(t *testing.T) {
	for _, reset := range []bool{false, true} {
		for n := 0; cutAt(t, n, reset); n++ {
		}
	}
}

// An exchange that ends without its response being complete ends the connection.
func TestReleaseWithoutAnEndBreaksTheConnection(t *testing.T) {
	pipelining(t, nil, func(c *testkit.OriginConn) {
		paths := readPaths(c, 3)
		c.Send(replies(paths[0]), "HTTP/1.1 garbage")
		c.ReadToEnd()
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		a := ask(t, shared(t, e), "/a")
		x := shared(t, e)
		b := &asking{x: x, path: "/b"}
		b.write(t)
		c := ask(t, shared(t, e), "/c")
		a.wantAnswer(t)
		if err := x.Fill(); err != nil || string(x.Buffered()) != "HTTP/1.1 garbage" {
			t.Errorf("%q, %v", x.Buffered(), err)
		}
		x.Release(false)
		c.wantError(t, ErrBroken)
		wantClosed(t, o.Conn(2))
	})
}

func TestStrayBytesEndTheConnection(t *testing.T) {
	t.Run("with nothing outstanding", func(t *testing.T) {
		pipelining(t, nil, func(c *testkit.OriginConn) {
			c.Send(replies(readPaths(c, 1)...))
			c.Wait(time.Second)
			c.Send("x")
			c.ReadToEnd()
		}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
			ask(t, shared(t, e), "/a").wantAnswer(t)
			wantClosed(t, o.Conn(2))
			synctest.Wait()
			if s := e.Stats(); s.PipelineStray != 1 || s.Pipelines != 0 || s.Active != 0 {
				t.Errorf("%+v", s)
			}
		})
	})
	t.Run("behind a response", func(t *testing.T) {
		pipelining(t, nil, func(c *testkit.OriginConn) {
			c.Send(replies(readPaths(c, 1)...), replies("/for-whoever-comes-next"))
			c.ReadToEnd()
		}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
			ask(t, shared(t, e), "/a").wantAnswer(t)
			if x := e.Share(0); x != nil { // it may not have been read yet
				b := &asking{x: x, path: "/b", ended: make(chan struct{})}
				if _, err := x.TryWrite(b.request()); err == ErrBroken { // and is now
					x.Release(true)
				} else {
					x.Await(b)
					b.wantError(t, ErrStray)
				}
			}
			wantClosed(t, o.Conn(2))
			synctest.Wait()
			if s := e.Stats(); s.PipelineStray != 1 || s.Pipelines != 0 {
				t.Errorf("%+v", s)
			}
		})
	})
	t.Run("before the request was sent", func(t *testing.T) {
		pipelining(t, nil, func(c *testkit.OriginConn) {
			c.Send(replies(readPaths(c, 1)...), replies("/not-asked-for"))
			c.ReadToEnd()
		}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
			var late *asking
			a := &asking{x: shared(t, e), path: "/a", ended: make(chan struct{})}
			x := shared(t, e)
			a.onHead = func(*asking) { late = ask(t, x, "/late") } // both responses are here already
			a.write(t)
			a.x.Await(a)
			if a.wantAnswer(t); late == nil {
				t.Fatal("no head was seen")
			}
			late.wantError(t, ErrStray)
			synctest.Wait()
			if s := e.Stats(); s.PipelineStray != 1 || s.InFlight != 0 {
				t.Errorf("%+v", s)
			}
			if x := e.Share(0); x != nil {
				t.Error("shared again at once")
			}
			time.Sleep(strayPause + time.Second)
			e.Share(0)
			synctest.Wait()
			shared(t, e).Release(true)
		})
	})
}

func TestAConnectionWithASlowResponseTakesNoMore(t *testing.T) {
	pipelining(t, nil, func(c *testkit.OriginConn) {
		c.Wait(10 * tick)
		c.Send(replies(readPaths(c, 2)...))
		echo(c)
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		a, b := ask(t, shared(t, e), "/a"), ask(t, shared(t, e), "/b")
		shared(t, e).Release(true) // not slow yet
		time.Sleep(5 * tick)
		if e.Share(0) != nil {
			t.Error("taken behind a slow one")
		}
		a.wantAnswer(t)
		b.wantAnswer(t)
		time.Sleep(2 * tick)
		ask(t, shared(t, e), "/c").wantAnswer(t)
	})
}

func TestAConnectionWithALargeResponseTakesNoMore(t *testing.T) {
	half := strings.Repeat("x", largeResponse)
	var gate sync.Mutex
	gate.Lock()
	pipelining(t, nil, func(c *testkit.OriginConn) {
		readPaths(c, 1)
		c.Sendf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 2*len(half), half)
		gate.Lock()
		c.Send(half)
		echo(c)
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		x := shared(t, e)
		a := &asking{x: x, path: "/a"}
		a.write(t)
		for got := 0; got < len(half); got += len(x.Buffered()) {
			x.Discard(len(x.Buffered()))
			if err := x.Fill(); err != nil {
				t.Fatal(err)
			}
		}
		x.Discard(len(x.Buffered()))
		if e.Share(0) != nil {
			t.Error("taken behind a large one")
		}
		gate.Unlock()
		for got := 0; got < len(half); got += len(x.Buffered()) {
			x.Discard(len(x.Buffered()))
			if err := x.Fill(); err != nil {
				t.Fatal(err)
			}
		}
		x.Discard(len(x.Buffered()))
		x.Release(true)
		ask(t, shared(t, e), "/b").wantAnswer(t)
	})
}

// Whoever is stuck behind a slow response is told to go elsewhere, and what is
// answered here after all is for nobody.
func TestThoseBehindASlowResponseAreLetGo(t *testing.T) {
	pipelining(t, nil, func(c *testkit.OriginConn) {
		paths := readPaths(c, 3)
		c.Wait(2 * stuckTicks * tick)
		c.Send(replies(paths...))
		echo(c)
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		start := time.Now()
		a, b, c := ask(t, shared(t, e), "/a"), ask(t, shared(t, e), "/b"), ask(t, shared(t, e), "/c")
		b.wantError(t, ErrBehind)
		c.wantError(t, ErrBehind)
		if d := time.Since(start); d < stuckTicks*tick || d > (stuckTicks+2)*tick {
			t.Errorf("let go after %v", d)
		}
		a.wantAnswer(t)
		time.Sleep(2 * tick)
		if s := e.Stats(); s.PipelineDiscarded != 2 || s.PipelineInFlight != 0 || s.Pipelines != 1 {
			t.Errorf("%+v", s)
		}
		ask(t, shared(t, e), "/d").wantAnswer(t)
	})
}

// An origin that takes the first request of a packet and drops the rest would
// otherwise keep those until their timeout.
func TestARequestThatTheOriginLostIsLetGo(t *testing.T) {
	pipelining(t, nil, func(c *testkit.OriginConn) {
		c.Send(replies(readPaths(c, 2)[0]))
		c.ReadToEnd()
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		a, b := ask(t, shared(t, e), "/a"), ask(t, shared(t, e), "/b")
		a.wantAnswer(t)
		b.wantError(t, ErrBehind)
		wantClosed(t, o.Conn(2)) // nothing comes to be discarded
		synctest.Wait()
		if s := e.Stats(); s.InFlight != 0 || s.Pipelines != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWhoIsSlowByHimselfIsNotLetGo(t *testing.T) {
	pipelining(t, nil, func(c *testkit.OriginConn) {
		paths := readPaths(c, 1)
		c.Wait(4 * stuckTicks * tick)
		c.Send(replies(paths...))
		c.ReadToEnd()
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		ask(t, shared(t, e), "/a").wantAnswer(t)
	})
}

func TestAbortAtEveryPlace(t *testing.T) {
	for place := range 4 {
		pipelining(t, nil, func(c *testkit.OriginConn) {
			paths := readPaths(c, 4)
			c.Wait(tick)
			c.Send(replies(paths...))
			echo(c)
		}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
			var all []*asking
			for i := range 4 {
				all = append(all, ask(t, shared(t, e), pathOf(i)))
			}
			all[place].x.Abort()
			all[place].x.Abort()
			all[place].wantError(t, ErrAborted)
			for i, a := range all {
				if i != place {
					a.wantAnswer(t)
				}
			}
			synctest.Wait()
			ask(t, shared(t, e), "/next").wantAnswer(t)
			if s := e.Stats(); s.PipelineDiscarded != 1 || s.PipelineInFlight != 0 || s.Pipelines != 1 {
				t.Errorf("place %d: %+v", place, s)
			}
		})
	}
}

// Who asks and leaves, again and again, must not have an origin work on all of it.
func TestAbandonedWorkIsBounded(t *testing.T) {
	pipelining(t, nil, func(c *testkit.OriginConn) {
		if c.Number() > 2 {
			echo(c)
			return
		}
		paths := readPaths(c, 8)
		c.Wait(500 * time.Millisecond)
		c.Send(replies(paths...))
		echo(c)
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		var all []*asking
		for i := range 8 {
			all = append(all, ask(t, shared(t, e), pathOf(i)))
		}
		e.Share(0)
		synctest.Wait() // there is another connection, with room
		for i, a := range all {
			shared(t, e).Release(true)
			a.x.Abort()
			a.wantError(t, ErrAborted)
			if i == 7 && e.Share(0) != nil {
				t.Error("shared, with a connection's worth of responses for nobody outstanding")
			}
		}
		time.Sleep(time.Second)
		ask(t, shared(t, e), "/next").wantAnswer(t)
		if s := e.Stats(); s.PipelineDiscarded != 8 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAbortBeforeAnythingIsWritten(t *testing.T) {
	pipelining(t, nil, echo, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		x := shared(t, e)
		x.Abort()
		if n, err := x.TryWrite([]byte("GET / HTTP/1.1\r\n\r\n")); n != 0 || err != ErrAborted {
			t.Errorf("%d, %v", n, err)
		}
		x.Release(true)
		ask(t, shared(t, e), "/next").wantAnswer(t)
		if got := o.Conn(2).Received(); strings.Contains(got, "GET / ") {
			t.Errorf("received %q", got)
		}
	})
}

// An abort that comes between writing and waiting, or as the response is read,
// is not lost.
func TestAbortBetweenSteps(t *testing.T) {
	pipelining(t, nil, echo, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		a := &asking{x: shared(t, e), path: "/a", ended: make(chan struct{})}
		a.write(t)
		a.x.Abort()
		a.x.Await(a)
		a.wantError(t, ErrAborted)
		synctest.Wait()

		b := &asking{x: shared(t, e), path: "/b", ended: make(chan struct{})}
		b.write(t)
		b.x.Abort()
		if err := b.x.Fill(); err != ErrAborted {
			t.Error(err)
		}
		b.end(ErrAborted)
		ask(t, shared(t, e), "/c").wantAnswer(t)
	})
}

func TestDeadlinesBlameOnlyWhoIsInTurn(t *testing.T) {
	pipelining(t, nil, func(c *testkit.OriginConn) {
		paths := readPaths(c, 2)
		c.Wait(10 * tick)
		c.Send(replies(paths[0]))
		c.Wait(6 * tick)
		c.Send(replies(paths[1]))
		echo(c)
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		x, y := shared(t, e), shared(t, e)
		for _, z := range []Shared{x, y} {
			(&asking{x: z, path: "/"}).write(t)
			z.SetReadDeadline(time.Now().Add(8 * tick))
		}
		var wg sync.WaitGroup
		for z, behind := range map[Shared]bool{x: false, y: true} {
			wg.Go(func() {
				if err := z.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) || z.Behind() != behind {
					t.Errorf("%v, behind %v, want %v", err, z.Behind(), behind)
				}
			})
		}
		wg.Wait()
		y.SetReadDeadline(time.Now().Add(4 * tick)) // passes while it is first, but not all the time
		x.SetReadDeadline(time.Time{})
		if err := x.Fill(); err != nil {
			t.Error(err)
		}
		x.Discard(len(x.Buffered()))
		x.Release(true)
		if err := y.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) || !y.Behind() {
			t.Errorf("%v, behind %v", err, y.Behind())
		}
		time.Sleep(tick)
		y.SetReadDeadline(time.Now().Add(tick))
		if err := y.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) || y.Behind() {
			t.Errorf("%v, behind %v", err, y.Behind())
		}
		y.SetReadDeadline(time.Now().Add(time.Hour))
		if err := y.Fill(); err != nil { // a deadline is no end
			t.Error(err)
		}
		y.Discard(len(y.Buffered()))
		y.Release(true)
	})
}

func TestADeadlineInThePastEndsFillAtOnce(t *testing.T) {
	pipelining(t, nil, testkit.Silent, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		x := shared(t, e)
		(&asking{x: x, path: "/"}).write(t)
		start := time.Now()
		go func() {
			time.Sleep(time.Millisecond)
			x.SetReadDeadline(longAgo)
		}()
		if err := x.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		x.SetReadDeadline(time.Now().Add(-time.Microsecond))
		if err := x.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		x.Release(false)
	})
}

// A response that ends the connection: those behind it need not wait for its
// end, and it is read to its end all the same.
func TestTheLastResponse(t *testing.T) {
	pipelining(t, nil, func(c *testkit.OriginConn) {
		readPaths(c, 3)
		c.Send("HTTP/1.1 200 OK\r\n\r\n")
		c.Wait(time.Second)
		c.Send("body")
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		x := shared(t, e)
		(&asking{x: x, path: "/"}).write(t)
		b, c := ask(t, shared(t, e), "/b"), ask(t, shared(t, e), "/c")
		unwritten := shared(t, e)
		if err := x.Fill(); err != nil {
			t.Fatal(err)
		}
		x.Discard(len(x.Buffered()))
		start := time.Now()
		x.Last()
		b.wantError(t, ErrLast)
		c.wantError(t, ErrLast)
		if time.Since(start) != 0 {
			t.Errorf("those behind waited for %v", time.Since(start))
		}
		if n, err := unwritten.TryWrite([]byte("GET / HTTP/1.1\r\n\r\n")); n != 0 || err != ErrBroken {
			t.Errorf("%d, %v", n, err)
		}
		unwritten.Release(true)
		if e.Share(0) != nil {
			t.Error("shared again")
		}
		if err := x.Fill(); err != nil || string(x.Buffered()) != "body" {
			t.Errorf("%q, %v", x.Buffered(), err)
		}
		x.Discard(4)
		if err := x.Fill(); err != io.EOF {
			t.Errorf("%v at the end", err)
		}
		x.Release(false)
		wantClosed(t, o.Conn(2))
		synctest.Wait()
		if s := e.Stats(); s.Pipelines != 1 || s.InFlight != 0 || s.Active != 0 { // another one was made
			t.Errorf("%+v", s)
		}
	})
}

// A server that ends connections after a number of requests is believed to do so
// again, until it does not.
func TestTheLifetimeOfConnectionsIsLearnt(t *testing.T) {
	const life = 20
	var ends atomic.Bool // the origin looks at it, too
	ends.Store(true)
	pipelining(t, nil, func(c *testkit.OriginConn) {
		for i := 1; ; i++ {
			r, ok := c.ReadRequest()
			if !ok {
				return
			}
			c.Send(testkit.Reply(r.Target()))
			if ends.Load() && i == life {
				c.ReadToEnd() // as those behind it show
			}
		}
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		const burst = 8 // what a connection takes at a time
		unsent := func(x Shared) *asking {
			number := 0
			return &asking{x: x, path: "/", ended: make(chan struct{}), onHead: func(a *asking) {
				if number = int(a.x.(*turn).number); ends.Load() && number == life {
					a.x.Last()
				}
			}}
		}
		// send is false when the response in front was the last before it was sent.
		send := func(a *asking) bool {
			if _, err := a.x.TryWrite([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
				if err != ErrBroken {
					t.Errorf("TryWrite: %v", err)
				}
				a.x.Release(true)
				return false
			}
			a.x.Await(a)
			return true
		}
		// behind counts those that were taken when they should not have been.
		behind := func(all []*asking) (n int) {
			for _, a := range all {
				if a.wantEnd(t) && errors.Is(a.err, ErrLast) {
					n++
				} else if a.err != nil {
					t.Errorf("%v", a.err)
				}
			}
			synctest.Wait()
			return n
		}

		lost := 0
		for range (life + burst - 1) / burst { // all on the first connection
			var taken, sent []*asking
			for range burst {
				taken = append(taken, unsent(shared(t, e)))
			}
			for _, a := range taken {
				if send(a) {
					sent = append(sent, a)
				} else {
					lost++
				}
			}
			lost += behind(sent)
		}
		if lost != burst-life%burst {
			t.Errorf("%d requests were behind the last one before that was known, of %d", lost, burst-life%burst)
		}
		round := func() (lost int) {
			for range 3 * life / burst {
				var sent []*asking
				for len(sent) < burst {
					x := e.Share(0)
					if x == nil {
						time.Sleep(tick)
						continue
					}
					if a := unsent(x); send(a) {
						sent = append(sent, a)
					} else {
						lost++
					}
				}
				lost += behind(sent)
			}
			return lost
		}
		if n := round(); n != 0 {
			t.Errorf("%d requests were behind the last one although that was known", n)
		}
		ends.Store(false)
		round()
		most := 0
		for _, all := range o.Received()[1:] {
			most = max(most, strings.Count(all, "GET "))
		}
		if most <= life {
			t.Errorf("no connection took more than %d requests although none ends", most)
		}
	})
}

func TestAHeadThatIsTooLargeIsItsOwnFault(t *testing.T) {
	pipelining(t, func(c *Config) { c.MaxBuffer = 1 }, func(c *testkit.OriginConn) {
		readPaths(c, 2)
		c.Send(strings.Repeat("x", 32<<10))
		c.ReadToEnd()
	}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		x := shared(t, e)
		(&asking{x: x, path: "/"}).write(t)
		b := ask(t, shared(t, e), "/b")
		var err error
		for err == nil {
			err = x.Fill()
		}
		if err != ErrBufferFull {
			t.Error(err)
		}
		x.Release(false)
		b.wantError(t, ErrBroken)
	})
}

func TestSharedConnectionsEndWhenIdle(t *testing.T) {
	pipelining(t, func(c *Config) { c.IdleTimeout = 40 * time.Second }, echo, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		for i := range 6 { // never idle for long enough
			time.Sleep(time.Duration(i) * 4 * time.Second)
			ask(t, shared(t, e), "/a").wantAnswer(t)
		}
		start := time.Now()
		wantClosed(t, o.Conn(2))
		if d := time.Since(start); d < 30*time.Second || d > 41*time.Second {
			t.Errorf("closed after %v idle", d)
		}
		synctest.Wait()
		if s := e.Stats(); s.Pipelines != 0 || s.Active != 0 || s.PipelineRequests != 6 {
			t.Errorf("%+v", s)
		}
	})
}

func TestRetireAndCloseLetRequestsEnd(t *testing.T) {
	for name, end := range map[string]func(*Group){"retire": (*Group).Retire, "close": (*Group).Close} {
		t.Run(name, func(t *testing.T) {
			pipelining(t, nil, func(c *testkit.OriginConn) {
				c.Send(replies(readPaths(c, 1)...))
				paths := readPaths(c, 2)
				c.Wait(time.Second / 2)
				c.Send(replies(paths...))
				c.ReadToEnd()
			}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
				ask(t, shared(t, e), "/first").wantAnswer(t)
				a, b := ask(t, shared(t, e), "/a"), ask(t, shared(t, e), "/b")
				end(e.group)
				end(e.group)
				if e.Share(0) != nil {
					t.Error("shared after that")
				}
				a.wantAnswer(t)
				b.wantAnswer(t)
				wantClosed(t, o.Conn(2))
				synctest.Wait()
				if s := e.Stats(); s.Pipelines != 0 || s.Active != 0 || s.InFlight != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
	t.Run("while connecting", func(t *testing.T) {
		inBubble(t, func(c *Config) { c.Pipeline = 4 }, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
			e.KeptAlive()
			e.Share(0)
			e.group.Close()
			synctest.Wait()
			if s := e.Stats(); s.Pipelines != 0 || s.Active != 0 {
				t.Errorf("%+v", s)
			}
		})
	})
}

// An origin that reads nothing: writing waits, requests do not.
func TestAnOriginThatDoesNotRead(t *testing.T) {
	pipelining(t, nil, testkit.Hang, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		big := "/" + strings.Repeat("x", 60<<10)
		var all []*asking
		for range 8 {
			if x := e.Share(0); x != nil {
				all = append(all, ask(t, x, big))
				synctest.Wait()
			}
		}
		if len(all) < 4 || len(all) == 8 {
			t.Errorf("%d requests taken", len(all))
		}
		for _, a := range all[1:] {
			a.wantError(t, ErrBehind)
		}
		all[0].x.Abort()
		all[0].wantError(t, ErrAborted)
		time.Sleep(time.Minute) // the discards give up
		if s := e.Stats(); s.Pipelines != 0 || s.InFlight != 0 || s.Active != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestASharedExchangeTakesOneWriteAndIsNoTunnel(t *testing.T) {
	pipelining(t, nil, echo, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		a := ask(t, shared(t, e), "/a")
		a.wantAnswer(t)
		x := shared(t, e)
		(&asking{x: x, path: "/b"}).write(t)
		if n, err := x.Write([]byte("x")); n != 0 || err == nil {
			t.Errorf("%d, %v", n, err)
		}
		if info := x.Info(); !info.Reused || info.ConnID == 0 || info.Endpoint != e || !info.ConnectEnd.IsZero() {
			t.Errorf("%+v", info)
		}
		if _, err := x.NetConn().Write([]byte("x")); err == nil {
			t.Error("a tunnel")
		}
		x.Release(false)
		wantClosed(t, o.Conn(2))
	})
}

func TestReleasingASharedExchangeTwicePanics(t *testing.T) {
	pipelining(t, nil, echo, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		x := shared(t, e)
		x.Release(true)
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		x.Release(true)
	})
}

func TestNoConnectionIsMadeAgainAndAgain(t *testing.T) {
	for name, script := range map[string]testkit.Script{
		"closed at once":         func(c *testkit.OriginConn) { readPaths(c, 1) },
		"closed without a word":  func(c *testkit.OriginConn) {},
		"closed after responses": func(c *testkit.OriginConn) { c.Send(replies(readPaths(c, 1)...)); c.Send(replies(readPaths(c, 1)...)) },
	} {
		t.Run(name, func(t *testing.T) {
			pipelining(t, nil, script, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
				for range 100 { // ten seconds
					if x := e.Share(0); x != nil {
						ask(t, x, "/").wantEnd(t)
					}
					time.Sleep(100 * time.Millisecond)
				}
				if n := len(o.Conns()); n > 22 {
					t.Errorf("%d connections in 10 s", n)
				}
			})
		})
	}
}

// Over TLS, too, and there only an announced end is the end of a response.
func TestConnectionsAreSharedOverTLS(t *testing.T) {
	for _, announced := range []bool{true, false} {
		serve := func(nc net.Conn) {
			br := bufio.NewReader(nc)
			for {
				line, err := br.ReadString('\n')
				if err != nil {
					return
				}
				for l := line; l != "\r\n"; {
					if l, err = br.ReadString('\n'); err != nil {
						return
					}
				}
				path := strings.Fields(line)[1]
				if path == "/last" {
					io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\nbody")
					if tc, ok := nc.(*tls.Conn); ok && !announced {
						nc = tc.NetConn()
					}
					nc.Close()
					return
				}
				io.WriteString(nc, testkit.Reply(path))
			}
		}
		eachTransport(t, serve, func(t *testing.T, e *Endpoint) {
			e.shared = newPipelines(e, 8)
			e.shared.ticking.Store(true) // it does not tick: how slow the origin is here says nothing
			e.KeptAlive()
			e.Share(0)
			eventually(t, func() bool { return e.Stats().Pipelines == 1 })
			var all []*asking
			for i := range 7 {
				all = append(all, ask(t, shared(t, e), pathOf(i)))
			}
			x := shared(t, e)
			(&asking{x: x, path: "/last"}).write(t)
			for _, a := range all {
				a.wantAnswer(t)
			}
			var got []byte
			err := x.Fill()
			for err == nil {
				got = append(got, x.Buffered()...)
				x.Discard(len(x.Buffered()))
				err = x.Fill()
			}
			want := io.EOF
			if e.TLS() && !announced {
				want = io.ErrUnexpectedEOF
			}
			if err != want || !strings.HasSuffix(string(got), "body") {
				t.Errorf("%q, %v, want %v", got, err, want)
			}
			x.Release(false)
			eventually(t, func() bool { return e.Stats().Pipelines == 0 })
		})
	}
}

// eventually waits for what other goroutines do on real sockets.
func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to that")
		}
	}
}

// Real sockets, several processors: every request gets its own answer, whoever
// waits in which way, and whoever leaves. On a slow machine a connection may take
// no more for a while, and a request be given up behind others.
func TestManyShareConnectionsOverSockets(t *testing.T) {
	o := testkit.ListenOrigin(t, echo)
	g := groupOf(t, o, func(c *Config) { c.Pipeline = 16 })
	e := g.Endpoints()[0]
	e.KeptAlive()
	const workers = 40
	var wg sync.WaitGroup
	var answered, behind, aborted atomic.Int64
	for w := range workers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 7))
			for i := range 300 {
				var x Shared
				eventually(t, func() bool { x = e.Share(0); return x != nil })
				a := &asking{x: x, path: fmt.Sprintf("/%d/%d", w, i), ended: make(chan struct{}), slowly: patience}
				a.write(t)
				switch {
				case rnd.IntN(10) == 0:
					x.Abort()
					x.Await(a)
				case i%2 == 0:
					x.Await(a)
				default:
					a.end(a.read())
				}
				if !a.wantEnd(t) {
					return
				}
				switch {
				case errors.Is(a.err, ErrAborted):
					aborted.Add(1)
				case errors.Is(a.err, ErrBehind):
					behind.Add(1)
				case a.err != nil || a.body != a.path:
					t.Errorf("%s was answered %q, %v", a.path, a.body, a.err)
				default:
					answered.Add(1)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d answered, %d aborted, %d given up behind others", answered.Load(), aborted.Load(), behind.Load())
	if answered.Load() < workers*100 {
		t.Error("too few to show anything")
	}
	eventually(t, func() bool { s := e.Stats(); return s.PipelineInFlight == 0 && s.InFlight == 0 }) // discards may take a moment
}
