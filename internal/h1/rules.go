package h1

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// What a byte may be part of; one table lookup per byte decides.
const (
	isToken  = 1 << iota // tchar, RFC 9110 section 5.6.2
	isValue              // HTAB, SP, VCHAR, obs-text, RFC 9110 section 5.5
	isTarget             // see ValidTarget
	isHost               // unreserved, RFC 3986 section 2.3
	isDigit
	isHex
)

var class = func() (t [256]uint8) {
	for c := range 256 {
		b := byte(c)
		digit := '0' <= b && b <= '9'
		alpha := 'a' <= b|0x20 && b|0x20 <= 'z'
		if digit {
			t[c] |= isDigit | isHex
		}
		if 'a' <= b|0x20 && b|0x20 <= 'f' {
			t[c] |= isHex
		}
		if digit || alpha || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), b) >= 0 {
			t[c] |= isToken
		}
		if digit || alpha || bytes.IndexByte([]byte("-._~"), b) >= 0 {
			t[c] |= isHost
		}
		if b == '\t' || b >= ' ' && b != 0x7f {
			t[c] |= isValue
		}
		if b > ' ' && b < 0x7f && bytes.IndexByte([]byte(`#"<>`), b) < 0 {
			t[c] |= isTarget
		}
	}
	return t
}()

// lower maps A-Z to a-z and every other byte to itself. Not unicode: field names
// and host names fold as ASCII only (RFC 9110 section 5.1).
var lower = func() (t [256]byte) {
	for c := range 256 {
		t[c] = byte(c)
		if 'A' <= c && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return t
}()

func allIn(b []byte, what uint8) bool {
	for _, c := range b {
		if class[c]&what == 0 {
			return false
		}
	}
	return true
}

// ValidName reports whether b is a field name: a token, not empty (RFC 9110
// section 5.1 and 5.6.2).
func ValidName(b []byte) bool { return len(b) > 0 && allIn(b, isToken) }

// ValidMethod reports whether b is a method: a token of at most 64 bytes (RFC 9110
// section 9.1). Methods are case-sensitive.
func ValidMethod(b []byte) bool { return len(b) <= maxMethod && ValidName(b) }

// ValidValue reports whether b is a field value: no control characters but HTAB,
// no white space at either end; may be empty, and obs-text (0x80 and above) passes
// (RFC 9110 section 5.5).
func ValidValue(b []byte) bool {
	return len(b) == 0 || !isOWS(b[0]) && !isOWS(b[len(b)-1]) && scanValue(b, 0) == len(b)
}

// ValidTarget reports whether b holds only bytes a request target may have and is
// not empty: visible ASCII without `#` (a fragment, RFC 9112 section 3.2) and
// without `"`, `<`, `>`, which delimit URIs (RFC 3986 appendix C) and which no
// browser sends unencoded. The other bytes outside RFC 3986 (`\ ^ { | }` and the
// backquote) pass, since browsers do send those in queries.
func ValidTarget(b []byte) bool { return len(b) > 0 && allIn(b, isTarget) }

// ValidHost reports whether b is a uri-host [":" port] (RFC 9110 section 7.2, RFC
// 3986 section 3.2.2): a name, an IPv4 address or a bracketed IPv6 address, without
// userinfo, with a port of 0 to 65535 if there is a colon. Stricter than the
// grammar: no empty host (RFC 9110 section 4.2.1), no empty port, no sub-delims
// (a comma or semicolon in Host is a list to some readers), no zone, no IPvFuture.
func ValidHost(b []byte) bool {
	i := 0
	for i < len(b) && class[b[i]]&isHost != 0 {
		i++
	}
	if i > 0 && (i == len(b) || b[i] == ':') { // most are a plain name
		return i == len(b) || validPort(b[i+1:])
	}
	host, port, hasPort := splitHostPort(b)
	if hasPort && !validPort(port) {
		return false
	}
	if len(host) > 1 && host[0] == '[' {
		return host[len(host)-1] == ']' && validIPv6(host[1:len(host)-1])
	}
	return validRegName(host)
}

// splitHostPort cuts at the colon behind the host. hasPort tells "host:" from "host".
func splitHostPort(b []byte) (host, port []byte, hasPort bool) {
	i := bytes.IndexByte(b, ':')
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return b, nil, false
		}
		if i = end + 1; i < len(b) && b[i] != ':' {
			return b, nil, false
		}
	}
	if i < 0 || i >= len(b) {
		return b, nil, false
	}
	return b[:i], b[i+1:], true
}

func validPort(b []byte) bool {
	if len(b) == 0 || len(b) > 5 {
		return false
	}
	n := 0
	for _, c := range b {
		if class[c]&isDigit == 0 {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}

func validRegName(b []byte) bool {
	for i := 0; i < len(b); i++ {
		switch {
		case class[b[i]]&isHost != 0:
		case b[i] == '%' && i+2 < len(b) && class[b[i+1]]&class[b[i+2]]&isHex != 0:
			i += 2
		default:
			return false
		}
	}
	return len(b) > 0
}

func validIPv6(b []byte) bool {
	if len(b) > len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255") || bytes.IndexByte(b, '%') >= 0 {
		return false
	}
	a, err := netip.ParseAddr(string(b))
	return err == nil && a.Is6()
}

func isOWS(c byte) bool { return c == ' ' || c == '\t' }

func trimOWS(b []byte) []byte {
	for len(b) > 0 && isOWS(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isOWS(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// zeros sets the high bit of the lowest byte of w that is 0. Bits above that one
// mean nothing; no bit is set when no byte is 0.
func zeros(w uint64) uint64 { return (w - ones) &^ w & highs }

// scanValue returns the index of the first byte at or after i that a value cannot
// hold, or len(b). Most bytes of a head are in values, so it looks at eight at a
// time.
func scanValue(b []byte, i int) int {
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i : i+8])
		// ASCII without control characters needs one look.
		if ((w-0x20*ones)|(w+ones)|w)&highs == 0 {
			i += 8
			continue
		}
		// The lowest bit set is that of a byte under 0x20 or of a 0x7f.
		bad := (w-0x20*ones)&^w&highs | zeros(w^0x7f*ones)
		if bad == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(bad) / 8
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(b) && class[b[i]]&isValue != 0 {
		i++
	}
	return i
}

// indexColon returns the index of the first colon at or after i, or -1.
func indexColon(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if at := zeros(binary.LittleEndian.Uint64(b[i:i+8]) ^ ':'*ones); at != 0 {
			return i + bits.TrailingZeros64(at)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] == ':' {
			return i
		}
	}
	return -1
}

// EqualFold reports whether a equals lower when ASCII case is ignored. lower must be
// in lower case.
func EqualFold(a []byte, lowerCase string) bool {
	if len(a) != len(lowerCase) {
		return false
	}
	for i, c := range a {
		if lower[c] != lowerCase[i] {
			return false
		}
	}
	return true
}

// sameFold compares two texts of any case; T keeps string and []byte callers from
// converting.
func sameFold[A, B string | []byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower[a[i]] != lower[b[i]] {
			return false
		}
	}
	return true
}

// AppendLower appends name to dst with A-Z made a-z, as HTTP/2 wants field names
// (RFC 9113 section 8.2.1).
func AppendLower(dst, name []byte) []byte {
	for _, c := range name {
		dst = append(dst, lower[c])
	}
	return dst
}
