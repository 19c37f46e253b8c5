package h1

// A BodyKind says how the end of a body is found.
type BodyKind uint8

const (
	NoBody     BodyKind = iota // the message ends with its head
	Length                     // Content-Length bytes; 0 is a length too
	Chunked                    // the chunked coding
	UntilClose                 // until the connection ends; responses only
)

// String names the kind in lower case.
func (k BodyKind) String() string {
	return [...]string{"none", "length", "chunked", "until close"}[k&3]
}

// A Framing is the body length rule of one message, RFC 9112 section 6.3. Length is
// the number of bytes for Kind Length, else 0. The zero value is "no body".
type Framing struct {
	Kind   BodyKind
	Length int64
}

// framingFields is what the fields that decide about framing say.
type framingFields struct {
	te, cl     int // field lines
	coding     []byte
	length     []byte
	badTrailer bool // Trailer announces a framing field
}

var (
	framingNames = SetOf(NameContentLength, NameTransferEncoding, NameTrailer)
	lengthOnly   = SetOf(NameContentLength)
)

// plainFraming is the framing of a message that has none of the fields that decide
// about it, or Content-Length alone and once, as most have. plain is false for all
// others, and then for framing and parse to judge.
func (f *Fields) plainFraming() (fr Framing, known, plain bool) {
	switch f.present & framingNames {
	case 0:
		return fr, false, true
	case lengthOnly:
		v, once := f.Once(NameContentLength)
		n, err := parseLength(v)
		return Framing{Kind: Length, Length: n}, true, once && err == nil
	}
	return fr, true, false
}

func (f *Fields) framing() (ff framingFields) {
	for i := range f.lines {
		switch l := &f.lines[i]; l.name {
		case NameContentLength:
			ff.cl++
			ff.length = f.valueOf(l)
		case NameTransferEncoding:
			ff.te++
			ff.coding = f.valueOf(l)
		case NameTrailer:
			ff.badTrailer = ff.badTrailer || announcesFraming(f.valueOf(l))
		}
	}
	return ff
}

// judgeFraming is plainFraming or, where that is not enough, all of the rules.
func (f *Fields) judgeFraming(http10 bool) (fr Framing, known bool, err *ProtocolError) {
	if fr, known, plain := f.plainFraming(); plain {
		return fr, known, nil
	}
	return f.framing().parse(http10)
}

// parse applies what requests and responses have in common. known is false when
// neither field is there.
func (ff framingFields) parse(http10 bool) (f Framing, known bool, err *ProtocolError) {
	switch {
	case ff.te > 0 && ff.cl > 0:
		// RFC 9112 section 6.1: ought to be handled as an error.
		return f, true, refuse(400, "both Content-Length and Transfer-Encoding")
	case ff.te > 0 && http10:
		// Section 6.1: its framing is faulty; somebody in between may not know it.
		return f, true, refuse(400, "Transfer-Encoding in an HTTP/1.0 message")
	case ff.te > 1:
		return f, true, refuse(400, "more than one Transfer-Encoding")
	case ff.te == 1 && ff.badTrailer:
		return f, true, refuse(400, "Trailer announces a framing field")
	case ff.te == 1:
		return Framing{Kind: Chunked}, true, checkCoding(ff.coding)
	case ff.cl > 1:
		// RFC 9110 section 8.6 lets identical values be taken as one; we do not.
		return f, true, refuse(400, "more than one Content-Length")
	case ff.cl == 1:
		n, err := parseLength(ff.length)
		return Framing{Kind: Length, Length: n}, true, err
	}
	return f, false, nil
}

// announcesFraming reports whether a Trailer value names what decides about framing.
// RFC 9110 section 6.5.1 keeps those out of trailers; to announce one can only be
// meant for a reader that would heed it.
func announcesFraming(trailer []byte) bool {
	for m, rest, more := nextMember(trailer); more; m, rest, more = nextMember(rest) {
		if EqualFold(m, "content-length") || EqualFold(m, "transfer-encoding") || EqualFold(m, "trailer") {
			return true
		}
	}
	return false
}

// checkCoding takes exactly "chunked" in any case (RFC 9112 section 6.1 and 7). Of
// what else may be there, codings we do not know are 501; a chunked that is repeated,
// not last or has parameters is an error of the framing.
func checkCoding(v []byte) *ProtocolError {
	if EqualFold(v, "chunked") {
		return nil
	}
	chunked := false
	for member, rest, more := nextMember(v); more; member, rest, more = nextMember(rest) {
		switch {
		case chunked:
			return refuse(400, "chunked is not the last transfer coding, or there twice")
		case EqualFold(member, "chunked"):
			chunked = true
		case !ValidName(member):
			return refuse(400, "Transfer-Encoding is not a list of plain transfer codings")
		}
	}
	if len(trimOWS(v)) == 0 || v[0] == ',' || v[len(v)-1] == ',' {
		return refuse(400, "Transfer-Encoding has an empty member")
	}
	return refuse(501, "a transfer coding other than chunked")
}

// parseLength takes digits only (RFC 9110 section 8.6): no sign, no list, and not so
// many that the number could overflow.
func parseLength(v []byte) (int64, *ProtocolError) {
	if len(v) == 0 || !allIn(v, isDigit) {
		return 0, refuse(400, "Content-Length is not a number")
	}
	if len(v) > 18 {
		return 0, refuse(400, "Content-Length is too large a number")
	}
	n := int64(0)
	for _, c := range v {
		n = n*10 + int64(c-'0')
	}
	return n, nil
}

// RequestFraming says how long the body of a request is (RFC 9112 section 6.3, rules
// 3, 4, 6 and 7). The error is a *ProtocolError with 400 or 501; the end of such a
// message is unknown, so its connection cannot be used again.
func RequestFraming(h *RequestHead) (Framing, error) {
	f, _, err := h.Fields.judgeFraming(h.http10)
	if err != nil {
		return Framing{}, err
	}
	return f, nil
}

// ResponseFraming says how long the body of a response to a request with that method
// is (RFC 9112 section 6.3). The error is a *ProtocolError with 502.
func ResponseFraming(h *ResponseHead, method string) (Framing, error) {
	if method == "CONNECT" && h.status/100 == 2 {
		// A tunnel; RFC 9110 section 9.3.6 says to ignore both fields.
		return Framing{}, nil
	}
	f, known, err := h.Fields.judgeFraming(h.http10)
	if err != nil {
		return Framing{}, err.AsOrigin()
	}
	switch {
	case h.status < 200 || h.status == 204:
		// RFC 9110 section 8.6 and RFC 9112 section 6.1 forbid both fields. "0" is
		// common and harmless; anything else announces bytes that are not ours to read.
		if known && f != (Framing{Kind: Length}) {
			return Framing{}, refuse(502, "a body announced by a response that has none")
		}
		return Framing{}, nil
	case method == "HEAD" || h.status == 304:
		return Framing{}, nil // the fields describe what a GET would get
	case known:
		return f, nil
	}
	return Framing{Kind: UntilClose}, nil
}

// RequestKeepAlive reports whether the client wants to send another request on the
// connection (RFC 9112 section 9.3).
func RequestKeepAlive(h *RequestHead) bool { return h.Fields.keepAlive(h.http10) }

// ResponseKeepAlive reports whether the origin keeps the connection open. Whether it
// can be used again depends on the framing too: UntilClose never can.
func ResponseKeepAlive(h *ResponseHead) bool { return h.Fields.keepAlive(h.http10) }

func (f *Fields) keepAlive(http10 bool) bool {
	keep := !http10
	if !f.HasName(NameConnection) {
		return keep
	}
	if v, once := f.Once(NameConnection); once { // most name one option
		switch NameOf(v) {
		case nameClose:
			return false
		case NameKeepAlive:
			return true
		}
	}
	for i := f.next(NameConnection, 0); i >= 0; i = f.next(NameConnection, i+1) {
		for m, rest, more := nextMember(f.valueOf(&f.lines[i])); more; m, rest, more = nextMember(rest) {
			switch NameOf(m) {
			case nameClose:
				return false
			case NameKeepAlive:
				keep = true
			}
		}
	}
	return keep
}
