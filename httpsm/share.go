package httpsm

import (
	"errors"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/h1"
)

// Where an endpoint is configured for it, requests that may safely be sent twice
// share connections to it: they are pipelined (RFC 9112 section 9.3.2). To the
// transaction such an exchange is one as any other, except in how it ends: its
// connection is also that of other clients, who are not to suffer from what
// happens to this one.

// share gets an exchange on a connection that other requests use too; nil: the
// request goes alone. One that is tried again always does.
func (t *Txn) share() origin.Shared {
	if t.rec.Retries > 0 || t.alone || t.m.cfg.Retries == 0 || !shareable(&t.req) || t.up.hasBody() || t.upgrade.asked {
		return nil
	}
	t.shared = t.ep.Share(t.rec.Session.Lane)
	return t.shared
}

// shareable: the method is safe (RFC 9110 section 9.2.1) and means nothing but a
// response, and no 100 Continue is waited for.
func shareable(h *RequestHead) bool {
	switch h.Method() {
	case "GET", "HEAD", "OPTIONS":
		return !h.Fields.HasName(h1.NameExpect)
	}
	return false
}

// unshare gives an exchange back on which nothing was sent, because hooks have
// made something of the request that may not share a connection.
func (t *Txn) unshare() event {
	t.dropOrigin(true)
	return event{kind: evUnshared}
}

// noteKeepAlive tells the endpoint that it can keep connections open, which is
// what sharing them begins with.
func (t *Txn) noteKeepAlive() {
	if t.shared == nil && t.resp.Minor() == 1 && t.originReusable() {
		t.ep.KeptAlive()
	}
}

// sharedFailed sorts what only a shared connection can fail with; evNone: it is
// a failure like that of any other.
func (t *Txn) sharedFailed(err error) event {
	switch {
	case t.shared == nil:
	case errors.Is(err, origin.ErrBehind), err == errOriginWait && !t.gotBytes && t.shared.Behind():
		return event{kind: evOriginBehind, err: err}
	case errors.Is(err, origin.ErrLast):
		return event{kind: evOriginLast, err: err}
	case errors.Is(err, origin.ErrStray):
		return event{kind: evResponseBad, err: err}
	}
	return event{kind: evNone}
}

// blames reports whether an event is the origin's doing, or leaves unknown how
// far its response was read: the connection is then of no use to anybody.
func blames(k eventKind) bool {
	switch k {
	case evSendFailed, evResponseBad, evResponseTimeout, evOriginClosed, evOriginIncomplete, evOriginLast, evFault:
		return true
	}
	return false
}

// endTurn ends the use of a shared connection. A response that is still to come,
// and that nobody waits for any more, has to be read all the same, so that those
// behind it get theirs.
func (t *Txn) endTurn(sh origin.Shared, reusable bool) {
	switch {
	case reusable || !t.requestLeft:
		sh.Release(true)
	case t.blamed || t.respDir == dirDone || t.killed.Load():
		sh.Release(false)
	default:
		t.discardRest(sh)
	}
}

// discardRest leaves the rest of the response to a discard.
func (t *Txn) discardRest(sh origin.Shared) {
	d := discards.Get().(*discard)
	d.ex, d.limits = sh, t.m.responseLimits
	d.method = t.asked.method
	switch {
	case t.framed: // and in part read
		d.body, t.respBody = t.respBody, d.body
		d.inBody, d.keep = true, t.originKeep
	case t.respDir == dirBody: // its head is read, and no more
		f, err := h1.ResponseFraming(&t.resp, d.method)
		if err != nil {
			d.end(false)
			return
		}
		d.begin(f, h1.ResponseKeepAlive(&t.resp))
	}
	d.start()
}
