package pitag

import (
	"crypto/tls"
	"net/netip"
	"sync"
	"time"
)

// A Session is what is known of one client connection while it is open: the
// connection that streams, virtual connections and transactions belong to. Its
// fields are set before the session is served and do not change after; its
// methods are safe for concurrent use.
type Session struct {
	// Identity names the session in the log. The tag is the protocol.
	Identity Identity
	// Client and Local are the two addresses of the client connection. Client
	// is the real client (after PROXY protocol, where that is trusted).
	Client, Local netip.AddrPort
	// Listener is the name of the listener that accepted the connection.
	Listener string
	// TLS is the state of the finished handshake; nil on cleartext.
	TLS *tls.ConnectionState
	// Start is when the connection was accepted.
	Start time.Time
	// Lane says which of the goroutines that serve many connections serves this
	// one: a number, not negative, the same for all connections of one goroutine.
	// What is done for this connection is best done there. It has no meaning
	// beyond that; 0 is right where nothing is known.
	Lane int

	mu     sync.Mutex
	values map[any]any
}

// ALPN returns the protocol that TLS negotiated, or "" on cleartext or when the
// client offered none.
func (s *Session) ALPN() string {
	if s.TLS == nil {
		return ""
	}
	return s.TLS.NegotiatedProtocol
}

// Scheme returns "https" for a session over TLS and "http" for one that is not.
func (s *Session) Scheme() string {
	if s.TLS != nil {
		return "https"
	}
	return "http"
}

// Value returns what SetValue stored under key, or nil. Keys should be of an
// unexported type of the package that owns them, as in context.WithValue.
func (s *Session) Value(key any) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

// SetValue stores v under key for the life of the session.
func (s *Session) SetValue(key, v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = make(map[any]any, 1)
	}
	s.values[key] = v
}

// A Cause says why a client connection was closed. The set is closed, so that
// it can be a metric label; flood causes are written "flood:" and the bound.
type Cause string

// The causes a session can end with.
const (
	CauseClientClosed     Cause = "client_closed"     // the client closed, cleanly
	CauseClientReset      Cause = "client_reset"      // the connection broke: reset, or closed in the middle of a message
	CauseClientError      Cause = "client_error"      // the client broke the protocol
	CauseServerClosed     Cause = "server_closed"     // we closed after the last response (Connection: close, HTTP/1.0)
	CauseHandshakeFailed  Cause = "handshake_failed"  // the TLS handshake failed
	CauseHandshakeTimeout Cause = "handshake_timeout" // timeouts.handshake
	CausePrefaceTimeout   Cause = "preface_timeout"   // timeouts.preface
	CauseHeadTimeout      Cause = "head_timeout"      // timeouts.request_head
	CauseBodyTimeout      Cause = "body_timeout"      // timeouts.request_body_idle, HTTP/1.1 only
	CauseIdleTimeout      Cause = "idle_timeout"      // timeouts.session_idle
	CauseMaxAge           Cause = "max_age"           // timeouts.session_age
	CauseWriteStall       Cause = "write_stall"       // timeouts.write_stall
	CauseLimit            Cause = "limit"             // over limits.sessions or limits.sessions_per_client
	CauseDrain            Cause = "drain"             // the gateway is shutting down
	CauseInternal         Cause = "internal_error"    // a fault of ours, such as a recovered panic
)

// A SessionRecord is what is known about a client connection when it has
// closed; the session line of the log and the session metrics are written from
// it. Streams equals the number of transaction records of the session.
type SessionRecord struct {
	*Session
	// End is when the connection was closed.
	End time.Time
	// Streams counts requests received: HTTP/2 streams opened by the client,
	// or HTTP/1.1 requests; refused ones included. StreamsRefused counts those
	// refused before a transaction existed. StreamsPeak is the largest number
	// open at once.
	Streams, StreamsRefused, StreamsPeak uint64
	// ResetsIn and ResetsOut count RST_STREAM frames received and sent.
	ResetsIn, ResetsOut uint64
	// BytesIn and BytesOut count bytes on the connection, inside TLS.
	BytesIn, BytesOut uint64
	// GoAway is the error code of the GOAWAY sent, or else received, in RFC
	// spelling (NO_ERROR); "" when there was none.
	GoAway string
	// Cause says why the connection was closed.
	Cause Cause
	// Err is the detail behind Cause, for the error log; nil when there is none.
	Err error
}
