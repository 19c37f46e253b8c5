package h1

import "slices"

// lineEnd wants CRLF at i, where a scan of text bytes stopped. It returns the index
// behind it, or 0 when b ends before that. Lines end with CRLF and nothing else:
// RFC 9112 section 2.2 lets a reader take a bare LF, and each that does disagrees
// with one that does not.
func lineEnd(b []byte, i int) (next int, err *ProtocolError) {
	if i == len(b) {
		return 0, nil
	}
	switch b[i] {
	case '\r':
		if i+1 == len(b) {
			return 0, nil
		}
		if b[i+1] == '\n' {
			return i + 2, nil
		}
		return 0, refuse(400, "a bare CR in a line")
	case '\n':
		return 0, refuse(400, "a line that ends with a bare LF")
	case 0:
		return 0, refuse(400, "a NUL in a line")
	}
	return 0, refuse(400, "a byte that has no place in its line")
}

// parseSection reads field lines up to and with the empty line that ends them (RFC
// 9112 section 5). f.buf mirrors the lines of b read so far, so offsets into b are
// offsets into f.buf and one copy at the end serves all fields. n is 0 when b ends
// before the empty line.
func (f *Fields) parseSection(b []byte, maxLines int) (n int, err *ProtocolError) {
	i := len(f.buf)
	for {
		var cut bool
		if i, cut = f.parseUsual(b, i, maxLines); cut {
			break
		}
		if i+2 <= len(b) && b[i] == '\r' && b[i+1] == '\n' {
			n = i + 2
			break
		}
		next, err := f.parseLine(b, i, maxLines)
		if err != nil {
			return 0, err
		}
		if next == 0 {
			break
		}
		i = next
	}
	f.buf = append(f.buf, b[len(f.buf):i]...)
	return n, nil
}

// parseUsual reads field lines at b[i:] as long as they are of the usual kind, and
// returns where it stopped: a usual line is there as a whole and valid, with one
// space behind the colon and none before the line end. It looks at eight bytes at a
// time, and at those of a known name only once. cut means that b ends in a value that
// is good so far. Whatever else a line is, is for parseLine to say, which is the rule.
func (f *Fields) parseUsual(b []byte, i, maxLines int) (next int, cut bool) {
	lines, present, repeated := f.lines, f.present, f.repeated
	for len(lines) < maxLines {
		if i == len(b) || b[i] == '\r' { // the end; behind it is a body, and perhaps a colon in it
			break
		}
		colon := indexColon(b, i)
		if colon < 0 || colon+3 >= len(b) || b[colon+1] != ' ' || isOWS(b[colon+2]) {
			break
		}
		id := NameOf(b[i:colon])
		if id == NameOther && !ValidName(b[i:colon]) {
			break
		}
		end := scanValue(b, colon+2)
		if cut = end == len(b); end+2 > len(b) || string(b[end:end+2]) != "\r\n" || isOWS(b[end-1]) && end > colon+2 {
			break
		}
		if len(lines) == cap(lines) {
			lines = slices.Grow(lines, 16)
		}
		lines = lines[:len(lines)+1]
		l := &lines[len(lines)-1]
		l.nameAt, l.nameLen = uint32(i), uint32(colon-i)
		l.valueAt, l.valueLen = uint32(colon+2), uint32(end-colon-2)
		l.name, l.plain = id, true
		s := id.set()
		repeated |= present & s
		present |= s
		i = end + 2
	}
	f.lines, f.present, f.repeated = lines, present, repeated
	return i, cut
}

// parseLine reads the field line at b[i:] and notes its offsets. next is 0 when b
// ends before the line does.
func (f *Fields) parseLine(b []byte, i, maxLines int) (next int, err *ProtocolError) {
	colon := i
	for colon < len(b) && class[b[colon]]&isToken != 0 {
		colon++
	}
	if colon > i && len(f.lines) >= maxLines {
		return 0, refuse(431, "more fields than the limit")
	}
	if colon == len(b) {
		return 0, nil
	}
	if b[colon] != ':' || colon == i {
		return 0, f.badName(b, i, colon)
	}
	start := colon + 1
	for start < len(b) && isOWS(b[start]) {
		start++
	}
	end := scanValue(b, start)
	if next, err = lineEnd(b, end); next == 0 || err != nil {
		return 0, err
	}
	for end > start && isOWS(b[end-1]) {
		end--
	}
	id := NameOf(b[i:colon])
	l := f.push(id)
	l.nameAt, l.nameLen = uint32(i), uint32(colon-i)
	l.valueAt, l.valueLen = uint32(start), uint32(end-start)
	l.name, l.plain = id, start == colon+2 && b[colon+1] == ' ' && end == next-2
	return next, nil
}

// badName names what is wrong with a line whose name starts at i and is broken off
// at j; nil when a lone CR at the end of b may still become the empty line.
func (f *Fields) badName(b []byte, i, j int) *ProtocolError {
	switch c := b[j]; {
	case c == '\r' && j == i:
		if j+1 == len(b) {
			return nil
		}
		return refuse(400, "a bare CR in a line")
	case c == '\n' && j == i:
		return refuse(400, "a line that ends with a bare LF")
	case isOWS(c) && j == i && len(f.lines) == 0:
		// RFC 9112 section 2.2: as a request with a first field that is hidden.
		return refuse(400, "white space between the start line and the first field")
	case isOWS(c) && j == i:
		return refuse(400, "a folded field line") // obs-fold, RFC 9112 section 5.2
	case isOWS(c):
		return refuse(400, "white space in or behind a field name") // RFC 9112 section 5.1
	case c == ':':
		return refuse(400, "an empty field name")
	case c == '\r' || c == '\n':
		return refuse(400, "a field line without a colon")
	}
	return refuse(400, "a field name is not a token")
}
