package h2session

import (
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/h2gw/h2gw/internal/h1"
)

// A session at rest. Most connections of a front door have nothing to say for
// most of their life, and what they hold meanwhile decides how many fit. When no
// stream was open for a while, the timer sends the session to rest: the write
// loop ends until there is something to write, and the read loop gives its
// buffers back and goes on in a fresh goroutine, which waits in a few small
// frames. What the old one's stack had grown to is free for others.

// restAfter is how long a session has no stream, and no other wake-up, before it
// rests: more than the pauses within a page load, which are not to pay for it.
const restAfter = time.Second

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// rests decides whether the session is to rest now. If not yet, it is a reason
// to look again.
func (m *machine) rests(d *deadlines) bool {
	if m.resting || m.phase != serving || m.streams.n > 0 {
		return false // what ends this reminds
	}
	since := m.idleSince
	if m.wokeUp.After(since) {
		since = m.wokeUp
	}
	if !d.passed(since, restAfter) {
		return false
	}
	if m.live > 0 || !m.headSince.IsZero() || !m.writeSince.IsZero() || m.wantsWrite() {
		d.passed(d.now, restAfter) // soon
		return false
	}
	return true
}

// sendToRest makes both loops look up: the write loop by its condition, the read
// loop by a deadline that has passed. It is set under Session.mu, as all in this
// file, so that it cannot take the place of the one that bounds a closing.
func (s *Session) sendToRest() {
	s.m.resting = true
	s.drowsy.Store(true)
	switch {
	case s.loan.out: // cannot be: it would not be a rest
	case s.loop == writeIdle:
		s.out.rest()
	case s.loop == writeRuns:
		s.wakeLoop()
	}
	if s.turns.polled {
		go s.news(nil)
		return
	}
	s.conn.SetReadDeadline(longAgo)
}

// Resettle has the sessions that rest lie down once more, each in a new goroutine.
// A goroutine begins with a stack as large as the average of those the collector
// has found in use last, and that of a waiting one does not shrink below 4 KiB: a
// session that went to rest in the midst of a burst of connections has twice the
// stack of one that did so after a quiet collection. It returns before that is
// done, and says how many sessions it is. OnRest is called as for every rest.
func (s *Server) Resettle() (sessions int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ss := range s.sessions {
		ss.lock()
		if ss.m.resting && ss.m.phase == serving && !ss.drowsy.Load() && !ss.turns.polled {
			ss.drowsy.Store(true)
			ss.conn.SetReadDeadline(longAgo)
			sessions++
		}
		ss.unlock()
	}
	return sessions
}

// lieDown is for the read loop when a read has failed in a drowsy session. It
// reports whether the session rests now; otherwise reading goes on.
func (s *Session) lieDown() bool {
	s.lock()
	defer s.unlock()
	m := s.m
	s.drowsy.Store(false)
	if m.phase == closing {
		s.conn.SetReadDeadline(time.Now().Add(linger))
		return false
	}
	s.conn.SetReadDeadline(time.Time{})
	if m.phase != serving || m.streams.n > 0 || s.block.id != 0 || !s.in.rest() {
		m.rouse(time.Now())
		return false
	}
	s.dropScratch()
	s.block.rest()
	m.spare, m.nspare = nil, 0
	m.streams = streamTable{}
	if len(m.ctrl) == 0 {
		m.ctrl = nil
	}
	return true
}

// awake ends the rest, for the read loop: there is something to read.
func (s *Session) awake() {
	if s.scratch == nil {
		s.scratch = scratches.Get().(*scratch)
	}
	s.lock()
	defer s.unlock()
	s.m.rouse(time.Now())
}

func (m *machine) rouse(now time.Time) {
	m.resting, m.wokeUp = false, now
	m.remind(now, restAfter)
}

// rest lets go of what the next block makes anew.
func (b *headerBlock) rest() { b.fields, b.dec.text, b.dec.rest = nil, nil, nil }

// A scratch is what the read loop translates requests with. What is in it has no
// meaning from one frame to the next.
type scratch struct {
	req    request
	fields h1.Fields // trailers
	text   []byte    // HTTP/1.1 text on its way into a virtual connection
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (s *Session) dropScratch() {
	if s.scratch != nil {
		scratches.Put(s.scratch)
		s.scratch = nil
	}
}

// awaitInput waits until conn has something to read or has come to its end. It
// needs no buffer, and little stack. Where conn is no socket only a read can wait,
// so it returns at once.
func awaitInput(conn net.Conn) {
	if s := socketOf(conn); s != nil {
		if raw, err := s.SyscallConn(); err == nil {
			_ = raw.Read(readable) // an error is the next Read's, too
		}
	}
}

// socketOf finds the socket beneath what is wrapped around it; nil when there is
// none, or when a wrapper has input of its own.
func socketOf(conn net.Conn) syscall.Conn {
	for conn != nil {
		if s, ok := conn.(syscall.Conn); ok {
			return s
		}
		w, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = w.NetConn()
	}
	return nil
}

// rest lets go of what the next response makes anew.
func (w *puller) rest() {
	w.enc.rest()
	w.head = h1.ResponseHead{}
}
