package origin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

// inBubble runs a test on an origin that answers everything, in memory and in a
// bubble.
func inBubble(t *testing.T, change func(*Config), test func(t *testing.T, o *testkit.Origin, e *Endpoint)) {
	synctest.Test(t, func(t *testing.T) {
		o := testkit.NewOrigin(t, testkit.Serve(response))
		g := groupOf(t, o, change)
		test(t, o, g.Endpoints()[0])
	})
}

func kind(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Kind(fmt.Sprint(err))
}

func TestConnectionsAreReused(t *testing.T) {
	inBubble(t, func(*Config) {}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		first := use(t, e)
		for range 10 {
			if info := use(t, e); info.ConnID != first.ConnID || !info.Reused || !info.ConnectEnd.IsZero() {
				t.Fatalf("first %+v, then %+v", first, info)
			}
		}
		if first.Reused || first.ConnectStart.IsZero() || first.ConnID == 0 || first.Endpoint != e || first.Remote.String() != testkit.OriginAddr || !first.Local.IsValid() {
			t.Errorf("first use: %+v", first)
		}
		s := e.Stats()
		if s.Requests != 11 || s.Reused != 10 || s.Connects["ok"] != 1 || s.Idle != 1 || s.Active != 0 || s.InFlight != 0 || !s.Healthy {
			t.Errorf("%+v", s)
		}
		if n := len(o.Conns()); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestLastUsedFirst(t *testing.T) {
	inBubble(t, func(*Config) {}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		a, b, c := get(t, e, false), get(t, e, false), get(t, e, false)
		order := []uint64{b.Info().ConnID, c.Info().ConnID, a.Info().ConnID}
		a.Release(true)
		c.Release(true)
		b.Release(true)
		var got []uint64
		var held []Exchange
		for range 3 {
			x := get(t, e, false)
			held = append(held, x)
			got = append(got, x.Info().ConnID)
		}
		if !slices.Equal(got, order) {
			t.Errorf("came as %v, want %v", got, order)
		}
		for _, x := range held {
			x.Release(false)
		}
	})
}

func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	inBubble(t, func(c *Config) { c.IdleTimeout = 40 * time.Second }, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		start := time.Now()
		use(t, e)
		<-o.Conn(1).Done() // the origin's script ends when the client closes
		if d := time.Since(start); d != 40*time.Second {
			t.Errorf("a connection alone was closed after %v", d)
		}
		if s := e.Stats(); s.Idle != 0 || s.Active != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestIdleTimeoutCountsFromRelease(t *testing.T) {
	inBubble(t, func(c *Config) { c.IdleTimeout = 40 * time.Second }, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		for i := range 8 { // never idle for long enough
			time.Sleep(time.Duration(i) * 4 * time.Second)
			use(t, e)
		}
		last := time.Now()
		if n := len(o.Conns()); n != 1 {
			t.Fatalf("%d connections", n)
		}
		<-o.Conn(1).Done()
		if d := time.Since(last); d <= 30*time.Second || d > 40*time.Second {
			t.Errorf("closed after %v idle, want more than 30s, at most 40s", d)
		}
	})
}

func TestKeptConnectionsAreBounded(t *testing.T) {
	inBubble(t, func(c *Config) { c.MaxIdle = 2 }, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		var held []Exchange
		for range 5 {
			held = append(held, get(t, e, false))
		}
		if s := e.Stats(); s.Active != 5 || s.InFlight != 5 {
			t.Errorf("%+v", s)
		}
		for _, x := range held {
			x.Release(true)
		}
		if s := e.Stats(); s.Active != 0 || s.Idle != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestNothingIsKeptWhenKeepingIsOff(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"MaxIdle":     func(c *Config) { c.MaxIdle = -1 },
		"IdleTimeout": func(c *Config) { c.IdleTimeout = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, change, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
				use(t, e)
				<-o.Conn(1).Done()
				if info := use(t, e); info.Reused {
					t.Error("reused")
				}
			})
		})
	}
}

func TestNotReusedUnlessBothMessagesEnded(t *testing.T) {
	for name, end := range map[string]func(x Exchange){
		"not reusable":   func(x Exchange) { x.Release(false) },
		"aborted":        func(x Exchange) { x.Abort(); x.Release(true) },
		"aborted twice":  func(x Exchange) { x.Abort(); x.Abort(); x.Release(true) },
		"bytes buffered": func(x Exchange) { x.Write([]byte(request)); x.Fill(); x.Release(true) },
		"a tunnel":       func(x Exchange) { x.NetConn(); x.Release(true) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(*Config) {}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
				end(get(t, e, false))
				<-o.Conn(1).Done()
				if s := e.Stats(); s.Idle != 0 || s.Active != 0 || s.InFlight != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestFreshIsANewConnection(t *testing.T) {
	inBubble(t, func(c *Config) { c.MaxConns = 1 }, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		use(t, e)
		x := get(t, e, true) // at the limit: the idle one makes room
		if x.Info().Reused {
			t.Error("reused")
		}
		<-o.Conn(1).Done()
		// A fresh one that waits gets the place of a connection given back.
		go func() { time.Sleep(time.Second); x.Release(true) }()
		id := x.Info().ConnID
		y := get(t, e, true)
		if y.Info().Reused || y.Info().ConnID == id {
			t.Error("reused")
		}
		y.Release(true)
		if s := e.Stats(); s.Active != 0 || s.Idle != 1 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWaitersAreServedInOrder(t *testing.T) {
	inBubble(t, func(c *Config) { c.MaxConns = 2; c.ConnectTimeout = time.Hour }, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		a, b := get(t, e, false), get(t, e, false)
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				x := get(t, e, i%5 == 4)
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				time.Sleep(time.Second)
				x.Release(i%3 != 0) // some connections are lost: the place is passed on
			})
			synctest.Wait()
		}
		if s := e.Stats(); s.Waiting != 20 || s.Active != 2 || s.InFlight != 22 {
			t.Errorf("%+v", s)
		}
		a.Release(true)
		synctest.Wait() // one at a time, or two winners race to note their number
		time.Sleep(time.Second / 2)
		b.Release(false)
		wg.Wait()
		if !slices.IsSorted(order) || len(order) != 20 {
			t.Errorf("served as %v", order)
		}
		if s := e.Stats(); s.Waiting != 0 || s.Active != 0 || s.InFlight != 0 || s.Idle > 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWaitingEndsWithTheConnectTimeout(t *testing.T) {
	inBubble(t, func(c *Config) { c.MaxConns = 1; c.ConnectTimeout = 3 * time.Second }, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		x := get(t, e, false)
		start := time.Now()
		_, err := e.Get(context.Background(), false)
		if kind(err) != KindLimit || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err = e.Get(ctx, false); kind(err) != KindLimit || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if s := e.Stats(); s.Connects["limit"] != 2 || s.Waiting != 0 || s.InFlight != 1 || !s.Healthy {
			t.Errorf("%+v", s)
		}
		x.Release(true)
		use(t, e)
	})
}

func TestACancelledWaiterLosesNothing(t *testing.T) {
	inBubble(t, func(c *Config) { c.MaxConns = 1; c.ConnectTimeout = time.Hour }, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		for i := range 200 {
			x := get(t, e, false)
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			wg.Go(func() {
				y, err := e.Get(ctx, false)
				if err == nil {
					y.Release(true)
				} else if kind(err) != KindCanceled {
					t.Errorf("%v", err)
				}
			})
			synctest.Wait()
			cancel()
			if i%2 == 0 {
				wg.Wait()
			} // else it is granted what it no longer wants before it can say so
			x.Release(i%4 < 2)
			wg.Wait()
			cancel()
			if s := e.Stats(); s.Active != 0 || s.Waiting != 0 || s.InFlight != 0 {
				t.Fatalf("round %d: %+v", i, s)
			}
		}
	})
}

func TestClosingAGroup(t *testing.T) {
	inBubble(t, func(c *Config) { c.MaxConns = 2 }, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		use(t, e)
		busy, other := get(t, e, false), get(t, e, false)
		failed := make(chan error)
		go func() { _, err := e.Get(context.Background(), false); failed <- err }()
		synctest.Wait()
		e.group.Close()
		if err := <-failed; kind(err) != KindClosed {
			t.Errorf("waiting: %v", err)
		}
		if _, err := e.Get(context.Background(), false); kind(err) != KindClosed {
			t.Errorf("after: %v", err)
		}
		if e.group.Pick() != nil {
			t.Error("a closed group picks")
		}
		if err := roundTrip(busy); err != nil {
			t.Errorf("an exchange under way: %v", err)
		}
		busy.Release(true)
		other.Release(true)
		for _, c := range o.Conns() {
			<-c.Done()
		}
		if s := e.Stats(); s.Idle != 0 || s.Active != 0 {
			t.Errorf("%+v", s)
		}
		e.group.Close() // again
	})
}

func TestClosingAGroupClosesIdleConnections(t *testing.T) {
	inBubble(t, func(*Config) {}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		use(t, e)
		start := time.Now()
		e.group.Close()
		<-o.Conn(1).Done()
		if time.Since(start) != 0 {
			t.Error("closed by the idle timeout only")
		}
	})
}

func TestARetiredGroupServesWithoutKeeping(t *testing.T) {
	inBubble(t, func(*Config) {}, func(t *testing.T, o *testkit.Origin, e *Endpoint) {
		busy, idle := get(t, e, false), get(t, e, false)
		idle.Release(true)
		e.group.Retire()
		<-o.Conn(2).Done()
		busy.Release(true)
		<-o.Conn(1).Done()
		use(t, e.group.Pick())
		use(t, e.group.EndpointFor(netip.MustParseAddrPort("10.0.0.1:80")))
		for _, s := range e.group.Stats() {
			if s.Idle != 0 || s.Active != 0 || s.Requests == 0 {
				t.Errorf("%+v", s)
			}
		}
		e.group.Retire()
	})
}

func TestPickPrefersTheLessLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testkit.NewOrigin(t, testkit.Serve(response))
		g := groupOf(t, o, func(c *Config) {
			c.Endpoints = []EndpointConfig{{Addr: "a:1"}, {Addr: "b:1"}}
		})
		a, b := g.Endpoints()[0], g.Endpoints()[1]
		x := get(t, a, false)
		for range 20 {
			if g.Pick() != b {
				t.Fatal("picked the loaded one")
			}
			if g.Pick(b) != a {
				t.Fatal("picked one to avoid")
			}
			if g.Pick(a, b) != b {
				t.Fatal("with all to avoid, picked the loaded one")
			}
		}
		x.Release(true)
		seen := map[*Endpoint]bool{}
		for range 200 {
			seen[g.Pick()] = true
		}
		if len(seen) != 2 {
			t.Error("a tie always goes to the same")
		}
	})
}

func TestAnEndpointThatFailsRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testkit.NewOrigin(t, testkit.Serve(response))
		g := groupOf(t, o, func(c *Config) {
			c.Endpoints = []EndpointConfig{{Addr: "a:1"}, {Addr: "b:1"}}
		})
		a, b := g.Endpoints()[0], g.Endpoints()[1]
		o.Refuse()
		for range restAfter {
			if _, err := a.Get(context.Background(), false); kind(err) != KindRefused {
				t.Fatal(err)
			}
		}
		o.Accept()
		x := get(t, b, false) // more loaded, yet preferred
		for range 20 {
			if g.Pick() != b {
				t.Fatal("picked a resting endpoint")
			}
		}
		if g.Pick(b) != a {
			t.Error("a resting endpoint is no refuge")
		}
		time.Sleep(restTime)
		if g.Pick() != a {
			t.Error("still rests")
		}
		if a.Stats().Healthy {
			t.Error("healthy before a connect stood")
		}
		use(t, a)
		if s := a.Stats(); !s.Healthy || s.Connects["refused"] != restAfter {
			t.Errorf("%+v", s)
		}
		x.Release(true)
	})
}

func TestEndpointForIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testkit.NewOrigin(t, testkit.Serve(response))
		g := groupOf(t, o, func(c *Config) { c.Endpoints = nil })
		addr := func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80)
		}
		e := g.EndpointFor(addr(0))
		if g.EndpointFor(addr(0)) != e {
			t.Error("the same address is another endpoint")
		}
		use(t, e)
		for i := range 3 * maxLiteral {
			g.EndpointFor(addr(i))
		}
		if n := len(g.Stats()); n != maxLiteral {
			t.Errorf("%d endpoints kept", n)
		}
		use(t, e) // whether forgotten or not
		var held []Exchange
		for _, e := range g.all() {
			held = append(held, get(t, e, false))
		}
		extra := g.EndpointFor(addr(9 * maxLiteral))
		use(t, extra)
		if s := extra.Stats(); s.Idle != 0 {
			t.Error("an endpoint nobody remembers keeps connections")
		}
		for _, x := range held {
			x.Release(true)
		}
	})
}
