package accesslog

import (
	"encoding/binary"
	"sync/atomic"
	"time"
	"unicode/utf8"
	"unsafe"
)

// appendText appends s as the inside of a JSON string. What is not safe there is
// escaped, and U+FFFD stands for each byte that is not UTF-8, so that any bytes a
// client sends give a valid line.
func appendText(b []byte, s string) []byte {
	for {
		n := plain(s)
		b = append(b, s[:n]...)
		if s = s[n:]; s == "" {
			return b
		}
		b, s = appendSpecial(b, s)
	}
}

// plain returns how many bytes at the front of s stand for themselves in JSON: ASCII
// from space on but DEL, quote and backslash. That is all of most texts, so it looks
// at eight at a time.
func plain(s string) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	t := unsafe.Slice(unsafe.StringData(s), len(s)) // read only
	i := 0
	for ; i+8 <= len(t); i += 8 {
		w := binary.LittleEndian.Uint64(t[i:])
		quote, slash := w^'"'*ones, w^'\\'*ones
		// High bits where a byte of w is under 0x20, 0x7f, above, a quote or a
		// backslash; and perhaps above such a byte.
		if ((w-0x20*ones)|(w+ones)|w|(quote-ones)|(slash-ones))&highs != 0 {
			break
		}
	}
	for ; i < len(t); i++ {
		if c := t[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// appendSpecial appends the character at the front of s, which is not a plain one.
func appendSpecial(b []byte, s string) ([]byte, string) {
	const hex = "0123456789abcdef"
	if c := s[0]; c < utf8.RuneSelf {
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, hex[c>>4], hex[c&15])
		}
		return b, s[1:]
	}
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		return append(b, `\ufffd`...), s[1:]
	}
	return append(b, s[:n]...), s[n:]
}

// A secondText writes times down to the second, in UTC. It formats each second once:
// most lines are of the same one as the line before. It is safe for concurrent use.
type secondText struct {
	layout string
	last   atomic.Pointer[second]
}

type second struct {
	unix int64
	text string
}

func (s *secondText) of(t time.Time) string {
	unix := t.Unix()
	last := s.last.Load()
	if last == nil || last.unix != unix {
		last = &second{unix, t.UTC().Format(s.layout)}
		s.last.Store(last)
	}
	return last.text
}
