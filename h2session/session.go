package h2session

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/h2gw/h2gw/internal/prefetch"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// A Session is the HTTP/2 server side of one client connection. See the package
// comment for who owns what.
type Session struct {
	srv       *Server
	cfg       *Config
	sess      *pitag.Session
	conn      net.Conn
	connector *vconn.Connector
	explain   bool // at debug level: note what the translation does

	// The read loop's.
	in       frameReader
	block    *headerBlock
	*scratch         // nil at rest
	opened   *stream // connected, which the machine is still to be told; nil: none
	begins   beginnings
	turns    readTurns
	near     *prefetch.List // constant once others know of the session; nil: nobody asks
	answers  int            // how many of its first an answer touches, too
	prefaced int            // bytes of the preface that were checked
	greeted  bool
	taken    [2]uint64 // DATA and HEADERS frames that were not counted yet, by type

	// Who writes: the write loop, or who has the loan.
	out      puller
	bytesOut uint64
	gathers  bool // there may soon be more to write than there is

	gatherer  gatherer    // nil: there is none
	records   bool        // what is written goes through TLS
	gathering atomic.Bool // from Gather to the end of Flush

	account account // of what is buffered; its fields are atomic
	inbox   inbox
	held    atomic.Bool // no frame is to be taken as it comes; unlock keeps it
	drowsy  atomic.Bool // a read deadline has passed for the sake of resting

	mu      sync.Mutex
	m       *machine
	loop    writeState
	loan    loan
	writer  sync.Cond // something to write, or the end
	reader  sync.Cond // control frames were taken
	settled sync.Cond // live went to zero, or the write loop has had its last words
	timer   *time.Timer
	asleep  bool // the write loop waits, and has not been told to stop
	dead    bool // the connection is of no use any more

	over func(*pitag.SessionRecord)
}

func newSession(srv *Server, conn net.Conn, sess *pitag.Session) *Session {
	now := time.Now()
	s := &Session{
		srv: srv, cfg: &srv.Config, sess: sess, conn: conn,
		connector: srv.Connector,
		explain:   srv.Config.Log.Debug().Enabled(),
		in:        newFrameReader(conn, now),
		block:     newHeaderBlock(&srv.Config),
		scratch:   scratches.Get().(*scratch),
		m:         newMachine(&srv.Config, now),
	}
	s.account.open(&srv.Config)
	s.m.account, s.in.account = &s.account, &s.account
	s.out = puller{enc: newBlockEncoder(), frameSize: minFrameSize}
	s.writer.L, s.reader.L, s.settled.L = &s.mu, &s.mu, &s.mu
	s.timer = time.AfterFunc(time.Hour, s.onTimer) // unlock sets it
	return s
}

// unlock releases the lock, and then does what the machine asked for meanwhile.
func (s *Session) unlock() {
	m := s.m
	if held := m.holds(); held != s.held.Load() {
		s.held.Store(held)
	}
	switch {
	case m.phase == closing:
		s.wakeWriter()
		s.reader.Signal()
	case m.wantsWrite() || s.loan.owed:
		s.wakeWriter()
	}
	if m.alarmMoved {
		m.alarmMoved = false
		s.timer.Reset(time.Until(m.alarm))
	}
	passed := m.passed
	m.passed = 0
	if m.ops.n == 0 && passed == 0 {
		s.mu.Unlock()
		return
	}
	todo := m.ops
	m.ops = ops{}
	s.mu.Unlock()
	s.tellFloods(passed)
	for _, p := range todo.first[:todo.n] {
		p.do()
	}
	for _, p := range todo.more {
		p.do()
	}
}

// serve runs the read loop until the session rests, when a new goroutine takes
// its place, or to the end of everything that belongs to the session, both loops
// and all virtual connections: then it calls over.
func (s *Session) serve(rested bool) {
	if !rested && s.turns.polled {
		s.watchWaits()
		s.runTurns(nil) // TLS may have read already what there is
		return
	}
	if rested {
		if f := s.cfg.OnRest; f != nil {
			f()
		}
		awaitInput(s.conn)
	}
	if s.readLoop(rested) {
		go s.serve(true)
		return
	}
	s.end()
}

// end ends the session when nothing is read any more. It waits for what is left.
func (s *Session) end() {
	s.stop()
	s.finish()
}

// endTurns is end for who must not wait.
func (s *Session) endTurns() {
	pollableOf(s.conn).Poll(nil)
	if s.stop() {
		s.finish()
		return
	}
	go s.finish()
}

// stop ends what reading kept alive. It reports whether that was all.
func (s *Session) stop() (all bool) {
	if !s.stopped() {
		s.hangUp()
	}
	s.lock()
	defer s.mu.Unlock()
	return s.loop == writeEnded && s.m.live == 0
}

// finish waits for what is left of the session, and is the end of it.
func (s *Session) finish() {
	s.lock()
	for s.loop != writeEnded {
		s.settled.Wait()
	}
	s.mu.Unlock()
	s.conn.Close()
	s.lock()
	for s.m.live > 0 {
		s.settled.Wait()
	}
	s.mu.Unlock()
	s.timer.Stop()
	s.in.release()
	s.dropScratch()
	s.block.hold(&s.account, 0)
	s.account.close()
	r := s.record()
	s.srv.remove(s)
	s.over(r)
}

// stopped ends what reading kept alive. It reports whether the session was
// closing in order, so that the write loop still has its last words.
func (s *Session) stopped() (orderly bool) {
	s.lock()
	defer s.unlock()
	orderly = s.m.phase == closing && !s.dead
	s.dead = !orderly
	s.m.abandon(time.Now())
	return orderly
}

func (s *Session) record() *pitag.SessionRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.m
	r := &pitag.SessionRecord{
		Session: s.sess, End: time.Now(),
		Streams: m.opened, StreamsRefused: m.refused, StreamsPeak: m.peak,
		ResetsIn: m.resetsIn, ResetsOut: m.resetsOut,
		BytesIn: s.in.total, BytesOut: s.bytesOut,
		GoAway: m.codeOut, Cause: m.cause, Err: m.err,
	}
	if r.GoAway == "" {
		r.GoAway = m.codeIn
	}
	return r
}

// readLoop reads frames until the session rests, which it reports, or the
// connection ends. After the session has failed or was drained it reads on
// without looking, so that the client gets to see the last frames: closing a
// socket with unread bytes destroys what is in flight.
func (s *Session) readLoop(rested bool) (rests bool) {
	defer s.beginAll()
	defer s.recovered()
	defer s.handOver()
	var err error
	if s.turns.lies = rested; !rested {
		s.watchWaits()
		err = s.readPreface()
	}
	for err == nil {
		err = s.readFrame()
		if err != nil && s.drowsy.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
			if err = nil; s.lieDown() {
				return true
			}
		}
		if err != nil {
			err = s.fault(err)
		}
	}
	s.beginAll()
	if s.ending(err) {
		s.readOn()
	}
	return false
}

// readOn reads to the connection's end, or the deadline of a closing session.
func (s *Session) readOn() {
	var sink [512]byte
	for {
		n, err := s.conn.Read(sink[:])
		s.in.total += uint64(n)
		if err != nil {
			return
		}
	}
}

var errClosing = errors.New("h2session: the session is closing")

// fault answers a protocol error. The result is nil when the session goes on.
func (s *Session) fault(err error) error {
	s.lock()
	defer s.unlock()
	s.take()
	now := s.in.now
	switch e := err.(type) {
	case *StreamError:
		if err := s.m.chargeReset(e, now); err != nil {
			s.m.failFor(err, now)
			return errClosing
		}
		if st := s.m.streams.get(e.StreamID); st != nil {
			s.m.reset(st, e.Code, Local, vconn.ReasonFault, now)
			return nil
		}
		// Closed before: say so again, as RFC 9113, section 5.1, asks.
		s.m.tombs.note(e.StreamID, resetByUs)
		s.m.queueReset(e.StreamID, e.Code)
		return nil
	case *ConnError:
		s.m.failFor(e, now)
		return errClosing
	}
	return err
}

// ending says why reading ended, and whether what comes still has to be read: we
// are closing, and the write loop will end that by a deadline.
func (s *Session) ending(err error) (drain bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.m
	if m.phase == closing {
		return errors.Is(err, errClosing)
	}
	// A client that closes with nothing outstanding has closed cleanly, even
	// when it does not end TLS as it should; many do not.
	clean := err == io.EOF || err == io.ErrUnexpectedEOF || m.codeIn != ""
	switch {
	case clean && m.streams.n == 0 && s.block.id == 0:
		m.because(pitag.CauseClientClosed, nil)
	default:
		m.because(pitag.CauseClientReset, err)
	}
	return false
}

// recovered ends the session, and only it, after a panic in one of its
// goroutines. Whoever calls the machine releases the lock by defer, so it is
// free by now.
func (s *Session) recovered() {
	v := recover()
	if v == nil {
		return
	}
	s.panicked(v)
}

func (s *Session) panicked(v any) {
	s.srv.panics.Add(1)
	s.cfg.Log.Error().Str("pitag", s.sess.Identity.TagText()).Uint64("piid", s.sess.Identity.ID).
		Interface("panic", fmt.Sprint(v)).Bytes("stack", debug.Stack()).Msg("h2session: panic; session closed")
	s.lock()
	s.dead = true
	s.m.because(pitag.CauseInternal, fmt.Errorf("h2session: panic: %v", v))
	s.m.ctrl = nil
	s.m.abandon(time.Now())
	s.unlock()
	go s.hangUp() // who has met the panic may serve others, too
}

// onTimer is the session's one timer.
func (s *Session) onTimer() {
	defer s.recovered()
	if s.tick() {
		s.hangUp()
	}
}

func (s *Session) tick() (cut bool) {
	s.lock()
	defer s.unlock()
	if s.dead {
		return false
	}
	cut, rest := s.m.tick(time.Now())
	if rest {
		s.sendToRest()
	}
	s.dead = cut
	return cut
}

// drain begins the graceful end.
func (s *Session) drain(c pitag.Cause) {
	s.lock()
	defer s.unlock()
	s.m.drain(c, time.Now())
}

// abort ends the session without waiting for its streams: GOAWAY, close. A
// client that does not take the GOAWAY is not waited for.
func (s *Session) abort(c pitag.Cause) {
	defer s.conn.SetDeadline(time.Now().Add(linger))
	s.lock()
	defer s.unlock()
	s.m.because(c, nil)
	s.m.fail(codeNo, string(c), c, nil, time.Now())
}
