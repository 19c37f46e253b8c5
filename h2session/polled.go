package h2session

import (
	"net"
	"sync/atomic"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/vconn"
)

// A session needs no goroutine to read where its connection can be polled (see
// internal/netio): who finds that something has arrived, for many connections in
// turn, runs the read loop as far as it goes without waiting. It then holds no
// buffer either, and what it has given rise to is written at the end of the turn
// in one write, by a loan.
//
// One at a time reads, in a turn. Who has news while a turn runs has it go on
// once more. Where a turn would have to wait for something else than input, a
// goroutine waits and goes on with it.

// A pollable is a connection that can be polled.
type pollable interface {
	// Poll has news called whenever a Read may be worth while, and has Read
	// return an error that says WouldBlock instead of waiting. With nil nothing
	// is told any more.
	Poll(news func(later interface{ Later(f interface{ Flush() }) })) bool
}

// pollableOf finds the pollable connection that conn is, or, with TLS, has
// beneath it; nil when there is none.
func pollableOf(conn net.Conn) pollable {
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = c.NetConn()
	}
	p, _ := conn.(pollable)
	return p
}

// wouldBlock reports whether a Read had nothing to read.
func wouldBlock(err error) bool {
	_, ok := err.(interface{ WouldBlock() })
	return ok
}

// readTurns are what a session that is polled knows of its reading. They belong to
// who reads, but for state.
type readTurns struct {
	polled bool // constant once others know of the session
	state  atomic.Uint32
	later  vconn.Later // of who runs the turn; nil: nobody but us has use of it
	lies   bool        // at rest
	drain  bool        // reads to the end without looking
}

// States of readTurns.
const (
	turnOver  uint32 = iota // none runs
	turnRuns                // one does
	turnAgain               // one does, and is to look once more at its end
	turnLast                // there will be none any more
)

// longTurn is how many bytes are read in a turn at most, so that others get
// theirs.
const longTurn = 128 << 10

// A reading is how a turn ended.
type reading uint8

const (
	readEnd   reading = iota // nothing is read any more
	readWaits                // there is nothing to read
	readHeld                 // too many answers wait for the client to read them
	readLong                 // it was long enough
)

// poll has the session polled, if that can be. From then on nothing may wait for
// a Read. It is called before anybody else knows of the session: the connection
// must not be written to meanwhile, as a session that is drained at its beginning
// would. The first turn is the caller's, and news until then is for that.
func (s *Session) poll() {
	p := pollableOf(s.conn)
	if p == nil || s.gatherer == nil {
		return
	}
	s.turns.state.Store(turnRuns)
	s.nameNear(p)
	if s.turns.polled = p.Poll(s.news); s.turns.polled {
		// What is to be written comes up in turns: no loop is needed for that.
		s.loan.runs = spareAfter
		s.inbox.care.Store(unattended)
	}
}

// news runs a turn, or has the one that runs look once more. later is for the time
// of the call; nil: nobody has other sessions' turns at hand.
func (s *Session) news(later interface{ Later(f interface{ Flush() }) }) {
	t := &s.turns
	for {
		switch t.state.Load() {
		case turnOver:
			if t.state.CompareAndSwap(turnOver, turnRuns) {
				s.runTurns(later)
				return
			}
		case turnRuns:
			if t.state.CompareAndSwap(turnRuns, turnAgain) {
				return
			}
		default:
			return
		}
	}
}

// runTurns runs turns as long as there is news. After it has made state turnOver
// another's turn may run.
func (s *Session) runTurns(later vconn.Later) {
	t := &s.turns
	for {
		switch s.readTurn(later) {
		case readHeld:
			go func() {
				s.awaitTaken()
				s.runTurns(nil)
			}()
			return
		case readEnd:
			t.state.Store(turnLast)
			s.endTurns()
			return
		case readLong:
			if t.state.CompareAndSwap(turnRuns, turnOver) {
				// Others get their turns first. What is left may be in buffers
				// of ours, of which nobody tells.
				go s.news(nil)
				return
			}
		case readWaits:
			if t.state.CompareAndSwap(turnRuns, turnOver) {
				return
			}
		}
		t.state.Store(turnRuns) // it was turnAgain
	}
}

// readTurn is one turn. What it gives rise to is written at its end. What the
// transactions that it begins have to do together is left to later.
func (s *Session) readTurn(later vconn.Later) (r reading) {
	s.turns.later = later
	defer func() { s.turns.later = nil }()
	if s.inbox.promise() {
		defer s.Flush()
	}
	defer s.recovered()
	defer s.closeTurn(&r)
	if s.turns.drain {
		return s.readOnTurn()
	}
	if s.scratch == nil && !s.turns.lies {
		s.scratch = scratches.Get().(*scratch)
	}
	r, err := s.readFrames()
	if r != readEnd {
		if r == readWaits && s.in.rest() && s.block.id == 0 {
			s.dropScratch()
		}
		return r
	}
	s.handOver()
	s.beginAll()
	if s.turns.drain = s.ending(err); s.turns.drain {
		return s.readOnTurn()
	}
	return readEnd
}

// closeTurn hands over what a turn has begun, and begins what it has put off, if it is
// to begin now. r is how the turn ends.
func (s *Session) closeTurn(r *reading) {
	s.handOver()
	if *r == readWaits || *r == readLong {
		s.beginDue()
		return
	}
	s.beginAll()
}

// readFrames reads frames until there are none, or a reason to end: with readEnd
// err says which.
func (s *Session) readFrames() (r reading, err error) {
	if s.drowsy.Load() && s.lieDown() {
		s.turns.lies = true
		if f := s.cfg.OnRest; f != nil {
			f()
		}
	}
	if !s.turns.lies {
		err = s.readPreface()
	}
	for from := s.in.total; err == nil; {
		switch {
		case s.isHeld():
			return readHeld, nil
		case s.in.total-from > longTurn:
			return readLong, nil
		}
		if err = s.readFrame(); err != nil && wouldBlock(err) {
			return readWaits, nil
		}
		if err != nil {
			err = s.fault(err)
		}
	}
	if wouldBlock(err) {
		return readWaits, nil
	}
	return readEnd, err
}

// readFrame reads one frame and acts on it.
func (s *Session) readFrame() error {
	if s.opened != nil && s.in.upcoming() > http2.FrameHeaders {
		s.handOver()
	}
	if len(s.begins.late) > 0 {
		s.beginOld()
	}
	f, err := s.in.frame(s.cfg.maxFrameSize())
	if err != nil {
		return err
	}
	if s.turns.lies {
		s.turns.lies = false
		s.awake()
	}
	return s.recvFrame(&f)
}

// readOnTurn is readOn in a turn.
func (s *Session) readOnTurn() reading {
	var sink [512]byte
	for {
		n, err := s.conn.Read(sink[:])
		s.in.total += uint64(n)
		switch {
		case err == nil:
		case wouldBlock(err):
			return readWaits
		default:
			return readEnd
		}
	}
}

// isHeld reports whether too many answers wait for the client to read them.
func (s *Session) isHeld() bool {
	if !s.held.Load() {
		return false
	}
	s.lock()
	defer s.unlock()
	return s.m.holdsReader()
}

// awaitTaken waits until some were taken.
func (s *Session) awaitTaken() {
	s.lock()
	defer s.unlock()
	for s.m.holdsReader() {
		s.reader.Wait()
	}
}
