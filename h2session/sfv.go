package h2session

// A structured field (RFC 8941) is read here only as far as to know where each
// member of a dictionary ends and whether all of it is well-formed: RFC 9218
// uses two members, and asks to ignore the rest.

// An sfKind is the type of a member's value.
type sfKind uint8

const (
	sfOther sfKind = iota // inner lists, decimals, strings, tokens, byte sequences
	sfInteger
	sfBoolean
)

// An sfReader reads a structured field that consists of s. A fault is for ever:
// every method says false from then on.
type sfReader[T string | []byte] struct {
	s  T
	at int
}

// peek returns the next byte, 0 at the end: no field value holds a NUL.
func (r *sfReader[T]) peek() byte {
	if r.at < len(r.s) {
		return r.s[r.at]
	}
	return 0
}

func (r *sfReader[T]) take(c byte) bool {
	if r.peek() != c || c == 0 {
		return false
	}
	r.at++
	return true
}

func (r *sfReader[T]) skip(space func(byte) bool) {
	for r.at < len(r.s) && space(r.s[r.at]) {
		r.at++
	}
}

func isSP(c byte) bool    { return c == ' ' }
func isOWS(c byte) bool   { return c == ' ' || c == '\t' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isAlpha(c byte) bool { return isLower(c | 0x20) }

// dictionary reads all of it and calls member for each value that is an integer
// or a boolean, and with sfOther for the rest (section 4.2.2). False means that
// the field is malformed, and that no call counts.
func (r *sfReader[T]) dictionary(member func(key T, kind sfKind, v int)) bool {
	r.skip(isSP)
	for r.at < len(r.s) {
		key, ok := r.key()
		if !ok {
			return false
		}
		kind, v := sfBoolean, 1 // of a key alone
		if r.take('=') {
			kind, v, ok = r.member()
		}
		if !ok || !r.parameters() {
			return false
		}
		member(key, kind, v)
		r.skip(isOWS)
		if r.at == len(r.s) {
			return true
		}
		if !r.take(',') {
			return false
		}
		r.skip(isOWS)
		if r.at == len(r.s) {
			return false // a comma at the end
		}
	}
	return true
}

// key: section 4.2.3.3.
func (r *sfReader[T]) key() (k T, ok bool) {
	from := r.at
	if c := r.peek(); !isLower(c) && c != '*' {
		return k, false
	}
	r.skip(func(c byte) bool { return isLower(c) || isDigit(c) || c == '_' || c == '-' || c == '.' || c == '*' })
	return r.s[from:r.at], true
}

// parameters are checked and forgotten (section 4.2.3.2).
func (r *sfReader[T]) parameters() bool {
	for r.take(';') {
		r.skip(isSP)
		if _, ok := r.key(); !ok {
			return false
		}
		if r.take('=') {
			if _, _, ok := r.item(); !ok {
				return false
			}
		}
	}
	return true
}

// member is an item or an inner list, without its parameters (section 4.2.1.1).
func (r *sfReader[T]) member() (sfKind, int, bool) {
	if r.peek() == '(' {
		return sfOther, 0, r.innerList()
	}
	return r.item()
}

// innerList: section 4.2.1.2.
func (r *sfReader[T]) innerList() bool {
	r.at++
	for {
		r.skip(isSP)
		if r.take(')') {
			return true
		}
		if _, _, ok := r.item(); !ok || !r.parameters() {
			return false
		}
		if c := r.peek(); c != ' ' && c != ')' {
			return false
		}
	}
}

// item is a bare item (section 4.2.3.1).
func (r *sfReader[T]) item() (kind sfKind, v int, ok bool) {
	switch c := r.peek(); {
	case c == '-' || isDigit(c):
		return r.number()
	case c == '?':
		r.at++
		if r.take('1') {
			return sfBoolean, 1, true
		}
		return sfBoolean, 0, r.take('0')
	case c == '"':
		return sfOther, 0, r.text()
	case c == '*' || isAlpha(c):
		r.skip(tokenByte)
		return sfOther, 0, true
	case c == ':':
		return sfOther, 0, r.bytes()
	}
	return sfOther, 0, false
}

// number: an integer of at most 15 digits, or a decimal of at most 12 and 3
// (section 4.2.4).
func (r *sfReader[T]) number() (kind sfKind, v int, ok bool) {
	minus := r.take('-')
	from := r.at
	for isDigit(r.peek()) && r.at-from < 16 {
		v = v*10 + int(r.peek()-'0')
		r.at++
	}
	digits := r.at - from
	if minus {
		v = -v
	}
	if digits == 0 || digits > 15 {
		return sfOther, 0, false
	}
	if !r.take('.') {
		return sfInteger, v, true
	}
	from = r.at
	r.skip(isDigit)
	fraction := r.at - from
	return sfOther, 0, digits <= 12 && 1 <= fraction && fraction <= 3
}

// text is a string (section 4.2.5).
func (r *sfReader[T]) text() bool {
	for r.at++; r.at < len(r.s); r.at++ {
		switch c := r.s[r.at]; {
		case c == '"':
			r.at++
			return true
		case c == '\\':
			r.at++
			if c := r.peek(); c != '"' && c != '\\' {
				return false
			}
		case c < ' ' || c > '~':
			return false
		}
	}
	return false
}

// bytes is a byte sequence in base64 (section 4.2.7).
func (r *sfReader[T]) bytes() bool {
	r.at++
	r.skip(func(c byte) bool { return isAlpha(c) || isDigit(c) || c == '+' || c == '/' })
	r.skip(func(c byte) bool { return c == '=' })
	return r.take(':')
}

func tokenByte(c byte) bool {
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~', ':', '/':
		return true
	}
	return isAlpha(c) || isDigit(c)
}
