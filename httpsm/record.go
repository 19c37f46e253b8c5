package httpsm

import (
	"time"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
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

// noteRequest notes what a record says of the request, as strings that a sink may
// keep when the head's buffer is gone. Who opened a virtual connection has most of
// them already; one is made of the rest.
func (t *Txn) noteRequest() {
	h := &t.req
	r := &t.rec
	r.Method = h.Method()
	r.Proto = t.proto(h.Minor())
	var known vconn.Request
	if t.cl.vc != nil {
		known = t.cl.vc.Request()
	}
	path := h.Path()
	if r.Method == "CONNECT" {
		path = nil
	}
	agent, _ := h.Fields.Value(h1.NameUserAgent)
	referer, _ := h.Fields.Value(h1.NameReferer)
	id, _ := h.Fields.Value(h1.NameXRequestID)
	words := [...]word{
		{&r.Host, h.Authority(), known.Host}, {&r.Path, path, known.Path}, {&r.UserAgent, agent, known.UserAgent},
		{&r.Referer, referer, ""}, {&r.RequestID, id, ""},
	}
	b := t.scratch[:0]
	for i := range words {
		b = append(b, words[i].unknown()...)
	}
	t.scratch = b
	if len(b) == 0 {
		return
	}
	all := string(b)
	for i := range words {
		if n := len(words[i].unknown()); n > 0 {
			*words[i].to, all = all[:n], all[n:]
		}
	}
}

// A word is one that a record is to say: text, which is known as a string or not.
type word struct {
	to    *string
	text  []byte
	known string
}

// unknown takes the string for it if that is known, and otherwise returns what one
// has to be made of.
func (w *word) unknown() []byte {
	if string(w.text) == w.known {
		*w.to = w.known
		return nil
	}
	return w.text
}

// noteUnread takes the words of whoever opened the virtual connection for a
// request whose head was never read: it was reset first.
func (t *Txn) noteUnread() {
	w, r := t.cl.vc.Request(), &t.rec
	if w.Method == "" {
		return
	}
	r.Method, r.Host, r.Path, r.UserAgent = w.Method, w.Host, w.Path, w.UserAgent
	r.Proto = t.proto(1)
}

// proto is the client's protocol, HTTP/1.minor if it is that, as logs write it.
func (t *Txn) proto(minor int) string {
	switch {
	case t.rec.Session.Identity.Tag == pitag.TagH2, t.rec.Session.Identity.Tag == pitag.TagH2C:
		return "HTTP/2.0"
	case minor == 0:
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
