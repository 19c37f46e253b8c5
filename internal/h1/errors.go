package h1

// A ProtocolError says that a message breaks a rule of RFC 9110 or 9112, or a
// limit. Every error of this package is one.
//
// Status is a hint for the reply: 400, 413, 414, 431, 501 or 505 for what a client
// sent, 502 for everything about a response. Functions that cannot know which side
// they work for (BodyReader, RemoveHopByHop, the setters) say 400; for an origin's
// message use AsOrigin. Reason is one line of plain ASCII naming the rule, without
// any bytes of the peer's, so that it may be logged and sent as it is.
type ProtocolError struct {
	Status int
	Reason string

	truncated bool
}

// Error returns the reason with the name of the protocol in front.
func (e *ProtocolError) Error() string { return "http/1.1: " + e.Reason }

// Is makes every kind of truncation match ErrTruncated, and its own variable also
// after AsOrigin.
func (e *ProtocolError) Is(target error) bool {
	t, ok := target.(*ProtocolError)
	return ok && e.truncated && t.truncated && (target == ErrTruncated || t.Reason == e.Reason)
}

// AsOrigin returns e as an error about an origin's message: the same reason with
// status 502 (RFC 9110 section 15.6.3). The receiver is not changed.
func (e *ProtocolError) AsOrigin() *ProtocolError {
	o := *e
	o.Status = 502
	return &o
}

// ErrTruncated is what every "the input ended too early" error is, by errors.Is.
// Such a message must never be passed on as a complete one (RFC 9112 section 8).
var ErrTruncated error = &ProtocolError{Status: 400, Reason: "the message is truncated", truncated: true}

// The ways for a body to be cut short; each matches ErrTruncated.
var (
	// ErrShortBody: fewer bytes than Content-Length announced.
	ErrShortBody = &ProtocolError{Status: 400, Reason: "the body is shorter than its content-length", truncated: true}
	// ErrShortChunk: the input ended inside a chunk or its size line.
	ErrShortChunk = &ProtocolError{Status: 400, Reason: "the body ended inside a chunk", truncated: true}
	// ErrNoLastChunk: whole chunks only, but the last, empty one never came.
	ErrNoLastChunk = &ProtocolError{Status: 400, Reason: "the body ended without its last chunk", truncated: true}
	// ErrShortTrailers: the last chunk came, the end of the trailer section did not.
	ErrShortTrailers = &ProtocolError{Status: 400, Reason: "the body ended inside its trailer section", truncated: true}
)

func refuse(status int, reason string) *ProtocolError {
	return &ProtocolError{Status: status, Reason: reason}
}
