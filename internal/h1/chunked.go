package h1

import "bytes"

// A BodyReader decodes one body, without copying and without I/O. Reset prepares it
// for a message; the zero value reads no body. It is a state machine that takes any
// part of the input: its caller needs no buffer of a certain size. An error is final.
// Not safe for concurrent use.
type BodyReader struct {
	kind BodyKind
	at   chunkState
	left int64 // bytes left of the body (Length) or of the chunk (Chunked)
	err  *ProtocolError

	digits   int // of the chunk size so far
	extLine  int // extension bytes in this chunk line
	extTotal int // and in this body

	lim      Limits
	seen     int // bytes of the trailer section
	lines    int // and its field lines
	lineAt   int // where in trailers.buf the line being read starts
	dropped  int
	trailers Fields
}

// A chunkState is a place in RFC 9112 section 7.1's grammar.
type chunkState uint8

const (
	atSize     chunkState = iota // a chunk size, first digit
	inSize                       // its other digits
	inExt                        // behind the semicolon
	atSizeLF                     // CR of the size line seen
	inData                       // chunk data
	atDataCR                     // behind the data
	atDataLF                     // and its CR
	inTrailers                   // behind the last chunk
	atEnd
)

// Reset prepares r for a body with that framing. lim bounds the trailer section.
// What Trailers returned before is invalid.
func (r *BodyReader) Reset(f Framing, lim Limits) {
	r.trailers.Reset()
	r.kind, r.err, r.left, r.dropped = f.Kind, nil, 0, 0
	switch f.Kind {
	case Length:
		r.left = max(0, f.Length)
	case Chunked:
		r.at, r.lim = atSize, lim.orDefault()
		r.digits, r.extLine, r.extTotal = 0, 0, 0
		r.seen, r.lines, r.lineAt = 0, 0, 0
	}
}

// Next looks at the input in and returns the body bytes at its front, a part of in
// that may be empty when only framing was consumed, and how many bytes of in it
// consumed in all. n == 0 without an error means that more input is needed, or that
// the body is Done. The error is a *ProtocolError with 400 (AsOrigin for a response);
// it is final, and n is 0 with it.
func (r *BodyReader) Next(in []byte) (data []byte, n int, err error) {
	switch {
	case r.err != nil:
		return nil, 0, r.err
	case r.kind == Chunked:
		return r.nextChunked(in)
	case r.kind == UntilClose:
		return in, len(in), nil
	case r.kind == Length:
		n = int(min(int64(len(in)), r.left))
		r.left -= int64(n)
		return in[:n], n, nil
	}
	return nil, 0, nil
}

func (r *BodyReader) nextChunked(in []byte) (data []byte, n int, err error) {
	for n < len(in) && r.at != atEnd {
		switch r.at {
		case inData:
			data = in[n:][:min(int64(len(in)-n), r.left)]
			if r.left -= int64(len(data)); r.left == 0 {
				r.at = atDataCR
			}
			return data, n + len(data), nil
		case inTrailers:
			var took int
			took, r.err = r.trailerLine(in[n:])
			n += took
		default:
			r.err = r.step(in[n])
			n++
		}
		if r.err != nil {
			return nil, 0, r.err
		}
	}
	return nil, n, nil
}

// step moves over one byte of framing (RFC 9112 section 7.1). Each line ends with
// CRLF: a reader that takes a bare LF here sees other chunks than one that does not.
func (r *BodyReader) step(c byte) *ProtocolError {
	switch r.at {
	case atSize, inSize:
		return r.sizeByte(c)
	case inExt:
		return r.extByte(c)
	case atSizeLF:
		if c != '\n' {
			return refuse(400, "a bare CR in a chunk size line")
		}
		r.at = inData
		if r.left == 0 {
			r.at = inTrailers
		}
	case atDataCR:
		if c != '\r' {
			return refuse(400, "a chunk is longer than its size")
		}
		r.at = atDataLF
	case atDataLF:
		if c != '\n' {
			return refuse(400, "a chunk is longer than its size")
		}
		r.at, r.digits, r.extLine = atSize, 0, 0
	}
	return nil
}

func (r *BodyReader) sizeByte(c byte) *ProtocolError {
	switch {
	case class[c]&isHex != 0:
		// 16 digits are enough for any number; more are leading zeros that hide one.
		if r.digits++; r.digits > 16 || r.left >= 1<<58 {
			return refuse(400, "a chunk size is too large a number")
		}
		r.left = r.left<<4 | int64(hexValue(c))
		r.at = inSize
	case r.at == atSize:
		return refuse(400, "a chunk size is missing")
	case c == '\r':
		r.at = atSizeLF
	case c == ';':
		r.at = inExt
	case c == '\n':
		return refuse(400, "a chunk size line that ends with a bare LF")
	default:
		// White space too: the grammar has it before a semicolon as "bad white space"
		// only, and readers differ about what comes behind it.
		return refuse(400, "a chunk size is not a hexadecimal number")
	}
	return nil
}

// extByte skips a chunk extension: nobody uses them, all must bound them (RFC 9112
// section 7.1.1).
func (r *BodyReader) extByte(c byte) *ProtocolError {
	switch {
	case c == '\r':
		r.at = atSizeLF
		return nil
	case c == '\n':
		return refuse(400, "a chunk size line that ends with a bare LF")
	case class[c]&isValue == 0:
		return refuse(400, "a control character in a chunk extension")
	}
	r.extLine++
	r.extTotal++
	if r.extLine > maxExtLine || r.extTotal > maxExtTotal {
		return refuse(400, "chunk extensions are longer than the limit")
	}
	return nil
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0x0f + 9
}

// trailerLine takes input up to a line end. Unlike chunk data a trailer line is
// copied, into the buffer of r.trailers, and read when it is whole.
func (r *BodyReader) trailerLine(in []byte) (n int, err *ProtocolError) {
	n = bytes.IndexByte(in, '\n') + 1
	whole := n > 0
	if !whole {
		n = len(in)
	}
	if r.seen+n > r.lim.Head || !whole && r.seen+n == r.lim.Head {
		return 0, refuse(431, "the trailer section is larger than the limit")
	}
	r.seen += n
	f := &r.trailers
	f.buf = append(f.buf, in[:n]...)
	if !whole {
		return n, nil
	}
	if line := f.buf[r.lineAt:]; len(line) == 2 && line[0] == '\r' {
		r.at = atEnd
		return n, nil
	}
	return n, r.keepTrailer()
}

// keepTrailer reads the whole line that starts at lineAt.
func (r *BodyReader) keepTrailer() *ProtocolError {
	f := &r.trailers
	// Dropped lines count as well.
	if r.lines++; r.lines > r.lim.Fields {
		return refuse(431, "more trailer fields than the limit")
	}
	had := len(f.lines)
	next, err := f.parseLine(f.buf, r.lineAt, r.lim.Fields)
	if err != nil {
		return err
	}
	if next != len(f.buf) || len(f.lines) != had+1 {
		return refuse(400, "a bare CR in a line")
	}
	r.lineAt = next
	if f.lines[had].name.ForbiddenInTrailers() {
		r.dropped++
		f.dropLast()
	}
	return nil
}

// Done reports whether the body ended exactly; never for UntilClose.
func (r *BodyReader) Done() bool {
	switch r.kind {
	case Length:
		return r.left == 0
	case Chunked:
		return r.at == atEnd
	}
	return r.kind == NoBody
}

// EOF says what it means that the input ended here: nil when that is a right end
// (Done, or UntilClose), else a *ProtocolError that matches ErrTruncated and says
// what is missing, or the error that Next returned.
func (r *BodyReader) EOF() error {
	switch {
	case r.err != nil:
		return r.err
	case r.Done() || r.kind == UntilClose:
		return nil
	case r.kind == Length:
		return ErrShortBody
	case r.at == inTrailers:
		return ErrShortTrailers
	case r.at == atSize:
		return ErrNoLastChunk
	}
	return ErrShortChunk
}

// Trailers returns the trailer section of a chunked body that is Done; empty when
// there was none. Fields that a trailer section must not have (ForbiddenTrailer) are
// dropped, as RFC 9110 section 6.5.1 allows: the body in front of them has been passed
// on by then, and they must not reach anybody who would heed them. Valid until Reset.
func (r *BodyReader) Trailers() *Fields { return &r.trailers }

// Dropped returns how many trailer fields were dropped because they are forbidden.
func (r *BodyReader) Dropped() int { return r.dropped }

// Remaining returns how many bytes of a body with a length are still to come, 0 when
// the body is Done, -1 when it cannot be known.
func (r *BodyReader) Remaining() int64 {
	switch {
	case r.kind == Length:
		return r.left
	case r.Done():
		return 0
	}
	return -1
}
