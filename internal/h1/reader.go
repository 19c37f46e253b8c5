package h1

import "bytes"

// ParseRequestHead reads one request head from the front of b into h, which is
// Reset first. n is the number of bytes consumed; 0 with a nil error means that b
// holds no complete head yet and is within lim, and then h must not be looked at.
// The error is a *ProtocolError with 400, 414, 431, 501 or 505. b is never kept.
func ParseRequestHead(h *RequestHead, b []byte, lim Limits) (n int, err error) {
	h.start = 0
	return ContinueRequestHead(h, b, lim)
}

// ContinueRequestHead is ParseRequestHead for a head of which an earlier call on h
// saw a part: b starts with the same bytes, more may follow. Lines already read are
// not read again, so that a client that sends a head byte by byte does not make us
// read all of it for each byte. The head must not have been changed in between.
// After a call that completed or refused a head it starts a new one.
func ContinueRequestHead(h *RequestHead, b []byte, lim Limits) (n int, err error) {
	lim = lim.orDefault()
	// Every rule is applied to the same view in the order of its bytes, whatever is
	// there already: that is why the verdict does not depend on how b was split.
	view := b[:min(len(b), lim.Head)]
	if h.start == 0 {
		h.Reset()
		start, perr := h.parseRequestLine(view, lim.Target)
		if perr != nil {
			return 0, perr
		}
		if start == 0 {
			return incomplete(b, lim)
		}
		h.start = start
	}
	start := h.start
	n, perr := h.Fields.parseSection(view[start:], lim.Fields)
	if n == 0 && perr == nil && len(b) < lim.Head {
		return 0, nil
	}
	h.start = 0
	if n == 0 && perr == nil {
		return incomplete(b, lim)
	}
	if perr == nil {
		perr = h.checkHost()
	}
	if perr != nil {
		return 0, perr
	}
	return start + n, nil
}

// ParseResponseHead reads one response head from the front of b into h, as
// ParseRequestHead does for requests. Every error has status 502.
func ParseResponseHead(h *ResponseHead, b []byte, lim Limits) (n int, err error) {
	h.start = 0
	return ContinueResponseHead(h, b, lim)
}

// ContinueResponseHead is to ParseResponseHead what ContinueRequestHead is to
// ParseRequestHead.
func ContinueResponseHead(h *ResponseHead, b []byte, lim Limits) (n int, err error) {
	lim = lim.orDefault()
	view := b[:min(len(b), lim.Head)]
	if h.start == 0 {
		h.Reset()
		start, perr := h.parseStatusLine(view)
		if perr != nil {
			return 0, perr.AsOrigin()
		}
		if start == 0 {
			return incompleteResponse(b, lim)
		}
		h.start = start
	}
	start := h.start
	n, perr := h.Fields.parseSection(view[start:], lim.Fields)
	if n == 0 && perr == nil && len(b) < lim.Head {
		return 0, nil
	}
	h.start = 0
	if n == 0 && perr == nil {
		return incompleteResponse(b, lim)
	}
	if perr != nil {
		return 0, perr.AsOrigin()
	}
	return start + n, nil
}

// incomplete is called with a view that holds no whole head. When the view is as
// long as the limit no further byte could complete it.
func incomplete(b []byte, lim Limits) (int, error) {
	if len(b) >= lim.Head {
		return 0, refuse(431, "the head is larger than the limit")
	}
	return 0, nil
}

func incompleteResponse(b []byte, lim Limits) (int, error) {
	if len(b) >= lim.Head {
		return 0, refuse(502, "the head is larger than the limit")
	}
	return 0, nil
}

// parseRequestLine reads "method SP target SP version CRLF" (RFC 9112 section 3),
// byte by byte in order. next is where the field section starts, 0 when b ends
// before that.
func (h *RequestHead) parseRequestLine(b []byte, maxTarget int) (next int, err *ProtocolError) {
	i := 0
	// One empty line before the request line is the most a robust reader should
	// ignore (RFC 9112 section 2.2).
	if len(b) > 0 && b[0] == '\r' {
		if len(b) < 2 {
			return 0, nil
		}
		if b[1] != '\n' {
			return 0, refuse(400, "a bare CR before the request line")
		}
		i = 2
	}
	method, err := scanMethod(b[i:])
	if method == nil || err != nil {
		return 0, err
	}
	i += len(method) + 1
	target, err := scanTarget(b[i:], maxTarget)
	if target == nil || err != nil {
		return 0, err
	}
	i += len(target) + 1
	n, err := h.parseVersion(b[i:])
	if n == 0 || err != nil {
		return 0, err
	}
	h.method = internMethod(h.last, method)
	if err := h.setTarget(target); err != nil {
		return 0, err
	}
	return i + n, nil
}

// scanMethod returns the token in front of the first SP; nil when b ends before it.
func scanMethod(b []byte) ([]byte, *ProtocolError) {
	for i, c := range b {
		if class[c]&isToken != 0 {
			if i >= maxMethod {
				return nil, refuse(501, "the method is longer than any that exists")
			}
			continue
		}
		if c == ' ' && i > 0 {
			return b[:i], nil
		}
		return nil, refuse(400, badMethodByte(c, i))
	}
	return nil, nil
}

func badMethodByte(c byte, at int) string {
	switch {
	case c == '\n':
		return "a bare LF in or before the request line"
	case c == '\r' && at == 0:
		return "more than one empty line before the request line"
	case isOWS(c) && at == 0:
		return "white space before the method"
	case c == '\t' || c == '\r':
		return "the request line is not method, space, target, space, version"
	}
	return "the method is not a token"
}

// scanTarget returns the bytes in front of the next SP; nil when b ends before it.
// Exactly one SP on either side, no other white space (RFC 9112 section 3).
func scanTarget(b []byte, limit int) ([]byte, *ProtocolError) {
	for i, c := range b {
		if class[c]&isTarget != 0 {
			if i >= limit {
				return nil, refuse(414, "the request target is longer than the limit")
			}
			continue
		}
		switch {
		case c == ' ' && i > 0:
			return b[:i], nil
		case isOWS(c):
			return nil, refuse(400, "more than one white space in the request line")
		case c == '\r' || c == '\n':
			return nil, refuse(400, "the request line has no version")
		case c == '#':
			return nil, refuse(400, "the request target has a fragment")
		}
		return nil, refuse(400, "a byte that the request target cannot hold")
	}
	return nil, nil
}

// parseVersion reads "HTTP/1.x CRLF" at the end of a request line.
func (h *RequestHead) parseVersion(b []byte) (n int, err *ProtocolError) {
	const version = len("HTTP/1.1")
	if len(b) < version {
		// A line end too early can be told at once; all else waits for its byte.
		if bytes.IndexByte(b, '\n') >= 0 {
			return 0, refuse(400, "the request line has no valid version")
		}
		return 0, nil
	}
	http10, err := parseHTTPVersion(b)
	if err != nil {
		return 0, err
	}
	h.http10 = http10
	return lineEnd(b, version)
}

// parseHTTPVersion reads the eight bytes of HTTP-version (RFC 9112 section 2.3):
// upper case, one digit each side of the dot. Other major or minor versions than
// 1.0 and 1.1 do not exist on this wire.
func parseHTTPVersion(b []byte) (http10 bool, err *ProtocolError) {
	if string(b[:5]) != "HTTP/" || class[b[5]]&isDigit == 0 || b[6] != '.' || class[b[7]]&isDigit == 0 {
		return false, refuse(400, "the version is not HTTP/1.0 or HTTP/1.1")
	}
	if b[5] != '1' || b[7] > '1' {
		return false, refuse(505, "the version is not HTTP/1.0 or HTTP/1.1")
	}
	return b[7] == '0', nil
}

// parseStatusLine reads "version SP 3DIGIT SP [reason] CRLF" (RFC 9112 section 4).
// The second SP may be missing when there is no reason: origins do that, and it
// cannot be read in two ways.
func (h *ResponseHead) parseStatusLine(b []byte) (next int, err *ProtocolError) {
	const fixed = len("HTTP/1.1 200")
	if line := usualStatusLine(b); line != "" {
		h.status = statusOf(b[9:12])
		h.reason = append(h.reason[:0], line[fixed+1:len(line)-2]...)
		return len(line), nil
	}
	if len(b) < fixed+1 {
		if bytes.IndexByte(b, '\n') >= 0 {
			return 0, refuse(502, "the status line is incomplete")
		}
		return 0, nil
	}
	http10, err := parseHTTPVersion(b)
	if err != nil {
		return 0, err
	}
	status := b[9:12]
	if b[8] != ' ' || !allIn(status, isDigit) || status[0] < '1' || status[0] > '5' {
		return 0, refuse(502, "the status is not a space and a number from 100 to 599")
	}
	i := fixed
	if b[i] == ' ' {
		i++
	} else if b[i] != '\r' {
		return 0, refuse(502, "no space behind the status")
	}
	end := scanValue(b, i)
	n, err := lineEnd(b, end)
	if n == 0 || err != nil {
		return 0, err
	}
	h.http10 = http10
	h.status = statusOf(status)
	h.reason = append(h.reason[:0], b[i:end]...)
	return n, nil
}

// usualStatusLine returns the line that b begins with if its phrase is the registered
// one, else "".
func usualStatusLine(b []byte) string {
	if len(b) < len("HTTP/1.1 200 OK\r\n") {
		return ""
	}
	// Modulo: what is no digit gives any line, which then is not what b begins with.
	line := statusLines[uint(statusOf(b[9:12]))%uint(len(statusLines))]
	if line == "" || len(b) < len(line) || string(b[:len(line)]) != line {
		return ""
	}
	return line
}

// statusOf reads three digits.
func statusOf(b []byte) int { return int(b[0]-'0')*100 + int(b[1]-'0')*10 + int(b[2]-'0') }
