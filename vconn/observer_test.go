package vconn_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/h2gw/h2gw/vconn"
)

// A journal is an Observer that writes down what it is told.
type journal struct {
	mu    sync.Mutex
	lines []string
	sum   int // of Consumed
}

func (j *journal) add(s string) {
	j.mu.Lock()
	j.lines = append(j.lines, s)
	j.mu.Unlock()
}

func (j *journal) Readable(*vconn.Conn, vconn.Later) { j.add("readable") }
func (j *journal) Consumed(_ *vconn.Conn, n int) {
	j.add(fmt.Sprint("consumed ", n))
	j.mu.Lock()
	j.sum += n
	j.mu.Unlock()
}
func (j *journal) PeerReset(_ *vconn.Conn, e *vconn.ResetError) { j.add(fmt.Sprint("reset ", e.Code)) }
func (j *journal) Closed(*vconn.Conn)                           { j.add("closed") }

// take returns what was told since the last take.
func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := strings.Join(j.lines, ", ")
	j.lines = nil
	return s
}

// Each step is done in turn; the events it causes are those listed, at the
// active end and at the passive one.
func TestEvents(t *testing.T) {
	type step struct {
		what            string
		do              func(a, p *vconn.Conn)
		active, passive string
	}
	w := func(n int) func(a, p *vconn.Conn) {
		return func(a, p *vconn.Conn) { a.Write(make([]byte, n)) }
	}
	respond := func(a, p *vconn.Conn) { p.Write(make([]byte, 9)) }
	r := func(n int) func(a, p *vconn.Conn) {
		return func(a, p *vconn.Conn) { p.Read(make([]byte, n)) }
	}
	closeA := func(a, p *vconn.Conn) { a.Close() }
	closeP := func(a, p *vconn.Conn) { p.Close() }
	resetA := func(a, p *vconn.Conn) { a.Reset(8) }
	resetP := func(a, p *vconn.Conn) { p.Reset(2) }
	for name, steps := range map[string][]step{
		"bytes": {
			{"write to empty", w(5), "", "readable"},
			{"write to not empty", w(5), "", ""},
			{"read a part", r(4), "consumed 4", ""},
			{"discard", func(a, p *vconn.Conn) { p.Peek(); p.Discard(2) }, "consumed 2", ""},
			{"read the rest", r(10), "consumed 4", ""},
			{"write to empty again", w(1), "", "readable"},
			{"try-write", func(a, p *vconn.Conn) { p.TryWrite([]byte("x")) }, "readable", ""},
		},
		"half-close": {
			{"write", w(5), "", "readable"},
			{"CloseWrite", func(a, p *vconn.Conn) { a.CloseWrite() }, "", "readable"},
			{"CloseWrite again", func(a, p *vconn.Conn) { a.CloseWrite() }, "", ""},
			{"CloseRead of what is unread", func(a, p *vconn.Conn) { p.CloseRead() }, "consumed 5", ""},
			{"CloseRead again", func(a, p *vconn.Conn) { p.CloseRead() }, "", ""},
			{"Close", closeA, "", "readable"},
			{"peer's Close", closeP, "closed", "closed"},
		},
		"passive closes first": {
			{"request", w(5), "", "readable"},
			{"response", respond, "readable", ""},
			{"Close", closeP, "consumed 5, readable", ""},
			{"Close again", closeP, "", ""},
			{"peer's Close", closeA, "closed", "consumed 9, closed"},
			{"Reset after all", resetA, "", ""},
		},
		"active resets": {
			{"request", w(5), "", "readable"},
			{"response", respond, "readable", ""},
			{"Reset", resetA, "", "consumed 9, reset 8, readable"},
			{"peer's Reset", resetP, "closed", "closed"},
			{"Close", closeP, "", ""},
		},
		"passive resets": {
			{"request", w(5), "", "readable"},
			{"Reset", resetP, "consumed 5, reset 2, readable", ""},
			{"Reset again", resetP, "", ""},
			{"peer's Close", closeA, "closed", "closed"},
		},
		"active resets after passive closed": {
			{"response", respond, "readable", ""},
			{"Close", closeP, "readable", ""},
			{"Reset", resetA, "closed", "consumed 9, reset 8, closed"},
		},
		"reset of what has ended": {
			{"response", respond, "readable", ""},
			{"Close", closeP, "readable", ""},
			{"response read", func(a, p *vconn.Conn) { a.Read(make([]byte, 9)) }, "", "consumed 9"},
			{"Reset", resetA, "closed", "closed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			aj, pj := new(journal), new(journal)
			a, p := open(t, vconn.Options{Observer: aj})
			p.SetObserver(pj)
			wantEqual(t, "told at once", pj.take(), "")
			for _, s := range steps {
				s.do(a, p)
				wantEqual(t, s.what+": active is told", aj.take(), s.active)
				wantEqual(t, s.what+": passive is told", pj.take(), s.passive)
			}
		})
	}
}

func TestSetObserverTellsWhatHolds(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(a, p *vconn.Conn)
		want string
	}{
		{"nothing", func(a, p *vconn.Conn) {}, ""},
		{"bytes", func(a, p *vconn.Conn) { a.Write([]byte("x")) }, "readable"},
		{"half-close", func(a, p *vconn.Conn) { a.CloseWrite() }, "readable"},
		{"peer closed", func(a, p *vconn.Conn) { a.Close() }, "readable"},
		{"peer reset", func(a, p *vconn.Conn) { a.Reset(8) }, "reset 8, readable"},
		{"own reset", func(a, p *vconn.Conn) { p.Reset(8) }, ""},
		{"own close", func(a, p *vconn.Conn) { a.Write([]byte("x")); p.Close() }, ""},
		{"both closed", func(a, p *vconn.Conn) { p.Close(); a.Close() }, "closed"},
		{"peer reset, both closed", func(a, p *vconn.Conn) { a.Reset(8); p.Close() }, "reset 8, closed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, p := open(t, vconn.Options{})
			tc.do(a, p)
			j := new(journal)
			p.SetObserver(j)
			wantEqual(t, "told", j.take(), tc.want)
			p.SetObserver(nil)
			a.Close()
			p.Close()
			wantEqual(t, "told after SetObserver(nil)", j.take(), "")
		})
	}
}

// callAll calls every method of both ends from another goroutine: it would hang
// if the caller's goroutine held a lock.
type callAll struct {
	t     *testing.T
	peer  *vconn.Conn
	calls atomic.Int32
}

func (o *callAll) probe(c *vconn.Conn) {
	o.calls.Add(1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, c := range []*vconn.Conn{c, o.peer} {
			c.Buffered()
			c.Peek()
			c.Room()
			c.Unread()
			c.Read(nil)
			c.TryWrite(nil)
		}
	}()
	<-done
}

func (o *callAll) Readable(c *vconn.Conn, _ vconn.Later)        { o.probe(c) }
func (o *callAll) Consumed(c *vconn.Conn, _ int)                { o.probe(c) }
func (o *callAll) PeerReset(c *vconn.Conn, _ *vconn.ResetError) { o.probe(c) }
func (o *callAll) Closed(c *vconn.Conn)                         { o.probe(c) }

func TestObserversAreCalledWithNoLockHeld(t *testing.T) {
	// A goroutine that waits for a mutex for ever fails the test here.
	synctest.Test(t, func(t *testing.T) {
		ao := &callAll{t: t}
		a, p := open(t, vconn.Options{Observer: ao})
		ao.peer = p
		po := &callAll{t: t, peer: a}
		p.SetObserver(po)
		write(t, a, "x")
		wantRead(t, p, "x")
		write(t, a, "y")
		a.Reset(8)
		p.Close()
		wantEqual(t, "active's calls", ao.calls.Load(), 2)  // consumed, closed
		wantEqual(t, "passive's calls", po.calls.Load(), 5) // readable ×2, reset, readable, closed
	})
}

// An echo answers each event by writing or reading one byte, and looks how deep
// in calls it is.
type echo struct {
	left    *int
	deepest *int
}

func (e echo) step(c *vconn.Conn) {
	var pcs [512]uintptr
	*e.deepest = max(*e.deepest, runtime.Callers(0, pcs[:]))
	if *e.left > 0 {
		*e.left--
		var b [1]byte
		if c.Buffered() > 0 {
			c.Read(b[:])
		}
		c.TryWrite(b[:])
	}
}
func (e echo) Readable(c *vconn.Conn, _ vconn.Later)        { e.step(c) }
func (e echo) Consumed(c *vconn.Conn, _ int)                { e.step(c) }
func (e echo) PeerReset(c *vconn.Conn, _ *vconn.ResetError) {}
func (e echo) Closed(*vconn.Conn)                           {}

func TestObserversThatAnswerEachOtherDoNotRecurse(t *testing.T) {
	left, deepest := 100_000, 0
	a, p := open(t, vconn.Options{Observer: echo{&left, &deepest}})
	p.SetObserver(echo{&left, &deepest})
	write(t, a, "x")
	wantEqual(t, "events left to answer", left, 0)
	if deepest > 60 {
		t.Errorf("calls are %d deep", deepest)
	}
}

// alone fails when two of its calls overlap or one follows Closed.
type alone struct {
	t      *testing.T
	inside atomic.Bool
	closed atomic.Int32
	sum    int
}

func (o *alone) enter(n int, closed bool) {
	if !o.inside.CompareAndSwap(false, true) {
		o.t.Error("two calls at once")
	}
	if o.closed.Load() > 0 {
		o.t.Error("a call after Closed")
	}
	runtime.Gosched()
	o.sum += n
	o.inside.Store(false)
	if closed {
		o.closed.Add(1)
	}
}
func (o *alone) Readable(*vconn.Conn, vconn.Later)            { o.enter(0, false) }
func (o *alone) Consumed(_ *vconn.Conn, n int)                { o.enter(n, false) }
func (o *alone) PeerReset(_ *vconn.Conn, _ *vconn.ResetError) { o.enter(0, false) }
func (o *alone) Closed(*vconn.Conn)                           { o.enter(0, true) }

// However a connection ends, with everything racing: calls never overlap,
// Closed comes once and last, and every byte an end wrote comes back once.
func TestEveryByteIsReportedBackOnce(t *testing.T) {
	iterations := 2000
	if testing.Short() {
		iterations = 200
	}
	for i := range iterations {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		var wrote, discarded [2]atomic.Int64
		obs := [2]*alone{{t: t}, {t: t}}
		a, p := open(t, vconn.Options{Observer: obs[0], ActiveToPassive: 64, PassiveToActive: 50})
		p.SetObserver(obs[1])
		var wg sync.WaitGroup
		for side, c := range []*vconn.Conn{a, p} {
			size, writes, ending, after := 1+rng.IntN(90), rng.IntN(6), rng.IntN(4), rng.IntN(3)
			wg.Go(func() { // writer
				for range writes {
					n, err := c.Write(make([]byte, size))
					wrote[side].Add(int64(n))
					if err != nil {
						return
					}
				}
				if ending == 0 {
					c.CloseWrite()
				}
			})
			wg.Go(func() { // reader, who ends the connection some way
				b := make([]byte, 40)
				for range after {
					c.TryWrite(nil)
					if ending == 1 {
						c.CloseRead()
					}
					if c.Buffered() > 0 {
						c.Read(b)
					}
				}
				if ending == 2 {
					_, out := c.Reset(8)
					discarded[side].Add(int64(out))
				}
				c.Close()
			})
		}
		wg.Wait()
		for side, c := range []*vconn.Conn{a, p} {
			wantEqual(t, "Closed calls", obs[side].closed.Load(), 1)
			back := int64(obs[side].sum) + discarded[side].Load()
			wantEqual(t, "reported back", back, wrote[side].Load())
			if int64(c.Unread()) > back || int64(c.Unread()) < discarded[side].Load() {
				t.Fatalf("Unread = %d of %d", c.Unread(), back)
			}
		}
	}
}

// drain reads all there is whenever it is told.
type drain struct {
	*journal
	got int
}

func (d *drain) Readable(c *vconn.Conn, _ vconn.Later) {
	for c.Buffered() > 0 {
		n, _ := c.Read(make([]byte, 7))
		d.got += n
	}
}

// A Write tells the reader before it waits for it.
func TestWriteBeyondTheBoundToAnObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{ActiveToPassive: 10})
		d := &drain{journal: new(journal)}
		p.SetObserver(d)
		write(t, a, strings.Repeat("x", 105))
		wantEqual(t, "read", d.got, 105)
	})
}

func TestConsumedIsJoinedWhileBeingTold(t *testing.T) {
	j := new(journal)
	a, p := open(t, vconn.Options{})
	a.SetObserver(reader{j, p})
	write(t, a, "abc")
	p.Read(make([]byte, 1)) // its Consumed reads two more, one by one
	wantEqual(t, "told", j.take(), "consumed 1, consumed 2")
}

type reader struct {
	*journal
	p *vconn.Conn
}

func (r reader) Consumed(c *vconn.Conn, n int) {
	r.journal.Consumed(c, n)
	for r.p.Buffered() > 0 {
		r.p.Read(make([]byte, 1))
	}
}

// faulty panics when it is told of bytes.
type faulty struct{ *journal }

func (faulty) Readable(*vconn.Conn, vconn.Later) { panic("fault of an observer") }

func TestAnObserverThatPanickedIsStillToldTheRest(t *testing.T) {
	j := new(journal)
	a, p := open(t, vconn.Options{})
	p.SetObserver(faulty{j})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not reach the caller")
			}
		}()
		a.Write([]byte("x"))
	}()
	p.Close()
	a.Close()
	wantEqual(t, "told", j.take(), "closed")
}

// doomed panics when it is told that all is over.
type doomed struct{ *journal }

func (doomed) Closed(*vconn.Conn) { panic("fault of an observer") }

func TestAPanicOfOneObserverLeavesTheOtherItsEvent(t *testing.T) {
	j := new(journal)
	a, p := open(t, vconn.Options{Observer: doomed{new(journal)}})
	p.SetObserver(j)
	p.Close()
	func() {
		defer func() { recover() }()
		a.Close()
	}()
	wantEqual(t, "told", j.take(), "closed")
}

// once is told of one event and then takes itself off.
type once struct{ *journal }

func (o once) Readable(c *vconn.Conn, _ vconn.Later) {
	o.journal.Readable(c, nil)
	c.SetObserver(nil)
}

func TestAnObserverCanTakeItselfOff(t *testing.T) {
	j := new(journal)
	a, p := open(t, vconn.Options{})
	p.SetObserver(once{j})
	a.Reset(8)
	p.Close()
	wantEqual(t, "told", j.take(), "reset 8, readable")
}

// tellsClosed notes which end was told of Closed.
type tellsClosed struct {
	vconn.Observer
	name string
	told *[]string
	mu   *sync.Mutex
}

func (o tellsClosed) Closed(*vconn.Conn) {
	runtime.Gosched() // gives the other end the chance to overtake
	o.mu.Lock()
	defer o.mu.Unlock()
	*o.told = append(*o.told, o.name)
}

func TestTheTransactionsEndIsToldOfClosedBeforeTheStreams(t *testing.T) {
	for range 500 {
		var told []string
		var mu sync.Mutex
		var p *vconn.Conn
		c := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { p = c }))
		a, err := c.Open(vconn.Options{Observer: tellsClosed{new(journal), "active", &told, &mu}})
		if err != nil {
			t.Fatal(err)
		}
		p.SetObserver(tellsClosed{new(journal), "passive", &told, &mu})
		var wg sync.WaitGroup
		wg.Go(func() { a.Close() })
		wg.Go(func() { p.Close() })
		wg.Wait()
		if want := []string{"passive", "active"}; !slices.Equal(told, want) {
			t.Fatalf("Closed was told to %v, want %v", told, want)
		}
	}
}
