package accesslog

// The names of the fields, in the order in which they are written. Operators
// script against them: a change needs a note in CHANGELOG.md. A value that is
// absent is left out; a number that is 0 is written where 0 is a count and left
// out where it means "none".
const (
	fieldEvent    = "event" // EventAccess or EventSession
	fieldTS       = "ts"    // when the line's subject ended: RFC 3339, microseconds, UTC
	fieldTag      = "pitag" // protocol of the client connection; left out when absent
	fieldID       = "piid"  // number of the client connection; left out when not set
	fieldListener = "listener"
	fieldClient   = "client" // addr:port

	// Of a transaction.
	fieldStream       = "stream" // HTTP/2 stream id, 0 on HTTP/1.1
	fieldTxn          = "txn"    // 1-based count on its connection
	fieldMethod       = "method"
	fieldHost         = "host"
	fieldPath         = "path"
	fieldStatus       = "status" // to the client; left out when the stream was reset without one
	fieldOutcome      = "outcome"
	fieldBytesIn      = "bytes_in"    // access: bodies; session: the connection
	fieldBytesOut     = "bytes_out"   // likewise
	fieldDuration     = "duration_ms" // milliseconds with three decimals
	fieldTTFB         = "ttfb_ms"     // from the start to the first byte of the response
	fieldRoute        = "route"
	fieldOrigin       = "origin"        // addr:port
	fieldOriginConn   = "origin_conn"   // number of the origin connection
	fieldOriginReused = "origin_reused" // with origin_conn
	fieldRetries      = "retries"
	fieldUserAgent    = "user_agent"
	fieldRequestID    = "request_id"
	fieldH2Error      = "h2_error" // RFC spelling, when the stream was reset

	// Of a client connection.
	fieldTLSVersion     = "tls_version" // as crypto/tls names it: "TLS 1.3"
	fieldTLSCipher      = "tls_cipher"
	fieldTLSResumed     = "tls_resumed"
	fieldALPN           = "alpn"
	fieldSNI            = "sni"
	fieldStreams        = "streams"
	fieldStreamsPeak    = "streams_peak"
	fieldStreamsRefused = "streams_refused"
	fieldResetsIn       = "resets_in"
	fieldResetsOut      = "resets_out"
	fieldGoAway         = "goaway"
	fieldCause          = "cause"
)

// The values of the field event.
const (
	EventAccess  = "access"
	EventSession = "session"
)
