package httpsm

import (
	"bytes"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/vconn"
)

// An explanation gathers what a transaction does to a request and its response,
// for one line in the log. There are explanations at debug level only; otherwise
// a Txn has none, and pays for none.
//
// It looks at a head before and after: what it tells is what really happened,
// hooks included, whatever code did it.
type explanation struct {
	notes  *vconn.Notes // shared with the other end of a virtual connection
	before h1.Fields    // of the head that is being rewritten, as it came
}

// explained returns an explanation with the notes that cl came with, if it did.
func explained(cl *client) *explanation {
	if cl.vc != nil && cl.vc.Notes() != nil {
		return &explanation{notes: cl.vc.Notes()}
	}
	return &explanation{notes: new(vconn.Notes)}
}

// A fate is what became of a field.
type fate string

const (
	dropped  fate = "dropped"
	replaced fate = "replaced"
	added    fate = "added"
)

// request compares the origin's head with the client's.
func (e *explanation) request(t *Txn) {
	if t.req.Minor() == 0 {
		e.notes.Request("HTTP/1.0 becomes HTTP/1.1 (RFC 9110, 2.5)")
	}
	if !bytes.Equal(t.req.Target(), t.req.Path()) {
		e.notes.Request("the request target loses scheme and host, which are in Host (RFC 9112, 3.2.1)")
	}
	compare(&e.before, &t.oreq.Fields, func(name string, f fate) {
		e.notes.Request("%s %s: %s", name, f, e.whyRequest(h1.LowerName([]byte(name)), f))
	})
	switch u := &t.up; {
	case !u.hasBody():
	case u.transform != nil:
		e.notes.Request("the body goes chunked: a hook rewrites it (RFC 9112, 6.1)")
	case u.chunked:
		e.notes.Request("the body goes chunked, as it came (RFC 9112, 7.1)")
	case u.framing.Length > 0:
		e.notes.Request("the body goes by Content-Length, as it came (RFC 9112, 6.2)")
	}
}

// response compares the client's head with the origin's, whose body came as from
// says.
func (e *explanation) response(t *Txn, from h1.Framing) {
	if t.resp.Minor() == 0 {
		e.notes.Response("HTTP/1.0 becomes HTTP/1.1 (RFC 9110, 2.5)")
	}
	compare(&e.before, &t.resp.Fields, func(name string, f fate) {
		e.notes.Response("%s %s: %s", name, f, e.whyResponse(h1.LowerName([]byte(name)), f))
	})
	switch kind := t.out.kind; {
	case kind == h1.NoBody && t.out.skip:
		e.notes.Response("the body is dropped: this response cannot have one (RFC 9112, 6.3)")
	case kind == h1.UntilClose:
		e.notes.Response("the body ends with the connection: the client speaks HTTP/1.0 (RFC 9112, 6.3)")
	case kind == h1.Length && t.out.kind == from.Kind:
		e.notes.Response("the body goes by Content-Length, as it came (RFC 9112, 6.2)")
	case kind == h1.Chunked && t.transform != nil:
		e.notes.Response("the body goes chunked: a hook rewrites it (RFC 9112, 6.1)")
	case kind == h1.Chunked && from.Kind == h1.UntilClose:
		e.notes.Response("the body goes chunked: the origin marked its end by closing (RFC 9112, 6.3)")
	case kind == h1.Chunked:
		e.notes.Response("the body goes chunked, as it came (RFC 9112, 7.1)")
	}
}

// switched compares the client's 101 with the origin's.
func (e *explanation) switched(t *Txn) {
	compare(&e.before, &t.resp.Fields, func(name string, f fate) {
		e.notes.Response("%s %s: %s", name, f, e.whyResponse(h1.LowerName([]byte(name)), f))
	})
	e.notes.Response("from here on bytes pass both ways as they are (RFC 9110, 7.8)")
}

// interim notes a 1xx head.
func (e *explanation) interim(t *Txn) {
	if t.req.Minor() == 0 {
		e.notes.Response("%d dropped: HTTP/1.0 clients do not know it (RFC 9110, 15.2)", t.resp.Status())
		return
	}
	e.notes.Response("%d passed on ahead of the response (RFC 9110, 15.2)", t.resp.Status())
}

// local notes an answer of the gateway's own.
func (e *explanation) local(t *Txn) {
	e.notes.Response("answered by the gateway itself: %d %s", t.rec.Status, t.rec.Outcome)
}

// forbidden notes how many trailers were dropped, if any were.
func forbidden(note func(string, ...any), n int) {
	if n > 0 {
		note("%d trailers dropped: they are not allowed there (RFC 9110, 6.5.1)", n)
	}
}

// log writes the line.
func (e *explanation) log(t *Txn) {
	request, response := e.notes.Lists()
	t.identify(t.m.cfg.Log.Debug()).Strs("request", request).Strs("response", response).Msg("translation")
}

// compare tells what became of the fields of before, in their order, and what is
// in after besides. A field whose lines are all there, with others behind them,
// was added to.
func compare(before, after *h1.Fields, tell func(name string, f fate)) {
	for i := range before.Len() {
		name, _ := before.At(i)
		had := valuesOf(before, name)
		if first(before, name) != i {
			continue
		}
		switch has := valuesOf(after, name); {
		case len(has) == 0:
			tell(string(name), dropped)
		case len(has) > len(had) && equalValues(had, has[:len(had)]):
			tell(string(name), added)
		case !equalValues(had, has):
			tell(string(name), replaced)
		}
	}
	for i := range after.Len() {
		if name, _ := after.At(i); first(after, name) == i && first(before, name) < 0 {
			tell(string(name), added)
		}
	}
}

// first is the index of the first line named name, or -1.
func first(fs *h1.Fields, name []byte) int {
	for i := range fs.Len() {
		if n, _ := fs.At(i); bytes.EqualFold(n, name) {
			return i
		}
	}
	return -1
}

func valuesOf(fs *h1.Fields, name []byte) (values [][]byte) {
	for n, v := range fs.All() {
		if bytes.EqualFold(n, name) {
			values = append(values, v)
		}
	}
	return values
}

func equalValues(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

const (
	whyHop     = "it is for one hop (RFC 9110, 7.6.1)"
	whyNamed   = "Connection names it (RFC 9110, 7.6.1)"
	whyVia     = "a gateway names itself (RFC 9110, 7.6.3)"
	whyFraming = "the body is framed anew (RFC 9112, 6.3)"
	whyUpgrade = "the protocol is to be a WebSocket, for each hop anew (RFC 9110, 7.8)"
	whyHook    = "a hook did"
)

func (e *explanation) whyRequest(lower string, f fate) string {
	switch lower {
	case "via":
		return whyVia
	case "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded":
		if f == added {
			return "the origin cannot see who asks, and how"
		}
		return "what a client says of itself does not count (RFC 7239, 8.1)"
	case "host":
		if f == added {
			return "HTTP/1.1 must have one (RFC 9112, 3.2)"
		}
	case "expect":
		if f == dropped {
			return "HTTP/1.0 does not mean it (RFC 9110, 10.1.1)"
		}
	case "max-forwards":
		if f == replaced {
			return "one hop less (RFC 9110, 7.6.2)"
		}
	case "te":
		return "trailers alone can be passed on (RFC 9110, 10.1.4)"
	case "connection":
		if f != dropped {
			return "it names what is for the origin's hop (RFC 9110, 7.6.1)"
		}
	case "content-length":
		if f == added {
			return "a method that expects a body comes without one (RFC 9110, 8.6)"
		}
		return whyFraming
	}
	return e.whyEither(lower, f)
}

func (e *explanation) whyResponse(lower string, f fate) string {
	switch lower {
	case "via":
		return whyVia
	case "date":
		if f == added {
			return "the origin sent none (RFC 9110, 6.6.1)"
		}
	case "connection":
		if f != dropped {
			return "it is said of the client's connection (RFC 9112, 9.3)"
		}
	case "content-length":
		return whyFraming
	}
	return e.whyEither(lower, f)
}

func (e *explanation) whyEither(lower string, f fate) string {
	switch {
	case lower == "upgrade" && f != dropped:
		return whyUpgrade
	case lower == "connection", lower == "keep-alive", lower == "proxy-connection", lower == "upgrade":
		return whyHop
	case lower == "sec-websocket-key", lower == "sec-websocket-accept":
		return "each hop has a key of its own (RFC 6455, 1.3)"
	case lower == "transfer-encoding":
		return whyFraming
	case f == dropped && e.named(lower):
		return whyNamed
	}
	return whyHook
}

// named reports whether Connection, as it came, has the option.
func (e *explanation) named(option string) bool {
	for name, value := range e.before.All() {
		if !h1.EqualFold(name, "connection") {
			continue
		}
		for member := range bytes.SplitSeq(value, []byte(",")) {
			if h1.EqualFold(bytes.TrimSpace(member), option) {
				return true
			}
		}
	}
	return false
}
