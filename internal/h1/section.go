package h1

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
		if i+2 <= len(b) && b[i] == '\r' && b[i+1] == '\n' {
			n = i + 2
			break
		}
		if len(f.lines) < maxLines {
			if next := f.parseUsual(b, i); next > 0 {
				i = next
				continue
			}
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

// parseUsual reads the field line at b[i:] if it is of the usual kind: all of it is
// there and valid, one space behind the colon, none before the line end. It looks at
// eight bytes at a time, and does not look at the bytes of a known name at all. For
// whatever else it returns 0 and has changed nothing: parseLine, which is the rule,
// then says what it is.
func (f *Fields) parseUsual(b []byte, i int) (next int) {
	colon := indexColon(b, i)
	if colon < 0 || colon+3 >= len(b) || b[colon+1] != ' ' || b[colon+2] == ' ' || b[colon+2] == '\t' {
		return 0
	}
	id := NameOf(b[i:colon])
	if id == NameOther && !ValidName(b[i:colon]) {
		return 0
	}
	start := colon + 2
	end := scanValue(b, start)
	if end+1 >= len(b) || b[end] != '\r' || b[end+1] != '\n' || isOWS(b[end-1]) && end > start {
		return 0
	}
	l := f.push(id)
	l.nameAt, l.nameLen = uint32(i), uint32(colon-i)
	l.valueAt, l.valueLen = uint32(start), uint32(end-start)
	l.name, l.plain = id, true
	return end + 2
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
