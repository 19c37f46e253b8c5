package httpsm

import (
	"strconv"
	"time"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/pitag"
)

// Fields that are added as they are, and sets of names that go.
var (
	lineClose       = h1.MustLine("Connection", "close")
	lineKeepAlive   = h1.MustLine("Connection", "keep-alive")
	lineConnTE      = h1.MustLine("Connection", "TE")
	lineChunked     = h1.MustLine("Transfer-Encoding", "chunked")
	lineProtoHTTP   = h1.MustLine("X-Forwarded-Proto", "http")
	lineProtoHTTPS  = h1.MustLine("X-Forwarded-Proto", "https")
	namesExpect     = h1.SetOf(h1.NameExpect)
	namesConnection = h1.SetOf(h1.NameConnection)
	namesLength     = h1.SetOf(h1.NameContentLength)
	namesCoding     = h1.SetOf(h1.NameTransferEncoding)
	namesFraming    = namesLength | namesCoding

	// What clients may say about who they are counts from trusted peers only, and
	// none is trusted.
	namesClientForwarding = h1.SetOf(h1.NameForwarded, h1.NameXForwardedFor, h1.NameXForwardedHost,
		h1.NameXForwardedPort, h1.NameXForwardedProto)
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
	if id, ok := t.oreq.Fields.Value(h1.NameXRequestID); ok && string(id) != t.rec.RequestID {
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
	if v, ok := t.oreq.Fields.Value(h1.NameExpect); ok {
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
	t.asked = asked{t.oreq.Method(), t.req.Method() == "HEAD", t.req.Minor() == 0}
	return event{kind: evNone}
}

// rewriteRequest: RFC 9110 section 7.6 and protocol.md 6 and 7.
func (t *Txn) rewriteRequest() error {
	if err := t.oreq.Forward(&t.req); err != nil {
		return err
	}
	t.oreqOwn = true
	f := &t.oreq.Fields
	if err := h1.RemoveHopByHop(f, true); err != nil {
		return err
	}
	f.DelNames(namesClientForwarding)
	if f.HasName(h1.NameTE) { // RFC 9110 section 10.1.4
		f.AddLine(lineConnTE)
	}
	if !f.HasName(h1.NameHost) { // HTTP/1.0
		if err := f.Add("Host", t.ep.Addr()); err != nil {
			return err
		}
	}
	if t.req.Minor() == 0 {
		f.DelNames(namesExpect) // RFC 9110 section 10.1.1: not meant by HTTP/1.0
	}
	if err := t.lowerMaxForwards(f); err != nil {
		return err
	}
	f.AddLine(t.requestVia())
	return t.addForwarded(f)
}

func (t *Txn) addForwarded(f *h1.Fields) error {
	if addr := t.rec.Session.Client.Addr(); addr.IsValid() {
		t.scratch = addr.Unmap().AppendTo(t.scratch[:0])
		if err := f.AddName(h1.NameXForwardedFor, t.scratch); err != nil {
			return err
		}
	}
	if t.rec.Session.TLS != nil {
		f.AddLine(lineProtoHTTPS)
	} else {
		f.AddLine(lineProtoHTTP)
	}
	if host := t.req.Authority(); len(host) > 0 {
		return f.AddName(h1.NameXForwardedHost, host)
	}
	return nil
}

// lowerMaxForwards: RFC 9110 section 7.6.2. That it is not 0 was looked at
// before; a value that is no number is not ours to judge.
func (t *Txn) lowerMaxForwards(f *h1.Fields) error {
	if m := t.req.Method(); m != "TRACE" && m != "OPTIONS" {
		return nil
	}
	v, ok := f.Value(h1.NameMaxForwards)
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
	f.DelNames(namesCoding)
	switch {
	case t.upgrade.asked:
		f.DelNames(namesLength)
		return t.frameUpgrade(f)
	case u.chunked:
		f.DelNames(namesLength)
		f.AddLine(lineChunked)
		return nil
	case u.framing.Kind == h1.Length:
		return t.setLength(f, u.framing.Length)
	}
	f.DelNames(namesLength)
	switch t.oreq.Method() { // RFC 9110 section 8.6: methods that expect a body
	case "POST", "PUT", "PATCH":
		return t.setLength(f, 0)
	}
	return nil
}

// setLength makes f say Content-Length n once, leaving it alone if it does.
func (t *Txn) setLength(f *h1.Fields, n int64) error {
	t.scratch = strconv.AppendInt(t.scratch[:0], n, 10)
	if v, once := f.Once(h1.NameContentLength); once && string(v) == string(t.scratch) {
		return nil
	}
	f.DelNames(namesLength)
	return f.AddName(h1.NameContentLength, t.scratch)
}

// viaLines are our Via fields with the version a message came in (RFC 9110 section
// 7.6.3). A request's has a pseudonym that no other instance has, so that a loop can
// be told from a chain.
type viaLines struct{ request10, request11, request2, response10, response11 h1.Line }

// newViaLines makes them of two tokens.
func newViaLines(pseudonym, name string) viaLines {
	return viaLines{
		request10: h1.MustLine("Via", "1.0 "+pseudonym), request11: h1.MustLine("Via", "1.1 "+pseudonym),
		request2:   h1.MustLine("Via", "2 "+pseudonym),
		response10: h1.MustLine("Via", "1.0 "+name), response11: h1.MustLine("Via", "1.1 "+name),
	}
}

func (t *Txn) requestVia() h1.Line {
	via := &t.m.via
	switch tag := t.rec.Session.Identity.Tag; {
	case tag == pitag.TagH2, tag == pitag.TagH2C:
		return via.request2
	case t.req.Minor() == 0:
		return via.request10
	}
	return via.request11
}

// rewriteResponse: what an origin says of its own connection goes, Via and, if
// it is missing, Date come (RFC 9110 section 6.6.1).
func (t *Txn) rewriteResponse() error {
	f := &t.resp.Fields
	via := t.m.via.response11
	if t.resp.Minor() == 0 {
		via = t.m.via.response10
	}
	if err := h1.RemoveHopByHop(f, false); err != nil {
		return err
	}
	f.AddLine(via)
	return addDate(f, t.now)
}

func addDate(f *h1.Fields, now time.Time) error {
	if f.HasName(h1.NameDate) {
		return nil
	}
	return f.AddName(h1.NameDate, httpDate(now))
}
