package origin

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/h2gw/h2gw/internal/netio"
)

// While nobody else is there the shelves are one stack.
func TestShelvesAreAStack(t *testing.T) {
	var s shelves
	var conns []*conn
	for range 5 {
		c := new(conn)
		conns = append(conns, c)
		s.put(c)
	}
	if s.len() != 5 {
		t.Errorf("%d", s.len())
	}
	if !s.remove(conns[2]) || s.remove(conns[2]) {
		t.Error("remove")
	}
	if old := s.takeOldest(func(c *conn) bool { return c == conns[0] }); !slices.Equal(old, conns[:1]) || s.remove(conns[0]) {
		t.Errorf("takeOldest: %v", old)
	}
	for _, want := range []*conn{conns[4], conns[3], conns[1], nil} {
		if c, _ := s.take(anyConn, 0); c != want {
			t.Errorf("took %p, want %p", c, want)
		}
	}
}

// A connection that cannot be awaited is left to who can wait; what the poller
// has seen keeps a connection from being used without a look.
func TestShelvesGiveWhatIsWanted(t *testing.T) {
	l := newLine(t)
	plain := new(conn)
	polled, _ := l.fresh()
	c := polled.(*conn)
	for _, tc := range []struct {
		what  wanted
		c     *conn
		state uint32
		found bool
		quiet bool
	}{
		{anyConn, plain, 0, true, false},
		{polledConn, plain, 0, false, false},
		{quickConn, plain, 0, false, false},
		{anyConn, c, 0, true, false},
		{polledConn, c, 0, true, false},
		{quickConn, c, 0, true, true},
		{quickConn, c, ready, true, false},
	} {
		var s shelves
		was := tc.c.state.Load()
		tc.c.state.Or(tc.state)
		s.put(tc.c)
		got, quiet := s.take(tc.what, 0)
		if (got == tc.c) != tc.found || quiet != tc.quiet || (s.quick() == 1) != tc.quiet {
			t.Errorf("%+v: %v %v", tc, got == tc.c, quiet)
		}
		s.remove(tc.c)
		tc.c.state.Store(was)
	}
	polled.Release(false)
}

// A shelf that is in use is passed by, both ways, and nothing is lost.
func TestAShelfInUseIsPassedBy(t *testing.T) {
	var s shelves
	s[0].mu.Lock()
	a := new(conn)
	s.put(a)
	if s[1].count.Load() != 1 {
		t.Error("not on the second shelf")
	}
	s[0].mu.Unlock()
	b := new(conn)
	s.put(b)
	s[0].mu.Lock()
	if c, _ := s.take(anyConn, 0); c != a {
		t.Error("not from the second shelf")
	}
	taken := make(chan *conn)
	go func() { c, _ := s.take(anyConn, 0); taken <- c }() // there is one: it is waited for
	runtime.Gosched()
	s[0].mu.Unlock()
	if <-taken != b {
		t.Error("lost")
	}
}

// Whatever many do at once, a connection is nobody's twice, and none gets lost.
func TestShelvesLoseNothing(t *testing.T) {
	var s shelves
	const count = 20
	conns := make([]*conn, count)
	owners := make(map[*conn]*atomic.Int32)
	for i := range conns {
		conns[i] = new(conn)
		owners[conns[i]] = new(atomic.Int32)
		s.put(conns[i])
	}
	hold := func(c *conn) {
		if n := owners[c].Add(1); n != 1 {
			t.Errorf("%d have it", n)
		}
		runtime.Gosched()
		owners[c].Add(-1)
		s.put(c)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 3000 {
				switch {
				case j%7 == 0:
					if c := conns[(i*31+j)%count]; s.remove(c) {
						hold(c)
					}
				case j%101 == 0:
					for _, c := range s.takeOldest(func(c *conn) bool { return c == conns[j%count] }) {
						hold(c)
					}
				default:
					if c, _ := s.take(anyConn, 0); c != nil {
						hold(c)
					}
				}
			}
		})
	}
	wg.Wait()
	if s.len() != count {
		t.Errorf("%d are left", s.len())
	}
}

// A request that waits gets the connection that is put back as it begins to.
func TestNoWaiterIsForgotten(t *testing.T) {
	e := echoOrigin(t)
	e.pool.maxOpen = 2
	a, b := get(t, e, true), get(t, e, true) // both there are, so that none is made by who is first
	a.Release(true)
	b.Release(true)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 400 {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				x, err := e.Get(ctx, false)
				cancel()
				if err != nil {
					t.Error(err)
					return
				}
				if i%2 == 0 {
					runtime.Gosched()
				}
				x.Release(true)
			}
		})
	}
	wg.Wait()
	if s := e.Stats(); s.Waiting != 0 || s.InFlight != 0 || s.Connects["ok"] != 2 {
		t.Errorf("%+v", s)
	}
}

func BenchmarkShelvesParallel(b *testing.B) {
	var s shelves
	for range 64 {
		s.put(new(conn))
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if c, _ := s.take(anyConn, 0); c != nil {
				s.put(c)
			}
		}
	})
}

// What one lane has put by it gets again, and what others have only when it has
// nothing itself.
func TestALaneGetsItsOwnFirst(t *testing.T) {
	var s shelves
	var conns [2 * shelfCount]*conn
	for i := range conns {
		conns[i] = &conn{polling: polling{lane: i}}
		s.put(conns[i])
	}
	for lane := range 2 * shelfCount {
		c, _ := s.take(anyConn, lane)
		if c == nil || c.lane%shelfCount != lane%shelfCount {
			t.Errorf("lane %d got %+v", lane, c)
		}
	}
	s.put(conns[1])
	if c, _ := s.take(anyConn, 2); c != conns[1] {
		t.Error("a lane without connections got none")
	}
}

// A connection is made for the lane of who asks, and what comes on it is told
// there.
func TestAConnectionIsMadeForItsLane(t *testing.T) {
	l := newLine(t)
	for lane := range 5 {
		x, err := l.Get(inLane{t.Context(), lane}, true)
		if err != nil {
			t.Fatal(err)
		}
		<-l.accepted
		if c := x.(*conn); c.lane != lane || c.poller != netio.PollerOf(lane) {
			t.Errorf("lane %d: made for %d", lane, c.lane)
		}
		x.Release(true)
		again := l.TryGet(true, lane)
		if again != x.(Awaitable) {
			t.Errorf("lane %d got another's", lane)
		}
		defer again.Release(false)
	}
}

type inLane struct {
	context.Context
	lane int
}

func (l inLane) Lane() int { return l.lane }
