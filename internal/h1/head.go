package h1

// A RequestHead is a validated request line and field section. It cannot hold a
// malformed one: parsing and the setters refuse it. The zero value is an empty head
// to be filled; written as it is, it reads "GET / HTTP/1.1". One head serves many
// messages, with Reset in between. Not safe for concurrent use.
type RequestHead struct {
	// Fields are the fields in the order received. After parsing, an HTTP/1.1 head
	// has exactly one valid Host.
	Fields Fields

	method string
	last   string // the method of the message before, so that an unusual one costs its string once
	form   form
	http10 bool
	// line holds the target and, where the target is in absolute-form without a
	// path, the origin-form made from it behind it.
	line      []byte
	targetLen int
	authority span
	path      span
	// start is where the field section of a head being parsed starts; 0 before that
	// is known. Only ContinueRequestHead uses it.
	start int
}

// A span is a part of RequestHead.line.
type span struct{ from, to int }

// Reset empties h and keeps its memory. What was returned before is invalid, except
// the method.
func (h *RequestHead) Reset() {
	h.Fields.Reset()
	if h.method != "" {
		h.last, h.method = h.method, ""
	}
	h.form, h.http10, h.start = formNone, false, 0
	h.line, h.targetLen = h.line[:0], 0
	h.authority, h.path = span{}, span{}
}

// Method returns the method; "" when none was set. The string is valid for ever and
// costs no allocation for methods in common use.
func (h *RequestHead) Method() string { return h.method }

// Target returns the request target byte for byte as received or set; valid until
// SetTarget or Reset.
func (h *RequestHead) Target() []byte { return h.line[:h.targetLen:h.targetLen] }

// Minor returns x of HTTP/1.x: 0 or 1. A head that was built says 1.
func (h *RequestHead) Minor() int { return minor(h.http10) }

// Authority returns host[:port] of the target when it is in absolute-form or
// authority-form, else the value of Host; empty when an HTTP/1.0 request has
// neither. It is never different from Host in a parsed head. Valid until the next
// mutation of h or its Fields.
func (h *RequestHead) Authority() []byte {
	if a := h.authority; a.to > a.from {
		return h.line[a.from:a.to:a.to]
	}
	host, _ := h.Fields.Value(NameHost)
	return host
}

// Path returns what an origin gets as its request target: path and query byte for
// byte as received, "*" for OPTIONS *, empty for CONNECT (RFC 9112 section 3.2.1 and
// 3.2.4). Valid until SetTarget or Reset.
func (h *RequestHead) Path() []byte { return h.line[h.path.from:h.path.to:h.path.to] }

// SetMethod sets the method. It returns a *ProtocolError and changes nothing when
// it is not a valid one, or does not fit the target that is set: authority-form and
// CONNECT need each other, "*" needs OPTIONS.
func (h *RequestHead) SetMethod(method string) error {
	var word [maxMethod]byte
	if len(method) > maxMethod {
		return refuse(501, "the method is longer than any that exists")
	}
	if !ValidMethod(append(word[:0], method...)) {
		return refuse(400, "the method is not a token")
	}
	if h.form != formNone {
		if err := h.form.fits(method); err != nil {
			return err
		}
	}
	h.method = method
	return nil
}

// SetTarget sets the request target, which is copied and may be a slice that h
// returned. It returns a *ProtocolError when the bytes, the form, or the form for the
// method that is set are not valid; h then has no target. Set the method first when
// the target is not in origin-form. The length is not limited here.
func (h *RequestHead) SetTarget(target []byte) error {
	if !ValidTarget(target) {
		return refuse(400, "the request target is empty or has a byte it cannot hold")
	}
	if err := h.setTarget(target); err != nil {
		return err
	}
	return nil
}

// Forward makes h the head that goes on to an origin, before anything is changed in
// it: the method, the path as its target, and a copy of all fields of from. What is
// valid there is not checked again. It returns a *ProtocolError when from has no
// method, no path (CONNECT), or a path that does not fit the method.
func (h *RequestHead) Forward(from *RequestHead) error {
	h.Reset()
	path := from.Path()
	switch {
	case from.method == "":
		return refuse(400, "the method is not a token")
	case len(path) == 0:
		return refuse(400, "the request target is empty or has a byte it cannot hold")
	}
	h.method = from.method
	if err := h.setTarget(path); err != nil {
		return err
	}
	h.Fields.CopyFrom(&from.Fields)
	return nil
}

// A ResponseHead is a validated status line and field section, as RequestHead is for
// requests. The zero value is to be filled; written as it is, it reads
// "HTTP/1.1 500 Internal Server Error". Not safe for concurrent use.
type ResponseHead struct {
	// Fields are the fields in the order received.
	Fields Fields

	status int
	http10 bool
	reason []byte
	start  int
}

// Reset empties h and keeps its memory. What was returned before is invalid.
func (h *ResponseHead) Reset() {
	h.Fields.Reset()
	h.status, h.http10, h.start = 0, false, 0
	h.reason = h.reason[:0]
}

// Status returns the status code, 100 to 599; 0 when none was set.
func (h *ResponseHead) Status() int { return h.status }

// Reason returns the reason phrase as received or set; may be empty. Valid until
// SetStatus or Reset.
func (h *ResponseHead) Reason() []byte { return h.reason[:len(h.reason):len(h.reason)] }

// Minor returns x of HTTP/1.x: 0 or 1. A head that was built says 1.
func (h *ResponseHead) Minor() int { return minor(h.http10) }

func minor(http10 bool) int {
	if http10 {
		return 0
	}
	return 1
}

// SetStatus sets the status line. An empty reason means the registered phrase. It
// returns a *ProtocolError and changes nothing when code is not in 100 to 599 (RFC
// 9110 section 15) or reason holds a control character.
func (h *ResponseHead) SetStatus(code int, reason string) error {
	if code < 100 || code > 599 {
		return refuse(500, "the status is not from 100 to 599")
	}
	if reason == "" {
		reason = ReasonPhrase(code)
	}
	for i := range len(reason) {
		if class[reason[i]]&isValue == 0 {
			return refuse(500, "the reason phrase holds a control character")
		}
	}
	h.status = code
	h.reason = append(h.reason[:0], reason...)
	return nil
}
