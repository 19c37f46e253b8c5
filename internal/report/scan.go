package report

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// This file knows JSON (RFC 8259) and nothing of the log: positions in, positions
// out. A negative position means "not JSON here".

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080

	noEnd     = -1 // the string goes on where the text ends
	badString = -2 // a bad escape or a control character
)

// stringEnd returns the position of the quote that closes the string whose first
// character is b[i], noEnd or badString, and whether the string holds an escape. Eight bytes
// are looked at in one step: most of a log line is the inside of strings.
func stringEnd(b []byte, i int) (end int, escaped bool) {
	for {
		for len(b)-i >= 8 {
			w := binary.LittleEndian.Uint64(b[i:])
			if m := special(w); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		for ; i < len(b); i++ {
			if c := b[i]; c == '"' || c == '\\' || c < ' ' {
				break
			}
		}
		switch {
		case i >= len(b):
			return noEnd, escaped
		case b[i] < ' ':
			return badString, escaped
		case b[i] == '"':
			return i, escaped
		}
		if i = escapeEnd(b, i); i < 0 {
			return badString, true
		}
		escaped = true
	}
}

// special marks the high bit of each byte of w that is a quote, a backslash or a
// control character. Only the lowest mark is exact (borrows may set higher ones
// wrongly), and only that one is used.
func special(w uint64) uint64 {
	quote := w ^ ones*'"'
	slash := w ^ ones*'\\'
	m := (quote - ones) &^ quote
	m |= (slash - ones) &^ slash
	m |= (w - ones*' ') &^ w
	return m & highs
}

// escapeEnd returns the position after the escape that begins at b[i].
func escapeEnd(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := hex4(b, i+2); ok {
			return i + 6
		}
	}
	return -1
}

// hex4 reads the four hexadecimal digits at b[i].
func hex4(b []byte, i int) (r rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// appendUnescaped appends the text of the string s, the part between its quotes
// that stringEnd has checked. Half a surrogate pair becomes U+FFFD, as in
// encoding/json.
func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(s, i+1)
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if i+2 < len(s) && s[i+1] == '\\' && s[i+2] == 'u' {
					low, ok = hex4(s, i+3)
				}
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, s[i])
		}
	}
	return dst
}

// A number is a JSON number taken apart: digits × 10^-scale, negated if neg.
type number struct {
	digits uint64
	scale  int
	neg    bool
	// odd says that digits does not hold the value: it has an exponent or is
	// longer than 19 digits. The text is then read by strconv.
	odd bool
}

// scanNumber reads the number that begins at b[i] and returns the position after
// it, or -1.
func scanNumber(b []byte, i int) (n number, end int) {
	if i < len(b) && b[i] == '-' {
		n.neg = true
		i++
	}
	start := i
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		n.digits = n.digits*10 + uint64(b[i]-'0')
	}
	whole := i - start
	if whole == 0 || whole > 1 && b[start] == '0' {
		return n, -1
	}
	if i < len(b) && b[i] == '.' {
		point := i
		for i++; i < len(b) && b[i]-'0' <= 9; i++ {
			n.digits = n.digits*10 + uint64(b[i]-'0')
		}
		if n.scale = i - point - 1; n.scale == 0 {
			return n, -1
		}
	}
	n.odd = whole+n.scale > 19
	if i < len(b) && b[i]|0x20 == 'e' {
		n.odd = true
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		if i == from {
			return n, -1
		}
	}
	return n, i
}

// skipNested returns the position after the object or array that begins at b[i].
// Our own lines have none; start-up lines and other programs' may.
func skipNested(b []byte, i int) int {
	depth := 0
	for from := i; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				if !json.Valid(b[from : i+1]) {
					return -1
				}
				return i + 1
			}
		case '"':
			if i, _ = stringEnd(b, i+1); i < 0 {
				return -1
			}
		}
	}
	return -1
}

// skipSpace returns the position of the first byte from b[i] on that is not
// white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}
