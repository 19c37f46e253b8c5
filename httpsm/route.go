package httpsm

import (
	"bytes"
	"errors"

	"github.com/h2gw/h2gw/internal/h1"
)

// allowed is what Allow says where a method is refused (RFC 9110 section
// 15.5.6 wants the field there).
const allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

var (
	errConnect   = errors.New("CONNECT: this gateway is not a forward proxy")
	errLoop      = errors.New("the request has passed this gateway before (Via)")
	errNoForward = errors.New("Max-Forwards is 0: the request goes no further (RFC 9110 section 7.6.2)")
)

// route refuses what cannot be served, and chooses the origin group.
func (t *Txn) route() event {
	if ev := t.admissible(); ev.kind != evNone {
		return ev
	}
	if ev := t.hookEvent(PreRoute); ev.kind != evNone {
		return ev
	}
	if t.group == nil {
		t.group = t.m.cfg.Origins
		if t.m.cfg.Route != nil {
			t.rec.Route, t.group = t.m.cfg.Route(t)
			if t.group == nil {
				return event{kind: evNoOrigin, err: errNoOrigin}
			}
		}
	}
	if ev := t.hookEvent(PostRoute); ev.kind != evNone {
		return ev
	}
	switch {
	case t.group != nil:
		t.rec.Group = t.group.Name()
	case t.cl.vc == nil || !t.cl.vc.Addr().IsValid():
		return event{kind: evNoOrigin, err: errNoOrigin}
	}
	return event{kind: evRouted}
}

// admissible holds the reasons to serve a valid request nowhere.
func (t *Txn) admissible() event {
	h := &t.req
	limit := t.m.cfg.Limits.RequestBody
	if wantsWebSocket(h) {
		if err := t.readUpgrade(); err != nil {
			return event{kind: evRequestBad, status: 400, err: err}
		}
	}
	switch {
	case h.Method() == "CONNECT":
		// The client may send what is meant for its tunnel without waiting for
		// us: that must not be taken for its next request.
		t.keep = false
		return event{kind: evRequestRefused, status: 405, err: errConnect}
	case t.misdirected():
		return event{kind: evRequestRefused, status: 421, err: errMisdirected}
	case t.m.seenBefore(&h.Fields):
		return event{kind: evRequestRefused, status: 508, err: errLoop}
	case limit > 0 && t.up.framing.Length > limit:
		return event{kind: evRequestBad, status: 413, err: errBodyTooLarge}
	case t.cl.vc != nil && t.up.readAll.Load() && !t.upgrade.asked && t.hasExcess():
		return event{kind: evRequestBad, status: 400, err: errTrailingBytes}
	case mustNotForward(h) && h.Method() == "OPTIONS":
		// We are the last recipient, and these are our options.
		t.Reply(200, []Field{{Name: "Allow", Value: allowed}}, nil)
		return event{kind: evHookReply, status: 200}
	case mustNotForward(h):
		return event{kind: evRequestRefused, status: 405, err: errNoForward}
	}
	return event{kind: evNone}
}

// hasExcess: something follows a request that has no body. While the transaction
// has not waited for anything, that is what followed its head.
func (t *Txn) hasExcess() bool {
	if t.inline {
		return t.excess
	}
	return t.cl.hasMore()
}

// seenBefore finds our own pseudonym, which no other instance has, in Via.
func (m *Machine) seenBefore(f *h1.Fields) bool {
	if !f.HasName(h1.NameVia) {
		return false
	}
	for i, n := 0, f.Len(); i < n; i++ {
		name, _, value := f.Line(i)
		if name != h1.NameVia {
			continue
		}
		if at := bytes.Index(value, m.pseudonym); at >= 0 {
			end := at + len(m.pseudonym)
			if (at == 0 || value[at-1] == ' ') && (end == len(value) || value[end] == ',' || value[end] == ' ') {
				return true
			}
		}
	}
	return false
}

// mustNotForward: RFC 9110 section 7.6.2, for the two methods it is about.
func mustNotForward(h *h1.RequestHead) bool {
	if m := h.Method(); m != "TRACE" && m != "OPTIONS" {
		return false
	}
	v, ok := h.Fields.Value(h1.NameMaxForwards)
	return ok && len(v) > 0 && len(bytes.Trim(v, "0")) == 0
}
