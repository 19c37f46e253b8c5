package vconn

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
	// empty, or ended: the peer called CloseWrite, Close or Reset.
	Readable(*Conn)
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

// events is what an end's observer has not been told yet. The pair's lock
// guards it.
type events struct {
	obs        Observer
	delivering bool // some goroutine is in deliver for this end
	eventSet
}

type eventSet struct {
	readable, peerReset, closed bool
	consumed                    int
}

// next takes what is to be told, and whom; a nil Observer means nothing. With
// the lock held.
func (e *events) next() (Observer, eventSet) {
	if e.obs == nil {
		e.eventSet = eventSet{}
	}
	if e.eventSet == (eventSet{}) {
		return nil, eventSet{}
	}
	s := e.eventSet
	e.eventSet = eventSet{}
	return e.obs, s
}

// unlockAndTell releases the pair's lock and tells both observers what was
// posted under it. A connection without observers pays two nil checks.
func (p *pair) unlockAndTell() {
	a, b := &p.ends[active], &p.ends[passive]
	tellA, tellB := a.claim(), b.claim()
	p.mu.Unlock()
	if tellB {
		// Deferred: a's observer may panic, and the duty to b is taken.
		defer b.deliver()
	}
	if tellA {
		a.deliver()
	}
}

// claim reports whether there is something to deliver that nobody is
// delivering yet, and takes the duty. With the lock held.
func (c *Conn) claim() bool {
	if c.events.obs == nil || c.events.delivering || c.events.eventSet == (eventSet{}) {
		return false
	}
	c.events.delivering = true
	return true
}

// deliver tells the observer until nothing is left to tell: a loop, so that two
// observers that answer each other do not recurse. An observer that panics loses
// that event only: whoever recovers must not find the end deaf for ever.
func (c *Conn) deliver() {
	finished := false
	defer func() {
		if !finished {
			c.pair.mu.Lock()
			c.events.delivering = false
			c.pair.mu.Unlock()
		}
	}()
	for {
		c.pair.mu.Lock()
		obs, s := c.events.next()
		if obs == nil {
			// Under the same lock as the look, or an event in between
			// would be left to nobody.
			c.events.delivering, finished = false, true
			c.pair.mu.Unlock()
			return
		}
		reset := c.pair.reset
		c.pair.mu.Unlock()
		if s.consumed > 0 {
			obs.Consumed(c, s.consumed)
		}
		if s.peerReset {
			obs.PeerReset(c, reset)
		}
		if s.readable {
			obs.Readable(c)
		}
		if s.closed {
			obs.Closed(c)
			c.passClosedOn()
		}
	}
}

// passClosedOn tells the active end of the close that the passive end's observer
// has been told of.
func (c *Conn) passClosedOn() {
	p := c.pair
	p.mu.Lock()
	if c.side == passive {
		p.tellActiveClosed()
	}
	p.unlockAndTell()
}

// SetObserver makes o the observer of this end in place of any before it; nil
// means none. o is told at once of what holds already: Readable when bytes wait
// or the direction has ended, PeerReset, Closed. Bytes that the peer consumed
// before are not told of. A call to the old observer that has begun is not
// waited for, and what holds is then told by the goroutine that is making it.
func (c *Conn) SetObserver(o Observer) {
	p := c.pair
	p.mu.Lock()
	c.events.obs = o
	c.events.eventSet = eventSet{
		readable:  !c.closed && (c.in.n > 0 || c.in.ended || p.reset != nil),
		peerReset: p.reset != nil && p.resetBy != c.side,
		closed:    p.bothClosed(),
	}
	switch {
	case c.side == active:
		p.untold = false
	case o == nil:
		p.tellActiveClosed()
	}
	p.unlockAndTell()
}
