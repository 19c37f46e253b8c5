package report

import (
	"bytes"
	"strconv"
)

// A line is one line of the log, taken apart. Its texts are views into the
// parsed bytes or into scratch: valid until the next parse.
type line struct {
	have    uint32 // one bit per field present
	texts   [nTexts][]byte
	numbers [nNumbers]uint64 // indexed by field; only those from nTexts on are used
	reused  bool
	bad     error // first field with a wrong type; matters only in our own events
	scratch []byte
}

// text returns the field's text, nil when absent.
func (l *line) text(f field) []byte {
	if l.have&(1<<f) == 0 {
		return nil
	}
	return l.texts[f]
}

// number returns the field's number, 0 when absent.
func (l *line) number(f field) uint64 {
	if l.have&(1<<f) == 0 {
		return 0
	}
	return l.numbers[f]
}

// has reports whether the line has the field, with a value other than null.
func (l *line) has(f field) bool { return l.have&(1<<f) != 0 }

// parse takes b, one line without its newline, apart. Of a field that appears
// more than once the last value counts, as in encoding/json.
func (l *line) parse(b []byte) error {
	l.have, l.bad, l.reused, l.scratch = 0, nil, false, l.scratch[:0]
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return errNotObject
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return l.end(b, i+1)
	}
	for {
		f, at, err := l.name(b, i)
		if err != nil {
			return err
		}
		if i, err = l.value(b, at, f); err != nil {
			return err
		}
		if i = skipSpace(b, i); i >= len(b) {
			return errTruncated
		}
		switch b[i] {
		case ',':
			i = skipSpace(b, i+1)
		case '}':
			return l.end(b, i+1)
		default:
			return errComma
		}
	}
}

// name reads the field name that begins at b[i] and returns where its value is.
func (l *line) name(b []byte, i int) (f field, at int, err error) {
	if i >= len(b) {
		return 0, 0, errTruncated
	}
	if b[i] != '"' {
		return 0, 0, errName
	}
	end, escaped := stringEnd(b, i+1)
	if end < 0 {
		return 0, 0, stringError(end)
	}
	name := b[i+1 : end]
	if escaped {
		name = appendUnescaped(nil, name)
	}
	if i = skipSpace(b, end+1); i >= len(b) {
		return 0, 0, errTruncated
	}
	if b[i] != ':' {
		return 0, 0, errColon
	}
	return fieldOf(name), skipSpace(b, i+1), nil
}

func stringError(end int) error {
	if end == noEnd {
		return errTruncated
	}
	return errString
}

func (l *line) end(b []byte, i int) error {
	if skipSpace(b, i) != len(b) {
		return errAfter
	}
	return nil
}

// value reads the value of f that begins at b[i] and returns the position after it.
func (l *line) value(b []byte, i int, f field) (int, error) {
	if i >= len(b) {
		return 0, errTruncated
	}
	switch c := b[i]; {
	case c == '"':
		end, escaped := stringEnd(b, i+1)
		if end < 0 {
			return 0, stringError(end)
		}
		if f < field(nTexts) {
			l.setText(f, b[i+1:end], escaped)
		} else {
			l.wrongType(f)
		}
		return end + 1, nil
	case c == '-' || c-'0' <= 9:
		n, end := scanNumber(b, i)
		if end < 0 {
			return 0, errNumber
		}
		if f >= field(nTexts) && f < field(nNumbers) {
			l.setNumber(f, n, b[i:end])
		} else {
			l.wrongType(f)
		}
		return end, nil
	case c == '{' || c == '[':
		end := skipNested(b, i)
		if end < 0 {
			return 0, errValue
		}
		l.wrongType(f)
		return end, nil
	}
	return l.literal(b, i, f)
}

// literal reads true, false or null.
func (l *line) literal(b []byte, i int, f field) (int, error) {
	rest := b[i:]
	switch {
	case bytes.HasPrefix(rest, []byte("null")):
		if f < fUnknown { // as if it were not there
			l.have &^= 1 << f
		}
		return i + 4, nil
	case bytes.HasPrefix(rest, []byte("true")), bytes.HasPrefix(rest, []byte("false")):
		isTrue := b[i] == 't'
		if f == fOriginReused {
			l.reused = isTrue
			l.have |= 1 << f
		} else {
			l.wrongType(f)
		}
		if isTrue {
			return i + 4, nil
		}
		return i + 5, nil
	}
	return 0, errValue
}

func (l *line) wrongType(f field) {
	if f < fUnknown && l.bad == nil {
		l.bad = typeErrors[f]
	}
}

func (l *line) setText(f field, raw []byte, escaped bool) {
	if escaped {
		at := len(l.scratch)
		l.scratch = appendUnescaped(l.scratch, raw)
		raw = l.scratch[at:len(l.scratch):len(l.scratch)]
	}
	l.texts[f] = raw
	l.have |= 1 << f
}

// setNumber stores n, written as text: whole numbers exactly, durations, which
// the log has in milliseconds, as microseconds.
func (l *line) setNumber(f field, n number, text []byte) {
	v, ok := n.digits, !n.neg || n.digits == 0
	switch {
	case f >= fDuration:
		var good bool
		v, good = micros(n, text)
		ok = ok && good
	case n.odd:
		var err error
		v, err = strconv.ParseUint(string(text), 10, 64)
		ok = err == nil
	case n.scale != 0 || n.neg:
		ok = false
	}
	// Amounts beyond this are not of this world, and sums of them would overflow.
	if f != fID && f != fOriginConn && v > 1<<53 {
		ok = false
	}
	if !ok {
		l.wrongType(f)
		return
	}
	l.numbers[f] = v
	l.have |= 1 << f
}
