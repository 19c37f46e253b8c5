package vconn

import "github.com/h2gw/h2gw/internal/prefetch"

// An Observer is told of what happens to one end.
//
// Its methods are called with no lock of this package held, by whichever
// goroutine caused the event: a call that the peer makes, or SetObserver. Closed
// alone can also come from inside this end's own Close or Reset, when that was
// the second of the two; so hold no lock that the observer takes while calling
// those. This end's own Read, Write, Peek, Discard, CloseRead and CloseWrite
// never call its observer.
//
// The calls for one end never overlap and never nest: an event that happens
// while the observer is being called is delivered after it returns, by the
// goroutine that is delivering, joined with others of its kind. So events are a
// prompt to look at the Conn, whose state may have moved on. Closed is the last.
//
// The active end's observer can be called before Open has returned.
//
// An Observer must not block, because it delays the peer, and must not panic. It
// may call all methods of the Conn.
type Observer interface {
	// Readable says that the incoming direction went from empty to not
	// empty, or ended: the peer called CloseWrite, Close or Reset. later is
	// what the peer's call was given, nil for most.
	Readable(c *Conn, later Later)
	// Consumed says that the peer is done with n more bytes that this end
	// wrote: it read them, or discarded them by CloseRead, Close or Reset.
	// Bytes that this end's own Reset discards are in that call's result
	// instead. Consumed can come after this end was closed.
	Consumed(c *Conn, n int)
	// PeerReset says that the peer called Reset. Readable follows.
	PeerReset(*Conn, *ResetError)
	// Closed says that both ends are closed. It is called once. The active
	// end's is called when that of the passive end has returned.
	Closed(*Conn)
}

// A Later is somebody in the midst of several things of which each may have news
// for the same reader: who acts on the first at once acts often. Where an Observer
// is given one it may leave to it what it would do. A Later is for the goroutine
// that got it, and for the time of the call.
type Later interface {
	// Later has f.Flush called, once for each call of Later, on the same
	// goroutine, as soon as the things at hand are done, which is within
	// microseconds. Flush must not block.
	Later(f interface{ Flush() })
}

// Events are kinds of calls to an Observer. Who does not want some of them says
// so, since telling costs a lock round and more.
type Events uint8

// The kinds of calls.
const (
	// OnReadable is Readable whenever it is due.
	OnReadable Events = 1 << iota
	// OnPeerClosed is Readable only when the peer has called Close or Reset;
	// OnReadable includes it.
	OnPeerClosed
	// OnConsumed is Consumed.
	OnConsumed
	// OnPeerReset is PeerReset.
	OnPeerReset
	// OnClosed is Closed.
	OnClosed

	// AllEvents are all of them.
	AllEvents = OnReadable | OnPeerClosed | OnConsumed | OnPeerReset | OnClosed
)

// events is what an end's observer has not been told yet. The pair's lock
// guards it.
type events struct {
	obs        Observer
	want       Events // of obs; 0 without one
	delivering bool   // some goroutine is in deliver for this end
	eventSet
}

// An eventSet is what an observer is to be told. Of pending only OnReadable, for
// either kind of Readable, OnConsumed, OnPeerReset and OnClosed are used.
type eventSet struct {
	pending  Events
	consumed int
}

func (e *events) observe(o Observer, want Events) {
	e.obs, e.want = o, want
	if o == nil {
		e.want = 0
	}
}

// With the lock held: what an end's observer is to be told.

// postReadable posts Readable for what is one of the kinds.
func (c *Conn) postReadable(kinds Events) {
	if c.events.want&kinds != 0 && !c.closed {
		c.events.pending |= OnReadable
	}
}

func (c *Conn) postConsumed(n int) {
	if n > 0 && c.events.want&OnConsumed != 0 {
		c.events.pending |= OnConsumed
		c.events.consumed += n
	}
}

func (c *Conn) postReset() {
	c.events.pending |= OnPeerReset & c.events.want
	c.postReadable(OnReadable | OnPeerClosed)
}

func (c *Conn) postClosed() { c.events.pending |= OnClosed & c.events.want }

// unlockAndTell releases the pair's lock and tells both observers what was
// posted under it. It is small, so that it is inlined: a connection of which
// nobody wants to know anything now pays for two looks.
func (p *pair) unlockAndTell(later Later) {
	if p.ends[active].events.pending|p.ends[passive].events.pending == 0 {
		p.mu.Unlock()
		return
	}
	p.tell(later)
}

func (p *pair) tell(later Later) {
	a, b := &p.ends[active], &p.ends[passive]
	tellA, obsA, setA := a.claim()
	tellB, obsB, setB := b.claim()
	p.mu.Unlock()
	switch {
	case tellA && tellB:
		// Deferred: a's observer may panic, and the duty to b is taken.
		defer b.deliver(obsB, setB, later)
		a.deliver(obsA, setA, later)
	case tellA:
		a.deliver(obsA, setA, later)
	case tellB:
		b.deliver(obsB, setB, later)
	}
}

// claim takes what is to be told and nobody is telling yet, and the duty to tell
// it. With the lock held.
func (c *Conn) claim() (tell bool, o Observer, s eventSet) {
	e := &c.events
	if e.pending == 0 || e.delivering {
		return false, nil, s
	}
	s, e.eventSet = e.eventSet, eventSet{}
	// Nothing comes after Closed, so nobody need ask for more.
	e.delivering = s.pending&OnClosed == 0
	return true, e.obs, s
}

// deliver tells the observer s, and then until nothing is left to tell: a loop,
// so that two observers that answer each other do not recurse. An observer that
// panics loses that event only: whoever recovers must not find the end deaf for
// ever.
func (c *Conn) deliver(o Observer, s eventSet, later Later) {
	mu := &c.pair.mu
	told := false
	defer func() {
		if !told {
			mu.Lock()
			c.events.delivering = false
			mu.Unlock()
		}
	}()
	for {
		c.call(o, s, later)
		if s.pending&OnClosed != 0 {
			break
		}
		mu.Lock()
		c.events.delivering = false
		// Under the same lock as the look, or an event in between would be
		// left to nobody.
		var more bool
		more, o, s = c.claim()
		mu.Unlock()
		if !more {
			break
		}
	}
	told = true
}

// call makes the calls that s stands for.
func (c *Conn) call(o Observer, s eventSet, later Later) {
	side := c.side // behind the active end's Closed c may be another's
	if s.pending&OnConsumed != 0 {
		o.Consumed(c, s.consumed)
	}
	if s.pending&OnPeerReset != 0 {
		o.PeerReset(c, c.pair.reset) // set before it was posted, and never changed
	}
	if s.pending&OnReadable != 0 {
		o.Readable(c, later)
	}
	if s.pending&OnClosed != 0 {
		o.Closed(c)
		if side == passive {
			c.pair.passClosedOn()
		}
	}
}

// passClosedOn tells the active end of the close that the passive end's observer
// has been told of.
func (p *pair) passClosedOn() {
	p.mu.Lock()
	p.tellActiveClosed()
	p.unlockAndTell(nil)
}

// SetObserver makes o the observer of this end in place of any before it; nil
// means none. o is told at once of what holds already: Readable when bytes wait
// or the direction has ended, PeerReset, Closed. Bytes that the peer consumed
// before are not told of. A call to the old observer that has begun is not
// waited for, and what holds is then told by the goroutine that is making it,
// unless that call is Closed.
func (c *Conn) SetObserver(o Observer) { c.Observe(o, AllEvents) }

// Observe is SetObserver for an observer that wants only some of the calls.
func (c *Conn) Observe(o Observer, want Events) {
	p := c.pair
	p.mu.Lock()
	c.events.observe(o, want)
	c.events.eventSet = eventSet{}
	if c.in().n > 0 || c.in().ended || p.reset != nil {
		c.postReadable(OnReadable)
	}
	if c.peer().closed || p.reset != nil {
		c.postReadable(OnPeerClosed)
	}
	if p.reset != nil && p.resetBy != c.side {
		c.postReset()
	}
	if p.bothClosed() {
		c.postClosed()
	}
	switch {
	case c.side == active:
		p.untold = false
	case c.events.want&OnClosed == 0:
		p.tellActiveClosed()
	}
	p.unlockAndTell(nil)
}

// Near names the memory that an answer of this end's is going to touch, as far as the
// peer's observer says, too, by a method of the same name. It is for the packages of
// this module.
func (c *Conn) Near(l *prefetch.List) {
	p := c.pair
	prefetch.Add(l, p)
	p.mu.Lock()
	o := c.peer().events.obs
	p.mu.Unlock()
	if n, ok := o.(interface{ Near(*prefetch.List) }); ok {
		n.Near(l)
	}
}
