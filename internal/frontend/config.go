package frontend

import (
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// Protocols a connection can be found to speak, in the spelling of the ALPN
// registry (h2c was retired from it by RFC 9113, 3.1, and names HTTP/2 over
// cleartext).
const (
	ProtoH2    = "h2"
	ProtoH2C   = "h2c"
	ProtoHTTP1 = "http/1.1"
)

// Defaults for the zero values of Config.
const (
	DefaultHandshake   = 10 * time.Second
	DefaultPreface     = 10 * time.Second
	DefaultMaxSessions = 100_000
)

// A Config says where to listen and what client connections are bounded by.
// The zero value of every field but Listeners works.
type Config struct {
	// Listeners are opened in order; at least one is needed.
	Listeners []ListenerConfig
	// Handshake bounds the TLS handshake. 0 means DefaultHandshake; negative,
	// no bound.
	Handshake time.Duration
	// Preface bounds the wait for the first bytes on a cleartext connection,
	// until the protocol is known. 0 means DefaultPreface; negative, no bound.
	Preface time.Duration
	// MaxSessions bounds the client connections open at once, over all
	// listeners. 0 means DefaultMaxSessions; negative, no bound.
	MaxSessions int
	// MaxPerClient bounds those of one client: one IPv4 address, or one IPv6
	// /64, which is what a single customer holds. 0 or negative: no bound.
	MaxPerClient int
	// Admit is asked for each connection before its handshake; an error, which
	// says why, refuses it with ReasonLimit. It must not block. May be nil.
	Admit func() error
	// OnAcceptError is told of failed accepts, such as the process being out of
	// file descriptors, at most once in ten seconds per listener. May be nil.
	OnAcceptError func(listener string, err error)
}

// A ListenerConfig describes one listening socket.
type ListenerConfig struct {
	// Name is the listener's name in logs and metrics: "tls", "plain".
	Name string
	// Addr is the TCP address to listen on, "host:port" or ":port".
	Addr string
	// TLS makes this a TLS listener; see TLSConfig. nil: cleartext.
	TLS *tls.Config
}

// An Info is what the frontend knows about a connection. It is the Handler's
// to keep, and does not change after it was handed over.
type Info struct {
	// Listener is the name of the listener that accepted the connection.
	Listener string
	// Protocol is ProtoH2, ProtoH2C or ProtoHTTP1; "" when the connection
	// ended before one was known.
	Protocol string
	// Client and Local are the two ends' addresses, IPv4 ones unmapped. They
	// are zero where the connection is not of TCP.
	Client, Local netip.AddrPort
	// TLS is the finished handshake's state; nil on cleartext and when the
	// handshake failed.
	TLS *tls.ConnectionState
	// Accepted is when the connection was accepted.
	Accepted time.Time
	// Lane is pitag.Session's.
	Lane int
	// Tried says whether a TLS handshake was attempted: with a nil TLS it
	// failed.
	Tried bool
}

// A Reason says why a connection was not served.
type Reason string

// The reasons a Handler's Refused can be given.
const (
	ReasonLimit            Reason = "limit"             // MaxSessions, MaxPerClient or Admit
	ReasonHandshake        Reason = "handshake"         // the TLS handshake failed
	ReasonHandshakeTimeout Reason = "handshake_timeout" // Config.Handshake
	ReasonPrefaceTimeout   Reason = "preface_timeout"   // Config.Preface
	ReasonGarbage          Reason = "garbage"           // the first bytes are of no known protocol
	ReasonClosed           Reason = "closed"            // the client closed without having said anything
	ReasonAborted          Reason = "aborted"           // Frontend.Abort
	ReasonPanic            Reason = "panic"             // a fault of ours; err has the stack
)

// A Handler takes over connections. Its methods must be safe for concurrent use.
type Handler interface {
	// ServeConn serves conn; it owns and closes conn. It may return before conn
	// has ended, and should when others do the work: its goroutine's stack has
	// grown in the handshake. For ProtoH2 it must not wait, neither for conn nor
	// for others: it is called by who serves many, and conn can be polled (see
	// package netio). For others it has a goroutine to itself. done must be called once, when conn has ended: the
	// connection counts against the limits until then. A panic is the Handler's
	// to recover.
	ServeConn(conn net.Conn, info *Info, done func())
	// Refused reports a connection that was closed before it could be served.
	// err is the detail and may be nil.
	Refused(info *Info, reason Reason, err error)
}
