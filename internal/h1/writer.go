package h1

import (
	"slices"
	"strconv"
)

// The writers append to dst and return it. They cannot fail, since heads and fields
// cannot be malformed. All write version HTTP/1.1, whatever was received: it tells
// what we can do, not what our peer's peer could (RFC 9110 section 2.5).

// AppendRequestHead appends the request line, the fields and the empty line.
func AppendRequestHead(dst []byte, h *RequestHead) []byte {
	if h.method == "" {
		dst = append(dst, "GET"...)
	}
	dst = append(dst, h.method...)
	dst = append(dst, ' ')
	if h.targetLen == 0 {
		dst = append(dst, '/')
	}
	dst = append(dst, h.line[:h.targetLen]...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	return append(appendFields(dst, &h.Fields), "\r\n"...)
}

// AppendResponseHead appends the status line, the fields and the empty line.
func AppendResponseHead(dst []byte, h *ResponseHead) []byte {
	if h.status == 0 {
		dst = append(dst, "HTTP/1.1 500 Internal Server Error\r\n"...)
		return append(appendFields(dst, &h.Fields), "\r\n"...)
	}
	if string(h.reason) == reasons[h.status] && len(h.reason) > 0 {
		dst = append(dst, statusLines[h.status]...)
		return append(appendFields(dst, &h.Fields), "\r\n"...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(h.status), 10)
	dst = append(dst, ' ')
	dst = append(dst, h.reason...)
	dst = append(dst, "\r\n"...)
	return append(appendFields(dst, &h.Fields), "\r\n"...)
}

// appendFields appends the lines of f, those that stand beside each other in its
// buffer in one piece.
func appendFields(dst []byte, f *Fields) []byte {
	from, to := uint32(0), uint32(0)
	for i := range f.lines {
		l := &f.lines[i]
		if l.plain && l.nameAt == to {
			to = l.end()
			continue
		}
		dst = append(dst, f.buf[from:to]...)
		if l.plain {
			from, to = l.nameAt, l.end()
			continue
		}
		dst = appendField(dst, f.nameOf(l), f.valueOf(l))
		from, to = 0, 0
	}
	return append(dst, f.buf[from:to]...)
}

func appendField(dst, name, value []byte) []byte {
	at, n := len(dst), len(name)+len(value)+len(": \r\n")
	if cap(dst)-at < n {
		dst = slices.Grow(dst, n)
	}
	line := dst[at : at+n]
	copy(line, name)
	line = line[len(name):]
	line[0], line[1] = ':', ' '
	copy(line[2:], value)
	line = line[2+len(value):]
	line[0], line[1] = '\r', '\n'
	return dst[:at+n]
}

// AppendChunkHeader appends the size line of a chunk; size bytes of data and a CRLF
// have to follow. A size of 0 or less appends nothing: it would end the body.
func AppendChunkHeader(dst []byte, size int) []byte {
	if size <= 0 {
		return dst
	}
	dst = strconv.AppendInt(dst, int64(size), 16)
	return append(dst, "\r\n"...)
}

// AppendChunk appends a whole chunk. Empty data appends nothing: it would end the
// body.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = append(AppendChunkHeader(dst, len(data)), data...)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends the last chunk, the trailer fields (nil for none) and the
// empty line behind them. Fields that a trailer section must not have are left out
// (ForbiddenTrailer).
func AppendLastChunk(dst []byte, trailers *Fields) []byte {
	dst = append(dst, "0\r\n"...)
	if trailers != nil {
		for i := range trailers.lines {
			if l := &trailers.lines[i]; !l.name.ForbiddenInTrailers() {
				dst = appendField(dst, trailers.nameOf(l), trailers.valueOf(l))
			}
		}
	}
	return append(dst, "\r\n"...)
}
