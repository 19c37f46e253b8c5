package h2session

import (
	"fmt"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/pitag"
)

// A Code is an HTTP/2 error code (RFC 9113, section 7). String gives the RFC's
// spelling.
type Code = http2.ErrCode

// An Initiator says which side found an error.
type Initiator uint8

// Local is this side, Remote the client.
const (
	Local Initiator = iota
	Remote
)

// String returns "local" or "remote".
func (i Initiator) String() string {
	if i == Remote {
		return "remote"
	}
	return "local"
}

// A ConnError ends the session with GOAWAY (RFC 9113, section 5.4.1).
type ConnError struct {
	Code      Code
	Reason    string // sent as GOAWAY's debug data, so it says nothing private
	Initiator Initiator

	cause pitag.Cause // "" = the client's fault in general
}

func (e *ConnError) Error() string {
	return fmt.Sprintf("h2session: connection error %v (%v): %s", e.Code, e.Initiator, e.Reason)
}

// A StreamError ends one stream with RST_STREAM (RFC 9113, section 5.4.2).
type StreamError struct {
	StreamID  uint32
	Code      Code
	Reason    string
	Initiator Initiator
}

func (e *StreamError) Error() string {
	return fmt.Sprintf("h2session: stream %d error %v (%v): %s", e.StreamID, e.Code, e.Initiator, e.Reason)
}

func connError(code Code, reason string) error { return &ConnError{Code: code, Reason: reason} }

func streamError(id uint32, code Code, reason string) error {
	return &StreamError{StreamID: id, Code: code, Reason: reason}
}
