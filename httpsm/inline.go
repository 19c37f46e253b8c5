package httpsm

import (
	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/prefetch"
)

// A goroutine for each transaction costs a stack that is grown by copying, and
// being parked and woken up to three times. Most transactions on a virtual
// connection have nothing to wait for but the origin's answer, and need none:
// they run in segments, each on the goroutine of whoever has news for them.
//
//	AcceptVConn   the session that opened the stream      until the request is written
//	Resume        the origin connection that was awaited  until the response is passed on
//	serveVConn    a goroutine of the Machine's crews      to the end, waiting as needed
//
// A segment runs the same steps and decisions as drive, with inline set: a step
// that would have to wait returns evWait instead, in such a state that it can be
// called again. The transaction is then handed to a goroutine of its crew, once
// and for all, which calls that step again and may wait. So nothing of what a
// transaction does depends on where it runs.
//
// Who owns the Txn, and holds the first of its two references: a segment, from
// its first line until it hands over. It hands over by Await that returned true
// (the connection then owns the Txn, and Resume may run before Await returns) or
// by crew.do, and touches nothing of the Txn after that; or it ends the
// transaction. What comes from other sides meanwhile (leave, kill) touches only
// what is marked as shared, and takes effect through the exchange, which is
// aborted: that resumes whoever awaits it.

var _ origin.Resumer = (*Txn)(nil)

// A handover is how a segment ends.
type handover uint8

const (
	atEnd    handover = iota // the transaction is over
	toOrigin                 // it waits for its origin, and for nothing else
	toCrew                   // it may have to wait
)

// runInline runs a segment.
func (t *Txn) runInline() {
	var next handover
	t.takeDesk()
	if !t.guard(func() { next = t.driveInline() }) {
		t.breakDown()
		next = atEnd
	}
	t.later = nil
	switch next {
	case atEnd:
		t.leaveVConn()
	case toCrew:
		t.crew.do(t.run)
	case toOrigin:
		if !t.mayBeHooked() {
			t.leaveDesk()
		}
		c, run := t.crew, t.run
		if !t.await.Await(t) {
			c.do(run)
		}
	}
}

// Resume goes on when the origin has answered, or will not; see
// [origin.Resumer].
func (t *Txn) Resume(later origin.Later) {
	t.resumed, t.later = true, later
	t.tick()
	t.runInline()
}

// Near names what the answer is going to touch. It is for who owns the transaction,
// and who awaits for it.
func (t *Txn) Near(l *prefetch.List) {
	prefetch.Add(l, t)
	t.cl.vc.Near(l)
}

// driveInline is drive as far as it goes without waiting.
func (t *Txn) driveInline() handover {
	if t.rec.Start.IsZero() {
		t.rec.Start = t.tick()
	}
	if t.explain != nil || t.hooked() {
		return toCrew
	}
	t.inline = true
	for t.state != StateFinish {
		if t.needsCrew() {
			t.inline = false
			return toCrew
		}
		ev := t.step()
		if ev.kind != evWait {
			t.apply(t.attribute(ev))
			continue
		}
		t.inline = false
		if t.awaitsHead() {
			t.ex.SetReadDeadline(t.originDeadline(t.since, t.m.cfg.Timeouts.ResponseHead))
			return toOrigin
		}
		return toCrew
	}
	t.finish()
	t.inline = false
	return atEnd
}

// hooked: there are hooks for t, which may block. Those that are registered
// while a segment runs are registered after it.
func (t *Txn) hooked() bool {
	return t.hooks != nil || t.m.cfg.Hooks.any() || t.sessionHooks.any()
}

// needsCrew: what comes next may wait, or is too rare to be made not to.
func (t *Txn) needsCrew() bool {
	return t.state > StateExchange || t.special
}

// awaitsHead: the step that returned evWait waits for the first byte of a
// response, for the first time.
func (t *Txn) awaitsHead() bool {
	return t.state == StateExchange && t.respDir == dirHead && !t.resumed && t.await != nil
}

// beginExchange gets an exchange without waiting: nil if there is none. A retry
// is not to meet what it is tried again for, and goes alone.
func (t *Txn) beginExchange() origin.Awaitable {
	if t.rec.Retries > 0 {
		return nil
	}
	if t.inline {
		return t.ep.TryGet(!idempotent(t.req.Method()) || t.m.cfg.Retries == 0, t.rec.Session.Lane)
	}
	return nil
}

// untouched: nobody but who ran the segments, and the observer of the virtual
// connection, can have had to do with t, or with that connection.
func (t *Txn) untouched() bool {
	return t.own.vc != nil && !t.waited && !t.up.hasBody() && !t.gone.Load() && !t.killed.Load()
}
