package h2session

import (
	"net"
	"slices"
	"sync/atomic"
	"time"
)

// A request can go to its transaction when its head is here. But most bodies are
// short, and come right behind the head, in bytes that the read loop has already
// or will have in a moment: a transaction that finds its request whole passes it
// on in one write, and needs nobody to wait for the rest. So the transaction of a
// request that has a body begins when the body is complete, or long, or when the
// read loop has nothing more to read. Until then what it sends is in the virtual
// connection, as if the transaction were slow.
//
// A session that is polled reads in turns, and the end of a turn cuts many bodies
// in two. A request that has said how short its body is waits for the rest then,
// for a moment (bodyPatience); any other begins, as its client may wait for an
// answer.

const (
	// shortBody is how much of a body is waited for.
	shortBody = 32 << 10
	// patience is how many bytes of the connection a transaction is put off for
	// at most, while other streams give the read loop always something to do, if
	// its request has not said how short its body is.
	patience = 2 * shortBody
	// bodyPatience is how long it is put off if it has; with the reminder's, up to
	// twice that.
	bodyPatience = 5 * time.Millisecond
)

// beginnings are the streams whose transactions have not begun, in the order of
// their requests. They belong to the read loop.
type beginnings struct {
	late []beginning
	// told is true when the connection says that a read is going to wait;
	// otherwise any may.
	told bool

	looked uint64 // frameReader.total when old ones were last looked for

	// left says that a turn has left some, reminded that the reminder knows the
	// session.
	left, reminded atomic.Bool
}

type beginning struct {
	st    *stream
	at    uint64    // frameReader.total when the request came
	since time.Time // when it came, if it has said how short its body is; else zero
}

// watchWaits asks the connection to say when the read loop is going to wait.
func (s *Session) watchWaits() {
	for c := s.conn; c != nil; {
		switch w := c.(type) {
		case interface{ OnWait(func()) bool }:
			s.begins.told = w.OnWait(s.waits)
			c = nil
		case interface{ NetConn() net.Conn }:
			c = w.NetConn()
		default:
			c = nil
		}
	}
	if !s.begins.told {
		s.greet()
	}
}

// waits is called when the read loop is about to wait.
func (s *Session) waits() {
	if !s.turns.polled {
		s.beginAll()
	} // else nothing waits: the end of the turn is near
	if !s.greeted {
		s.greet()
	}
}

// greet has our SETTINGS written if they have not been. A client's own are mostly
// there by the time the session begins: the acknowledgement then goes with ours.
func (s *Session) greet() {
	s.greeted = true
	s.lock()
	s.unlock()
}

// canWait reports whether the request that st has been opened for may be worth
// waiting for.
func (b *requestBody) canWait() bool { return b.length <= shortBody }

// beginLater notes that st's transaction is to begin.
func (s *Session) beginLater(st *stream) {
	b := beginning{st: st, at: s.in.total}
	if st.request.length >= 0 && !s.block.expects {
		b.since = s.in.now
	}
	s.begins.late = append(s.begins.late, b)
	st.late = true
}

// begin has st's transaction begin, if it has not yet. It may be over when begin
// returns.
func (s *Session) begin(st *stream) {
	if !st.late {
		return
	}
	s.begins.late = slices.DeleteFunc(s.begins.late, func(b beginning) bool { return b.st == st })
	st.late = false
	s.connector.AcceptLater(st.conn, s.turns.later)
}

// beginOld has those begin that were put off for long enough. It is called
// between frames, and looks once a read.
func (s *Session) beginOld() {
	b := &s.begins
	switch {
	case !b.told && s.in.upcoming() == noFrame:
		s.beginAll()
	case b.looked != s.in.total:
		b.looked = s.in.total
		s.beginThose(patience)
	}
}

// beginDue ends a turn: all begin but those whose body is going to be here in a
// moment. For these the reminder has another turn run, should nothing come.
func (s *Session) beginDue() {
	b := &s.begins
	s.beginThose(0)
	left := len(b.late) > 0
	if left != b.left.Load() {
		b.left.Store(left)
	}
	if left && !b.reminded.Swap(true) {
		s.srv.reminder.add(s)
	}
}

// beginThose has those begin that were put off for long enough: for bodyPatience if
// they have said how short their body is, else for so many bytes of the connection.
func (s *Session) beginThose(bytes uint64) {
	for i := 0; i < len(s.begins.late); {
		if s.begins.late[i].due(s.in.now, s.in.total, bytes) {
			s.begin(s.begins.late[i].st)
		} else {
			i++
		}
	}
}

// due reports whether b was put off for long enough, see beginThose.
func (b *beginning) due(now time.Time, total, bytes uint64) bool {
	if b.since.IsZero() {
		return total-b.at >= bytes
	}
	return now.Sub(b.since) >= bodyPatience
}

// beginAll has all begin.
func (s *Session) beginAll() {
	for len(s.begins.late) > 0 {
		s.begin(s.begins.late[0].st)
	}
}
