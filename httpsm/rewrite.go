package httpsm

import (
	"strconv"
	"time"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/pitag"
)

// Names of fields that are added, as bytes so that adding copies them only.
var (
	nameVia              = []byte("Via")
	nameDate             = []byte("Date")
	nameConnection       = []byte("Connection")
	nameContentLength    = []byte("Content-Length")
	nameTransferEncoding = []byte("Transfer-Encoding")
	nameForwardedFor     = []byte("X-Forwarded-For")
	nameForwardedProto   = []byte("X-Forwarded-Proto")
	nameForwardedHost    = []byte("X-Forwarded-Host")

	valueClose     = []byte("close")
	valueKeepAlive = []byte("keep-alive")
	valueChunked   = []byte("chunked")
	valueTE        = []byte("TE")
	valueHTTP      = []byte("http")
	valueHTTPS     = []byte("https")
)

// buildRequest makes the origin's head out of the client's, has hooks see it,
// and puts it into reqOut together with what is there of the body.
func (t *Txn) buildRequest() event {
	if err := t.rewriteRequest(); err != nil {
		return requestBad(err)
	}
	if ev := t.hookEvent(SendRequestHead); ev.kind != evNone {
		return ev
	}
	if id, ok := t.oreq.Fields.Get("X-Request-Id"); ok && string(id) != t.rec.RequestID {
		t.rec.RequestID = string(id)
	}
	u := &t.up
	u.chunked = u.hasBody() && (u.framing.Kind == h1.Chunked || u.transform != nil)
	if u.transform != nil && u.framing.Kind == h1.Length && u.framing.Length == 0 {
		u.chunked, u.transform = false, nil // nothing to transform
	}
	if err := t.frameRequestHead(); err != nil {
		return event{kind: evFault, err: err}
	}
	if v, ok := t.oreq.Fields.Get("Expect"); ok {
		u.expects = h1.EqualFold(v, "100-continue")
	}
	if t.explain != nil {
		t.explain.request(t)
	}
	t.reqOut = h1.AppendRequestHead(t.reqOut[:0], &t.oreq)
	if ev := t.takeFirst(); ev.kind != evNone {
		return ev
	}
	t.built = true
	return event{kind: evNone}
}

// rewriteRequest: RFC 9110 section 7.6 and protocol.md 6 and 7.
func (t *Txn) rewriteRequest() error {
	h := &t.oreq
	h.Reset()
	if err := h.SetMethod(t.req.Method()); err != nil {
		return err
	}
	if err := h.SetTarget(t.req.Path()); err != nil {
		return err
	}
	f := &h.Fields
	f.CopyFrom(&t.req.Fields)
	if err := h1.RemoveHopByHop(f, true); err != nil {
		return err
	}
	f.DelFunc(clientForwarding)
	if f.Has("TE") { // RFC 9110 section 10.1.4
		if err := f.AddBytes(nameConnection, valueTE); err != nil {
			return err
		}
	}
	if !f.Has("Host") { // HTTP/1.0
		if err := f.Add("Host", t.ep.Addr()); err != nil {
			return err
		}
	}
	if t.req.Minor() == 0 {
		f.Del("Expect") // RFC 9110 section 10.1.1: not meant by HTTP/1.0
	}
	if err := t.lowerMaxForwards(f); err != nil {
		return err
	}
	if err := f.AddBytes(nameVia, t.m.requestVia(t)); err != nil {
		return err
	}
	return t.addForwarded(f)
}

// clientForwarding finds what clients may say about who they are, which counts
// from trusted peers only, and none is trusted.
func clientForwarding(name, _ []byte) bool {
	switch len(name) {
	case len("forwarded"):
		return h1.EqualFold(name, "forwarded")
	case len("x-forwarded-for"):
		return h1.EqualFold(name, "x-forwarded-for")
	case len("x-forwarded-host"): // as long as x-forwarded-port
		return h1.EqualFold(name, "x-forwarded-host") || h1.EqualFold(name, "x-forwarded-port")
	case len("x-forwarded-proto"):
		return h1.EqualFold(name, "x-forwarded-proto")
	}
	return false
}

func (t *Txn) addForwarded(f *h1.Fields) error {
	if addr := t.rec.Session.Client.Addr(); addr.IsValid() {
		t.scratch = addr.Unmap().AppendTo(t.scratch[:0])
		if err := f.AddBytes(nameForwardedFor, t.scratch); err != nil {
			return err
		}
	}
	scheme := valueHTTP
	if t.rec.Session.TLS != nil {
		scheme = valueHTTPS
	}
	if err := f.AddBytes(nameForwardedProto, scheme); err != nil {
		return err
	}
	if host := t.req.Authority(); len(host) > 0 {
		return f.AddBytes(nameForwardedHost, host)
	}
	return nil
}

// lowerMaxForwards: RFC 9110 section 7.6.2. That it is not 0 was looked at
// before; a value that is no number is not ours to judge.
func (t *Txn) lowerMaxForwards(f *h1.Fields) error {
	if m := t.req.Method(); m != "TRACE" && m != "OPTIONS" {
		return nil
	}
	v, ok := f.Get("Max-Forwards")
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(string(v), 10, 31)
	if err != nil || n == 0 {
		return nil
	}
	return f.Set("Max-Forwards", strconv.FormatUint(n-1, 10))
}

// frameRequestHead sets the framing fields, whatever hooks did to them: the
// bytes that follow are framed here and nowhere else.
func (t *Txn) frameRequestHead() error {
	u, f := &t.up, &t.oreq.Fields
	f.Del("Transfer-Encoding")
	if t.upgrade.asked {
		f.Del("Content-Length")
		return t.frameUpgrade(f)
	}
	if u.chunked {
		f.Del("Content-Length")
		return f.AddBytes(nameTransferEncoding, valueChunked)
	}
	if u.framing.Kind == h1.Length {
		return t.setLength(f, u.framing.Length)
	}
	f.Del("Content-Length")
	switch t.oreq.Method() { // RFC 9110 section 8.6: methods that expect a body
	case "POST", "PUT", "PATCH":
		return t.setLength(f, 0)
	}
	return nil
}

// setLength makes f say Content-Length n once, leaving it alone if it does.
func (t *Txn) setLength(f *h1.Fields, n int64) error {
	t.scratch = strconv.AppendInt(t.scratch[:0], n, 10)
	if v, ok := f.Get("Content-Length"); ok && f.Count("Content-Length") == 1 && string(v) == string(t.scratch) {
		return nil
	}
	f.Del("Content-Length")
	return f.AddBytes(nameContentLength, t.scratch)
}

// requestVia is our Via member with the version the request came in (RFC 9110
// section 7.6.3) and a pseudonym that no other instance has, so that a loop can
// be told from a chain.
func (m *Machine) requestVia(t *Txn) []byte {
	switch tag := t.rec.Session.Identity.Tag; {
	case tag == pitag.TagH2, tag == pitag.TagH2C:
		return m.via2
	case t.req.Minor() == 0:
		return m.via10
	}
	return m.via11
}

// rewriteResponse: what an origin says of its own connection goes, Via and, if
// it is missing, Date come (RFC 9110 section 6.6.1).
func (t *Txn) rewriteResponse() error {
	f := &t.resp.Fields
	via := t.m.responseVia11
	if t.resp.Minor() == 0 {
		via = t.m.responseVia10
	}
	if err := h1.RemoveHopByHop(f, false); err != nil {
		return err
	}
	if err := f.AddBytes(nameVia, via); err != nil {
		return err
	}
	return addDate(f, t.now)
}

func addDate(f *h1.Fields, now time.Time) error {
	if f.Has("Date") {
		return nil
	}
	return f.AddBytes(nameDate, httpDate(now))
}
