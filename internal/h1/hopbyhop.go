package h1

import "bytes"

// nextMember takes the first member off a comma separated list (RFC 9110 section
// 5.6.1), skipping empty ones. ok is false when there is none.
func nextMember(list []byte) (member, rest []byte, ok bool) {
	for len(list) > 0 {
		i := bytes.IndexByte(list, ',')
		if i < 0 {
			member, list = list, nil
		} else {
			member, list = list[:i], list[i+1:]
		}
		if member = trimOWS(member); len(member) > 0 {
			return member, list, true
		}
	}
	return nil, nil, false
}

// isHopByHop reports whether a field means this connection only (RFC 9110 section
// 7.6.1). Asked for each field of each message, so the length decides most of it.
func isHopByHop(name []byte) bool {
	switch len(name) {
	case 2:
		return EqualFold(name, "te")
	case 7:
		return EqualFold(name, "upgrade")
	case 10:
		return EqualFold(name, "connection") || EqualFold(name, "keep-alive")
	case 16:
		return EqualFold(name, "proxy-connection")
	case 17:
		return EqualFold(name, "transfer-encoding")
	}
	return false
}

// endToEnd are fields that must not be named in Connection, since they are meant for
// all recipients (RFC 9110 section 7.6.1). Dropping one because a client says so
// would change framing, routing, identity or loop detection.
var endToEnd = nameSet(
	"authorization", "cache-control", "content-encoding", "content-length", "content-range", "content-type",
	"cookie", "expect", "forwarded", "host", "location", "max-forwards", "origin", "range", "set-cookie",
	"trailer", "transfer-encoding", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
	"x-real-ip",
)

// RemoveHopByHop removes the fields that are for this connection only (RFC 9110
// section 7.6.1): Connection and what it names, Keep-Alive, Proxy-Connection, TE,
// Transfer-Encoding, Upgrade. With keepTE a TE that has the member trailers becomes
// "TE: trailers"; the caller then owes it a Connection: TE on HTTP/1.1.
//
// It returns a *ProtocolError (400) and removes nothing when Connection is not a list
// of tokens, has more than 32 members, or names a field that is meant for all
// recipients, such as Content-Length or Host.
func RemoveHopByHop(f *Fields, keepTE bool) error {
	var named [maxConnectionOptions][]byte
	n := 0
	for i := f.find("connection", 0); i >= 0; i = f.find("connection", i+1) {
		for m, rest, more := nextMember(f.value(f.lines[i])); more; m, rest, more = nextMember(rest) {
			if err := checkOption(m, n); err != nil {
				return err
			}
			named[n] = m
			n++
		}
	}
	keepTE = keepTE && wantsTrailers(f)
	kept := f.lines[:0]
	for _, l := range f.lines {
		name := f.name(l)
		if !isHopByHop(name) && !anyFold(named[:n], name) {
			kept = append(kept, l)
		}
	}
	f.lines = kept
	if keepTE {
		return f.Add("TE", "trailers")
	}
	return nil
}

func checkOption(option []byte, before int) error {
	if before == maxConnectionOptions {
		return refuse(400, "Connection names more than 32 options")
	}
	if !ValidName(option) {
		return refuse(400, "Connection is not a list of tokens")
	}
	if _, ok := endToEnd.find(option); ok {
		return refuse(400, "Connection names a field that is meant for all recipients")
	}
	return nil
}

func anyFold(list [][]byte, name []byte) bool {
	for _, m := range list {
		if sameFold(m, name) {
			return true
		}
	}
	return false
}

func wantsTrailers(f *Fields) bool {
	for i := f.find("te", 0); i >= 0; i = f.find("te", i+1) {
		for m, rest, more := nextMember(f.value(f.lines[i])); more; m, rest, more = nextMember(rest) {
			if EqualFold(m, "trailers") {
				return true
			}
		}
	}
	return false
}

// notInTrailers are fields that RFC 9110 section 6.5.1 keeps out of trailer sections:
// framing, routing, request modifiers, authentication, response control, and how the
// content is to be processed. They come when all decisions have been made already.
var notInTrailers = nameSet(
	"connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer",
	"transfer-encoding", "upgrade",
	"forwarded", "max-forwards", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip",
	"cache-control", "expect", "if-match", "if-modified-since", "if-none-match", "if-range",
	"if-unmodified-since", "pragma", "range",
	"authorization", "cookie", "origin", "proxy-authenticate", "proxy-authorization", "set-cookie",
	"www-authenticate",
	"age", "date", "expires", "location", "refresh", "retry-after", "vary", "warning",
	"content-encoding", "content-location", "content-range", "content-type",
)

// ForbiddenTrailer reports whether a field with that name must not be in a trailer
// section (RFC 9110 section 6.5.1).
func ForbiddenTrailer(name []byte) bool {
	_, ok := notInTrailers.find(name)
	return ok
}
