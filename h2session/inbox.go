package h2session

import (
	"sync/atomic"

	"github.com/h2gw/h2gw/vconn"
)

// An inbox is where transactions tell the session's two loops of their streams
// without taking its lock: a list that everyone may add to, and that whoever
// holds Session.mu empties. A burst of responses then costs the session one lock
// round, and no transaction waits for the writing of another.
type inbox struct {
	top  atomic.Pointer[stream] // linked by below, the newest first
	care atomic.Uint32          // see attended
}

// Who is going to look into the inbox.
const (
	attended   uint32 = iota // who writes, before he rests or gives that back
	unattended               // nobody: whoever puts something in has to see to it
	promised                 // a Flush, which has been left to a vconn.Later
)

// What a stream's observer has been told and the session has not heard.
const (
	postedReadable uint32 = 1 << iota
	postedClosed
)

// put adds what happened to st and reports whether somebody has to be told to
// look. The order matters: first put, then look at who cares; who goes to sleep
// says so first, and then looks into the inbox.
func (in *inbox) put(st *stream, what uint32) (tell bool) {
	if st.posted.Or(what) == 0 {
		// Only who made posted differ from zero links st, and take unlinks it
		// before posted is zero again.
		for {
			st.below = in.top.Load()
			if in.top.CompareAndSwap(st.below, st) {
				break
			}
		}
	}
	return in.care.Load() == unattended
}

// promise takes it upon the caller to have somebody look. It is false if somebody
// else has.
func (in *inbox) promise() bool { return in.care.CompareAndSwap(unattended, promised) }

// take empties the inbox and returns the streams, linked by below, in the order
// in which they came.
func (in *inbox) take() (first *stream) {
	for st := in.top.Swap(nil); st != nil; {
		next := st.below
		st.below = first
		first, st = st, next
	}
	return first
}

// lock takes the lock and hears what was posted. unlock is its counterpart.
func (s *Session) lock() {
	s.mu.Lock()
	if s.inbox.top.Load() != nil {
		s.hear()
	}
}

// hear acts on what was posted. With the lock held.
func (s *Session) hear() {
	for st := s.inbox.take(); st != nil; {
		next := st.below
		what := st.posted.Swap(0) // from here on st may be put again
		if what&postedReadable != 0 {
			s.m.wake(st)
		}
		if what&postedClosed != 0 {
			s.closed(st)
		}
		st = next
	}
}

func (s *Session) closed(st *stream) {
	s.m.connClosed(st)
	s.account.add(-streamCost)
	if s.m.live == 0 {
		s.settled.Broadcast()
	}
}

// post tells the session what happened to st.
func (s *Session) post(st *stream, what uint32) {
	if s.inbox.put(st, what) {
		s.attend()
	}
}

// attend looks into the inbox because nobody else does. When that wakes the write
// loop, others need not do the same until it sleeps again.
func (s *Session) attend() {
	defer s.recovered() // called by the transaction, which is not to pay
	s.lock()
	s.unlock()
}

// The stream is its virtual connection's observer, so that no closure is made
// for it.
var _ vconn.Observer = (*stream)(nil)

// Readable says that a response has more to say; see vconn.Observer. To write is
// left to who has perhaps more for us at hand.
func (st *stream) Readable(_ *vconn.Conn, later vconn.Later) {
	s := st.sess
	switch {
	case !s.inbox.put(st, postedReadable):
	case later == nil || s.gatherer == nil:
		s.attend()
	case s.inbox.promise():
		later.Later(s)
	}
}

// Consumed returns credit to the client for what the transaction has read. It is
// called for requests with a body only.
func (st *stream) Consumed(_ *vconn.Conn, n int) {
	s := st.sess
	defer s.recovered() // called by the transaction, which is not to pay
	s.lock()
	defer s.unlock()
	s.m.consumed(st, n)
}

// PeerReset is not called: who writes finds the reset behind what it has not
// read.
func (st *stream) PeerReset(*vconn.Conn, *vconn.ResetError) {}

// Closed says that the transaction has ended, too. It is the last that is told,
// so the stream may be used again once it has been heard.
func (st *stream) Closed(*vconn.Conn) { st.sess.post(st, postedClosed) }
