package h1

import "bytes"

// A form is one of the four of RFC 9112 section 3.2.
type form uint8

const (
	formNone      form = iota // no target set
	formOrigin                // "/path?query"
	formAbsolute              // "http://host/path?query"
	formAuthority             // "host:port", CONNECT only
	formAsterisk              // "*", OPTIONS only
)

// fits says whether a request with that method may have a target of form f.
func (f form) fits(method string) *ProtocolError {
	switch {
	case f == formAsterisk && method != "OPTIONS":
		return refuse(400, "a * target with a method other than OPTIONS") // section 3.2.4
	case (f == formAuthority) != (method == "CONNECT"):
		return refuse(400, "CONNECT and a host:port target need each other") // section 3.2.3
	}
	return nil
}

// setTarget takes a target of valid bytes apart and copies it. On an error h has no
// target.
func (h *RequestHead) setTarget(target []byte) *ProtocolError {
	h.line = append(h.line[:0], target...)
	h.targetLen, h.form = len(h.line), formNone
	h.authority, h.path = span{}, span{0, len(h.line)}
	if target[0] == '/' && h.method != "CONNECT" { // most are a path
		h.form = formOrigin
		return nil
	}
	f, err := h.splitTarget(h.line)
	if err == nil && h.method != "" {
		err = f.fits(h.method)
	}
	if err != nil {
		h.line, h.targetLen = h.line[:0], 0
		h.authority, h.path = span{}, span{}
		return err
	}
	h.form = f
	return nil
}

func (h *RequestHead) splitTarget(t []byte) (form, *ProtocolError) {
	if t[0] == '/' {
		return formOrigin, nil
	}
	if len(t) == 1 && t[0] == '*' {
		return formAsterisk, nil
	}
	scheme := bytes.Index(t, []byte("://"))
	if scheme < 0 {
		if _, port, _ := splitHostPort(t); len(port) == 0 || !ValidHost(t) {
			return 0, refuse(400, "the request target is neither a path, a URI, host:port nor *")
		}
		h.authority, h.path = span{0, len(t)}, span{}
		return formAuthority, nil
	}
	if s := t[:scheme]; !EqualFold(s, "http") && !EqualFold(s, "https") {
		return 0, refuse(400, "the request target has a scheme other than http and https")
	}
	return formAbsolute, h.splitURI(t, scheme+len("://"))
}

// splitURI takes an absolute-form target apart, whose authority starts at from.
func (h *RequestHead) splitURI(t []byte, from int) *ProtocolError {
	to := len(t)
	if i := bytes.IndexAny(t[from:], "/?"); i >= 0 {
		to = from + i
	}
	if bytes.IndexByte(t[from:to], '@') >= 0 {
		// RFC 9110 section 4.2.4: it can only be there to hide the host.
		return refuse(400, "the request target has userinfo")
	}
	if !ValidHost(t[from:to]) {
		return refuse(400, "the request target has no valid host")
	}
	h.authority, h.path = span{from, to}, span{to, len(t)}
	if to < len(t) && t[to] == '/' {
		return nil
	}
	// An origin must not get an empty path (RFC 9112 section 3.2.1): "/" is made in
	// front of the query, or "*" for OPTIONS without one (section 3.2.4).
	root := byte('/')
	if to == len(t) && h.method == "OPTIONS" {
		root = '*'
	}
	end := len(h.line)
	h.line = append(append(h.line, root), t[to:]...)
	h.path = span{end, len(h.line)}
	return nil
}

var setHost = SetOf(NameHost)

// checkHost holds a parsed head against RFC 9112 section 3.2: an HTTP/1.1 request
// has exactly one Host, an HTTP/1.0 one at most one; it is valid, and the same as the
// authority of the target. RFC 9112 would let the target win over a different Host:
// whoever routes by the other one is fooled, so the two must agree.
func (h *RequestHead) checkHost() *ProtocolError {
	host, ok := h.Fields.Value(NameHost)
	switch {
	case h.Fields.repeated&setHost != 0:
		return refuse(400, "more than one Host")
	case !ok && h.http10:
		return nil
	case !ok:
		return refuse(400, "no Host")
	}
	if !ValidHost(host) {
		return refuse(400, "Host is not a host and an optional port")
	}
	if a := h.authority; a.to > a.from && !sameFold(h.line[a.from:a.to], host) {
		return refuse(400, "Host differs from the host of the request target")
	}
	return nil
}
