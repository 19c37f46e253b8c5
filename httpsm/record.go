package httpsm

import (
	"time"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/pitag"
)

// A Record is what is known about a transaction when it ends; the access log
// and the metrics are written from it. It is valid during OnRecord only, but
// its strings may be kept.
type Record struct {
	// Session is the client connection; never nil. A virtual connection that
	// was opened for none gets one with only its identity and client address.
	Session *pitag.Session
	// Stream is the HTTP/2 stream id, 0 = none; Txn the 1-based count of the
	// transaction on its client connection, 0 = not known.
	Stream uint32
	Txn    uint64

	// Of the request as received; "" when it could not be read. Proto is the
	// client's: HTTP/1.0, HTTP/1.1 or HTTP/2.0.
	Method, Host, Path, Proto string
	UserAgent, Referer        string
	RequestID                 string // X-Request-Id, as sent to the origin

	// Status is the client's: 499 when it left before the response head, 0
	// when it was given none (refused or aborted by us).
	Status  int
	Outcome Outcome
	// BytesIn and BytesOut count body bytes, without framing. BytesOut leaves
	// out what the client did not take from a virtual connection.
	BytesIn, BytesOut int64

	// Start is when the request began to be read, FirstByte when the first
	// byte of the response was written (zero: none was), End when both sides
	// had ended.
	Start, FirstByte, End time.Time

	Route, Group string
	// Origin is addr:port; "" none was chosen.
	Origin       string
	OriginConn   uint64
	OriginReused bool
	OriginStatus int // of the origin's final response; 0 none
	Retries      int

	// H2Error is the code the stream was reset with, by either side, in RFC
	// spelling; "" when it was not.
	H2Error string
	// Err is the detail behind an Outcome other than Completed: a *TxnError.
	Err error
}

// noteRequest copies what a record says of the request: one string for all, so
// that a sink may keep them and the head's buffer may go.
func (t *Txn) noteRequest() {
	h := &t.req
	r := &t.rec
	r.Method = h.Method()
	r.Proto = t.proto()
	host, path := h.Authority(), h.Path()
	agent, _ := h.Fields.Value(h1.NameUserAgent)
	referer, _ := h.Fields.Value(h1.NameReferer)
	id, _ := h.Fields.Value(h1.NameXRequestID)
	if m := r.Method; m == "CONNECT" {
		path = nil
	}
	b := append(t.scratch[:0], host...)
	b = append(b, path...)
	b = append(b, agent...)
	b = append(b, referer...)
	b = append(b, id...)
	t.scratch = b
	all := string(b)
	cut := func(n int) (s string) { s, all = all[:n], all[n:]; return s }
	r.Host, r.Path = cut(len(host)), cut(len(path))
	r.UserAgent, r.Referer, r.RequestID = cut(len(agent)), cut(len(referer)), cut(len(id))
}

// noteUnread takes the words of whoever opened the virtual connection for a
// request whose head was never read: it was reset first.
func (t *Txn) noteUnread() {
	w, r := t.cl.vc.Request(), &t.rec
	if w.Method == "" {
		return
	}
	r.Method, r.Host, r.Path, r.UserAgent = w.Method, w.Host, w.Path, w.UserAgent
	r.Proto = t.proto()
}

// proto is the client's protocol as logs write it.
func (t *Txn) proto() string {
	switch {
	case t.rec.Session.Identity.Tag == pitag.TagH2, t.rec.Session.Identity.Tag == pitag.TagH2C:
		return "HTTP/2.0"
	case t.req.Minor() == 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// fail notes why the transaction will not complete.
func (t *Txn) fail(a action, detail error) {
	t.rec.Outcome, t.rec.Err = a.outcome, nil
	if a.outcome != ProxyInternalResponse {
		t.rec.Err = &TxnError{Source: a.source, State: t.state, Outcome: a.outcome, Err: detail}
	}
}

// emit completes the record and hands it out. The transaction has ended, and so
// have both sides of its connection.
func (t *Txn) emit() {
	r := &t.rec
	r.End = time.Now()
	if t.cl.vc != nil {
		if r.Method == "" {
			t.noteUnread()
		}
		t.settle()
	} else {
		t.settleStatus(0)
	}
	if r.Outcome == "" {
		r.Outcome = Completed
	}
	if t.explain != nil {
		t.explain.log(t)
	}
	if t.m.cfg.OnRecord != nil {
		defer func() {
			if p := recover(); p != nil {
				t.m.panics.Add(1)
				t.m.cfg.Log.Error().Interface("panic", p).Msg("httpsm: a record sink panicked")
			}
		}()
		t.m.cfg.OnRecord(r)
	}
}

// settle looks at what the client really took from a virtual connection.
func (t *Txn) settle() {
	r := &t.rec
	lost, cause, byPeer := t.cl.vc.Ending()
	unread := int64(lost)
	if cause != nil {
		r.H2Error = codeName(cause.Code)
	}
	if unread > 0 {
		// Body bytes came last, so that what was lost is body first. The framing
		// of chunks counts as body here: never more than was delivered.
		r.BytesOut = max(0, r.BytesOut-unread)
		if r.Outcome == "" && (byPeer || cause == nil) {
			o, src := outcomeOfLeaving(t.cl.whyGone())
			r.Outcome = o
			r.Err = &TxnError{Source: src, State: StateFinish, Outcome: o, Err: errConnClosed}
		}
	}
	t.settleStatus(unread)
}

// settleStatus takes a status back that never came to the client: lost bytes of
// its head were left unread, or not even written.
func (t *Txn) settleStatus(lost int64) {
	if !t.headSent || int64(t.cl.bytesOut)-lost >= t.headBytes {
		return
	}
	t.rec.Status = 0
	if t.rec.Outcome == ClientAbort {
		t.rec.Status = 499
	}
}
