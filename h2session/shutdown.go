package h2session

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// The phases of a session.
//
//	handshaking ──► serving ──► draining ──► leaving ──► closing
//
// draining: GOAWAY(2^31-1) is sent, and a PING behind it. Streams that the
// client opened before it knew are still served. leaving: the PING came back, or
// a second went by; GOAWAY names the last stream, and later ones are refused.
// closing: all streams have ended, or the session failed; what is queued is
// written, and no frame is looked at any more.
type phase uint8

const (
	handshaking phase = iota
	serving
	draining
	leaving
	closing
)

// drainWait is how long the second GOAWAY waits for the PING (RFC 9113, section
// 6.8: "at least one round-trip time").
const drainWait = time.Second

var drainPing = [8]byte{'h', '2', 'g', 'w', ' ', 'b', 'y', 'e'}

// goingAway is how the session ends. The first cause counts.
type goingAway struct {
	cause           pitag.Cause
	err             error
	codeOut, codeIn string // of GOAWAY frames, in RFC spelling; "" when none
	clientLeft      bool   // it sent GOAWAY
}

func (g *goingAway) because(c pitag.Cause, err error) {
	if g.cause == "" {
		g.cause, g.err = c, err
	}
}

// drain begins the end in two steps, so that no request that was on its way is
// lost.
func (m *machine) drain(cause pitag.Cause, now time.Time) {
	if m.phase >= draining {
		return
	}
	m.because(cause, nil)
	m.phase = draining
	m.noticeAt = now
	m.remind(now, drainWait)
	m.queueGoAway(maxWindow, codeNo, string(cause))
	m.queuePing(false, drainPing)
}

// leave is the second step.
func (m *machine) leave(now time.Time) {
	if m.phase != draining {
		return
	}
	m.phase = leaving
	m.queueGoAway(m.maxID, codeNo, string(m.cause))
	m.settle()
}

// clientLeaves finishes what is open because the client sent GOAWAY.
func (m *machine) clientLeaves() {
	m.clientLeft = true
	m.settle()
}

// settle closes a session that either side is leaving, when nothing is left to
// do.
func (m *machine) settle() {
	if m.streams.n > 0 || m.phase != leaving && !m.clientLeft {
		return
	}
	m.because(pitag.CauseClientClosed, nil)
	m.phase = closing
}

// fail ends the session at once with GOAWAY: nothing of its streams is delivered
// any more.
func (m *machine) fail(code Code, debug string, cause pitag.Cause, err error, now time.Time) {
	if m.phase == closing {
		return
	}
	m.because(cause, err)
	m.queueGoAway(m.maxID, code, debug)
	m.abandon(now)
}

// failFor ends the session for a fault of the client's, a ConnError.
func (m *machine) failFor(err error, now time.Time) {
	e := err.(*ConnError)
	cause := e.cause
	if cause == "" {
		cause = pitag.CauseClientError
	}
	m.fail(e.Code, e.Reason, cause, e, now)
}

// abandon resets every virtual connection, without a frame for each: the client
// is told by GOAWAY, or is gone.
func (m *machine) abandon(now time.Time) {
	m.phase = closing
	for st := range m.streams.all() {
		st.state = closed
		m.release(st, now)
		if st.live || st.opening {
			st.zombie = true
			m.zombies++
			m.disconnect(st, op{conn: st.link(), kind: opReset, code: codeCancel, why: reasonOf(m.cause)})
		}
	}
}

// reasonOf says why the streams of a session that ends with cause are cut off.
func reasonOf(cause pitag.Cause) vconn.Reason {
	if strings.HasPrefix(string(cause), "flood:") {
		return vconn.ReasonFault
	}
	switch cause {
	case pitag.CauseClientError:
		return vconn.ReasonFault
	case pitag.CauseWriteStall, pitag.CauseHeadTimeout, pitag.CausePrefaceTimeout:
		return vconn.ReasonSlow
	case pitag.CauseDrain:
		return vconn.ReasonShutdown
	case pitag.CauseInternal:
		return vconn.ReasonInternal
	}
	return vconn.ReasonLeft
}

// clocks are the times that the session's timeouts count from. The zero time
// means that nothing is being waited for.
type clocks struct {
	born         time.Time
	age          time.Duration // session_age, jittered; 0 = off
	idleSince    time.Time     // valid while no stream is open
	headSince    time.Time     // a header block has begun and not ended
	writeSince   time.Time     // a conn.Write has begun and not returned
	starvedSince time.Time     // a response waits for the session window
	noticeAt     time.Time     // the first GOAWAY was queued
	wokeUp       time.Time     // the session's last rest ended
	resting      bool          // it rests, or was told to

	// alarm is when tick is to be called; the zero time means never.
	alarm      time.Time
	alarmMoved bool // the driver's timer is set to something later
}

// remind makes tick be called when wait has gone by, 0 meaning never. Times that
// move back all the time, as that of an idle session, need no more than this at
// their start: tick looks again.
func (c *clocks) remind(since time.Time, wait time.Duration) {
	if wait != 0 {
		c.remindAt(since.Add(wait))
	}
}

func (c *clocks) remindAt(at time.Time) {
	if c.alarm.IsZero() || at.Before(c.alarm) {
		c.alarm, c.alarmMoved = at, true
	}
}

func (m *machine) start(now time.Time) {
	m.born, m.idleSince = now, now
	if d := m.cfg.sessionAge(); d > 0 {
		// A tenth either way: clients that came together should not leave
		// together.
		m.age = d - d/10 + rand.N(d/5+1)
		m.remind(now, m.age)
	}
	m.remind(now, m.cfg.preface())
}

// A deadlines collects the earliest of several times.
type deadlines struct{ now, next time.Time }

// passed reports whether since+d has come. If not, it is a time to look again.
func (d *deadlines) passed(since time.Time, wait time.Duration) bool {
	if since.IsZero() || wait == 0 {
		return false
	}
	at := since.Add(wait)
	if !at.After(d.now) {
		return true
	}
	if d.next.IsZero() || at.Before(d.next) {
		d.next = at
	}
	return false
}

// tick does what the time asks for and sets the alarm for the next look. cut
// means that the connection takes nothing any more and has to be closed without
// a word, rest that the session is to be sent to rest.
func (m *machine) tick(now time.Time) (cut, rest bool) {
	m.alarm, m.alarmMoved = time.Time{}, false
	d := deadlines{now: now}
	cut = m.expire(&d)
	rest = !cut && m.rests(&d)
	if !d.next.IsZero() {
		m.remindAt(d.next)
	}
	return cut, rest
}

func (m *machine) expire(d *deadlines) (cut bool) {
	now := d.now
	stall := m.cfg.writeStall()
	if d.passed(m.writeSince, stall) {
		m.because(pitag.CauseWriteStall, nil)
		m.abandon(now)
		return true
	}
	if m.phase == closing {
		return false
	}
	switch {
	case !m.settingsSeen && d.passed(m.born, m.cfg.preface()):
		m.fail(codeNo, "no preface", pitag.CausePrefaceTimeout, nil, now)
	case d.passed(m.headSince, m.cfg.headTimeout()):
		m.fail(codeNo, "unfinished header block", pitag.CauseHeadTimeout, nil, now)
	case d.passed(m.starvedSince, stall):
		m.fail(codeNo, "session window shut", pitag.CauseWriteStall, nil, now)
	case m.phase == draining && d.passed(m.noticeAt, drainWait):
		m.leave(now)
	case d.passed(m.born, m.age) && m.phase <= serving:
		m.drain(pitag.CauseMaxAge, now)
	case m.settingsSeen && m.phase <= serving && m.streams.n == 0 && d.passed(m.idleSince, m.cfg.sessionIdle()):
		m.drain(pitag.CauseIdleTimeout, now)
	default:
		m.cancelStalled(d, stall)
	}
	return false
}

// cancelStalled resets the streams whose window stayed shut for too long.
func (m *machine) cancelStalled(d *deadlines, stall time.Duration) {
	for st := range m.streams.all() {
		if st.stall == stallStream && d.passed(st.stalledAt, stall) {
			m.reset(st, codeCancel, Local, vconn.ReasonSlow, d.now)
		}
	}
	m.settle()
}
