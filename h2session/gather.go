package h2session

import (
	"io"
	"net"
)

// A gatherer is the socket beneath TLS, if it can make one write of several: TLS
// writes each record by itself, and a batch is several. See internal/netio.
type gatherer interface {
	Gather()
	Flush() (kept, written int, err error)
	io.Closer
}

// tlsRecord is what fits into a TLS record.
const tlsRecord = 16 << 10

// gathererOf finds the gatherer beneath conn; nil when there is none, or no TLS.
func gathererOf(conn net.Conn) gatherer {
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok {
		g, _ := c.NetConn().(gatherer)
		return g
	}
	return nil
}

// send writes a batch.
func (s *Session) send(b []byte) (n int, err error) {
	g := s.gatherer
	if g == nil || len(b) <= tlsRecord {
		return s.conn.Write(b)
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
	if flushed != nil && kept > 0 {
		n = n * written / kept // near enough: the rest is lost
	}
	return n, err
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
