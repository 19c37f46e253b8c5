package h2session

import (
	"io"
	"net"
)

// A gatherer is a socket that can make one write of several, for TLS writes each
// record by itself, and a batch is several; and that can write without waiting.
// See internal/netio.
type gatherer interface {
	Gather()
	Flush() (kept, written int, err error)
	// TryGather and TryFlush do not wait; see loan.go.
	TryGather() bool
	TryFlush() (kept, written int, err error)
	io.Closer
}

// tlsRecord is what fits into a TLS record.
const tlsRecord = 16 << 10

// gathererOf finds the gatherer that conn is, or, with TLS, has beneath it; nil
// when there is none.
func gathererOf(conn net.Conn) (g gatherer, records bool) {
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok {
		g, _ = c.NetConn().(gatherer)
		return g, true
	}
	g, _ = conn.(gatherer)
	return g, false
}

// send writes a batch.
func (s *Session) send(b []byte) (n int, err error) {
	g := s.gatherer
	if g == nil || !s.turns.polled && (!s.records || len(b) <= tlsRecord) {
		return s.conn.Write(b) // which does not wait where the session is polled
	}
	s.account.add(len(b))
	defer s.account.add(-len(b))
	s.gathering.Store(true)
	defer s.gathering.Store(false)
	g.Gather()
	n, err = s.conn.Write(b)
	kept, written, flushed := g.Flush()
	if err == nil {
		err = flushed
	}
	return part(n, written, kept), err
}

// part is how much of n bytes was written when written of the kept ones were that
// became of them: near enough, and less than n if that was not all.
func part(n, written, kept int) int {
	if written == kept {
		return n
	}
	return n * written / kept
}

// hangUp closes the connection, at once even if a batch is being written: so
// does Close of TLS during a Write, but it does not know that Flush is one, and
// would wait for it to say goodbye.
func (s *Session) hangUp() {
	if s.gathering.Load() {
		s.gatherer.Close()
	}
	s.conn.Close()
}
