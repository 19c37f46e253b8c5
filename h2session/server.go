package h2session

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// A Server serves HTTP/2 client connections. Set its fields before the first
// session and do not change them after; its methods are safe for concurrent use.
// A Server must not be copied.
type Server struct {
	// Connector opens a virtual connection for each stream. Required.
	Connector *vconn.Connector
	// Config says how sessions are served; the zero Config works.
	Config Config

	panics   atomic.Uint64
	told     floodLog
	reminder reminder

	mu       sync.Mutex
	sessions map[*Session]struct{}
	draining bool
	idle     chan struct{} // closed when the last session has ended; nil when nobody waits
	done     counters      // of sessions that have ended
	goAways  map[GoAway]uint64
}

// ServeConn serves conn, whose TLS handshake is done or which is cleartext, until
// it ends. It owns conn and closes it. The error is the reason when the session
// ended for a fault of either side, else nil. When ctx ends the session is
// aborted.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn, id pitag.Identity) error {
	sess := &pitag.Session{
		Identity: id, Start: time.Now(),
		Client: addrPort(conn.RemoteAddr()), Local: addrPort(conn.LocalAddr()),
	}
	if c, ok := conn.(*tls.Conn); ok {
		state := c.ConnectionState()
		sess.TLS = &state
	}
	return s.ServeSession(ctx, conn, sess).Err
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort()
	}
	if a == nil {
		return netip.AddrPort{}
	}
	ap, _ := netip.ParseAddrPort(a.String())
	return ap
}

// ServeSession serves conn as ServeConn does, for a session that the caller
// describes, and returns what is to be recorded of it. It returns when both of
// the session's goroutines have ended and all its virtual connections are closed
// on both ends, so that what transactions record and what it returns agree.
func (s *Server) ServeSession(ctx context.Context, conn net.Conn, sess *pitag.Session) *pitag.SessionRecord {
	over := make(chan *pitag.SessionRecord, 1)
	ss := s.begin(conn, sess, func(r *pitag.SessionRecord) { over <- r })
	stop := context.AfterFunc(ctx, func() { ss.abort(pitag.CauseDrain) })
	defer stop()
	ss.serve(false)
	return <-over
}

// ServeUntilRest serves conn as ServeSession does, but returns when the session
// rests for the first time, if that comes before its end, and at once where conn
// can be polled; over is called at the end in either case. It saves the goroutine
// that would wait for the end, which is much of what an idle session costs.
func (s *Server) ServeUntilRest(conn net.Conn, sess *pitag.Session, over func(*pitag.SessionRecord)) {
	s.begin(conn, sess, over).serve(false)
}

func (s *Server) begin(conn net.Conn, sess *pitag.Session, over func(*pitag.SessionRecord)) *Session {
	ss := newSession(s, conn, sess)
	ss.over = over
	ss.loop = writeIdle
	ss.gatherer, ss.records = gathererOf(conn)
	ss.poll()
	s.add(ss)
	return ss
}

func (s *Server) add(ss *Session) {
	s.mu.Lock()
	if s.sessions == nil {
		s.sessions = make(map[*Session]struct{})
	}
	s.sessions[ss] = struct{}{}
	draining := s.draining
	s.mu.Unlock()
	if draining {
		ss.drain(pitag.CauseDrain)
	}
}

func (s *Server) remove(ss *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, ss)
	ss.mu.Lock()
	s.done.add(&ss.m.count)
	for _, g := range ss.m.count.goAways {
		if s.goAways == nil {
			s.goAways = make(map[GoAway]uint64)
		}
		s.goAways[g.GoAway] += g.n
	}
	ss.mu.Unlock()
	if s.idle != nil && len(s.sessions) == 0 {
		close(s.idle)
		s.idle = nil
	}
}

// Drain begins the graceful end of every session: GOAWAY in two steps, and a
// close when the streams have ended. Sessions that begin later are drained at
// once. It does not wait.
func (s *Server) Drain() {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	for _, ss := range s.open() {
		ss.drain(pitag.CauseDrain)
	}
}

// open returns the sessions of now, so that they can be told something with no
// lock of the Server held.
func (s *Server) open() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.sessions))
}

// Shutdown drains, and waits until all sessions have ended. When ctx ends first,
// those that are left are aborted (GOAWAY, close), which takes two seconds at
// most, and ctx's error is returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	idle := s.whenIdle()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	for _, ss := range s.open() {
		ss.abort(pitag.CauseDrain)
	}
	select {
	case <-idle:
	case <-time.After(2 * linger): // a transaction that does not heed its reset
	}
	return ctx.Err()
}

// whenIdle returns a channel that is closed when no session is left.
func (s *Server) whenIdle() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle != nil {
		return s.idle
	}
	c := make(chan struct{})
	if len(s.sessions) == 0 {
		close(c)
		return c
	}
	s.idle = c
	return c
}

// Stats returns counts over all sessions so far. It looks at every open session,
// so it is for a scrape, not for a request.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Sessions: int64(len(s.sessions)), Panics: s.panics.Load(),
		GoAways: make(map[GoAway]uint64), Stalled: make(map[string]time.Duration),
	}
	var sum counters
	sum.add(&s.done)
	for g, n := range s.goAways {
		st.GoAways[g] += n
	}
	for ss := range s.sessions {
		ss.mu.Lock()
		sum.add(&ss.m.count)
		for _, g := range ss.m.count.goAways {
			st.GoAways[g.GoAway] += g.n
		}
		st.Streams += int64(ss.m.streams.n)
		ss.mu.Unlock()
	}
	sum.addTo(&st)
	return st
}
