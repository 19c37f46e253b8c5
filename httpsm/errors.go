package httpsm

import (
	"errors"
	"fmt"
	"os"
)

// An Outcome is the one word that says how a transaction ended. The log, the
// metric label and the Proxy-Status field share it. The set is closed. The
// names are those of RFC 9209 section 2.3, and those marked (ours) for what it
// lacks.
type Outcome string

// The outcomes.
const (
	Completed              Outcome = "completed"                // (ours) the response was delivered whole
	ClientAbort            Outcome = "client_abort"             // (ours) the client left first
	ClientTimeout          Outcome = "client_timeout"           // (ours) the client sent or read too slowly
	HTTPRequestError       Outcome = "http_request_error"       // the request was malformed or too large
	HTTPRequestDenied      Outcome = "http_request_denied"      // the request was well-formed, and refused
	DestinationUnavailable Outcome = "destination_unavailable"  // no origin, or none that can be reached now
	ConnectionLimitReached Outcome = "connection_limit_reached" // limits.origin_connections, and the wait was over
	ConnectionRefused      Outcome = "connection_refused"       // the origin refused the connection
	ConnectionTerminated   Outcome = "connection_terminated"    // the origin closed before it answered, or reset a tunnel
	ConnectionTimeout      Outcome = "connection_timeout"       // timeouts.connect
	TLSProtocolError       Outcome = "tls_protocol_error"       // TLS to the origin failed
	ConnectionReadTimeout  Outcome = "connection_read_timeout"  // timeouts.tunnel_idle
	HTTPProtocolError      Outcome = "http_protocol_error"      // the origin's answer was malformed
	HTTPResponseTimeout    Outcome = "http_response_timeout"    // timeouts.response_head, timeouts.response_body_idle
	HTTPResponseIncomplete Outcome = "http_response_incomplete" // the origin closed within its answer
	ProxyInternalResponse  Outcome = "proxy_internal_response"  // a hook answered
	ProxyInternalError     Outcome = "proxy_internal_error"     // a fault of ours
	GatewayDraining        Outcome = "gateway_draining"         // (ours) ended by the shutdown of the gateway
	GatewayOverloaded      Outcome = "gateway_overloaded"       // (ours) no file descriptor or memory is left to us
)

// Outcomes returns all of them, in the order of the constants.
func Outcomes() []Outcome {
	return []Outcome{
		Completed, ClientAbort, ClientTimeout, HTTPRequestError, HTTPRequestDenied,
		DestinationUnavailable, ConnectionLimitReached, ConnectionRefused, ConnectionTerminated,
		ConnectionTimeout, TLSProtocolError, ConnectionReadTimeout, HTTPProtocolError, HTTPResponseTimeout,
		HTTPResponseIncomplete, ProxyInternalResponse, ProxyInternalError, GatewayDraining,
		GatewayOverloaded,
	}
}

// A Source says on whose side a transaction failed.
type Source uint8

// The sources. The zero Source is the gateway itself.
const (
	SourceGateway Source = iota
	SourceClient
	SourceOrigin
)

// String returns "gateway", "client" or "origin".
func (s Source) String() string {
	switch s {
	case SourceClient:
		return "client"
	case SourceOrigin:
		return "origin"
	default:
		return "gateway"
	}
}

// A TxnError is why a transaction did not complete. It is found in Record.Err
// with errors.As.
type TxnError struct {
	// Source is the side that failed; State where the transaction was then.
	Source Source
	State  State
	// Outcome is the record's.
	Outcome Outcome
	// Err is the detail; nil when the outcome says everything.
	Err error
}

// Error says where, what and why.
func (e *TxnError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("httpsm: %s in %s (%s)", e.Outcome, e.State, e.Source)
	}
	return fmt.Sprintf("httpsm: %s in %s (%s): %v", e.Outcome, e.State, e.Source, e.Err)
}

// Unwrap returns the detail.
func (e *TxnError) Unwrap() error { return e.Err }

// Details that are ours, not an operating system's.
var (
	errTrailingBytes  = errors.New("bytes after the end of the request: a virtual connection carries one")
	errBodyTooLarge   = errors.New("request body over limits.request_body")
	errTruncatedBody  = errors.New("the client closed before the end of its request body")
	errTooSlow        = errors.New("the request body came slower than limits.request_body_rate")
	errBodyIdle       = errors.New("no byte of the request body came within timeouts.request_body_idle")
	errNoContinue     = errors.New("neither 100 Continue nor an answer came within timeouts.response_head")
	errStopped        = errors.New("the rest of the request body is not wanted")
	errTooManyInterim = errors.New("more than 16 interim (1xx) responses")
	errUnasked101     = errors.New("101 Switching Protocols, but no upgrade was asked for")
	errNoReply        = errors.New("a hook returned Reply without calling Txn.Reply")
	errNoOrigin       = errors.New("no origin for this request: no group, and the connection was opened to no address")
	errOriginWait     = errors.New("the origin sent nothing for too long")
	errShutdown       = errors.New("the gateway is shutting down")
	errConnClosed     = errors.New("the client closed the connection")
)

// isTimeout reports whether err is a deadline of ours.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// HTTP/2 error codes, RFC 9113 section 7: the language of a virtual
// connection's Reset.
const (
	codeProtocolError = 0x1
	codeInternalError = 0x2
	codeRefusedStream = 0x7
	codeCancel        = 0x8
)

var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
	"STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
	"CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

// codeName returns the RFC spelling of an HTTP/2 error code.
func codeName(code uint32) string {
	if int(code) < len(codeNames) {
		return codeNames[code]
	}
	return fmt.Sprintf("UNKNOWN_ERROR_%d", code)
}
