package httpsm

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/pitag"
)

// A Config says how a Machine works. The zero value works: every transaction
// then goes to the address its virtual connection was opened to. It is copied
// by New and not looked at again.
type Config struct {
	// Origins is the group all requests go to unless Route or a hook says
	// otherwise. nil: the address of the virtual connection is the origin, and
	// requests of HTTP/1.1 client connections are answered 503.
	Origins *origin.Group
	// Route chooses the group of a request, and the name of the route for the
	// record. It must not block. nil: Origins, with no route name. A nil group
	// means that no origin serves this request: 503.
	Route func(*Txn) (route string, g *origin.Group)
	// Covers reports whether the certificate that the client of s was shown is
	// valid for host, a name or an address without port. It is asked about
	// requests over TLS for another host than the client named in SNI; what is
	// not covered is answered 421. It must not block. nil: nothing is.
	Covers func(s *pitag.Session, host string) bool
	// Hooks are called for every transaction; may be nil.
	Hooks *Hooks
	// OnRecord is called once per transaction, when both sides have ended. It
	// must not block and must not keep the Record; strings in it may be kept.
	OnRecord func(*Record)
	// Timeouts and Limits; see interface.md for the names.
	Timeouts Timeouts
	Limits   Limits
	// Via is the pseudonym in Via and Proxy-Status fields, a token; "", or what is
	// none, = "h2gw".
	Via string
	// Retries is how often a request is sent again after a failure that makes
	// it safe; 0 = 2, negative: never.
	Retries int
	// Log gets one line for every panic and transaction that ended badly through a
	// fault of ours, and at most one a second while no origin can be reached for
	// want of file descriptors or memory; at debug level also one for every retry
	// and other transaction that ended badly. The zero Logger is silent.
	Log zerolog.Logger
}

// Timeouts of a transaction and of an HTTP/1.1 client connection. 0 means the
// default in brackets; negative: off.
type Timeouts struct {
	Preface          time.Duration // first byte of an HTTP/1.1 connection [10s]
	RequestHead      time.Duration // a request head, from its first byte [10s]
	RequestBodyIdle  time.Duration // between bytes of a request body [30s]
	WriteStall       time.Duration // the client reads nothing of what it is sent [30s]
	SessionIdle      time.Duration // between requests of an HTTP/1.1 connection [120s]
	SessionAge       time.Duration // of an HTTP/1.1 connection; ends it after a response [off]
	ResponseHead     time.Duration // the origin's response head, from the end of the request [60s]
	ResponseBodyIdle time.Duration // between bytes of a response body [60s]
	TunnelIdle       time.Duration // between bytes of a WebSocket, in either direction [1h]
	Connect          time.Duration // to an origin that is the virtual connection's address; a Group has its own [5s]
}

// Limits on what a peer can send. 0 means the default in brackets.
type Limits struct {
	RequestHead  int   // bytes of a request head [64 KiB]; 431
	ResponseHead int   // bytes of a response head [64 KiB]; 502
	Fields       int   // field lines of a head [128]; 431 or 502
	Target       int   // bytes of a request target [16 KiB]; 414
	RequestBody  int64 // bytes of a request body [off]; 413. Negative: off
	// RequestBodyRate is how many bytes a second of a request body a client
	// must send while it is waited for, on an average over RequestBodyIdle (30
	// seconds, when that is off) and until its response begins [240]; 408.
	// Negative: off.
	RequestBodyRate int64
}

const (
	maxInterim = 16                    // 1xx responses passed on per request
	watchAfter = 20 * time.Millisecond // how long an origin may take before an HTTP/1.1 client is watched for leaving
)

// withDefaults returns c with every 0 replaced, and negative timeouts by 0,
// which from here on means off.
func (c Config) withDefaults() Config {
	t := &c.Timeouts
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&t.Preface, 10 * time.Second},
		{&t.RequestHead, 10 * time.Second},
		{&t.RequestBodyIdle, 30 * time.Second},
		{&t.WriteStall, 30 * time.Second},
		{&t.SessionIdle, 120 * time.Second},
		{&t.SessionAge, -1},
		{&t.ResponseHead, 60 * time.Second},
		{&t.ResponseBodyIdle, 60 * time.Second},
		{&t.TunnelIdle, time.Hour},
		{&t.Connect, 5 * time.Second},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
		*d.v = max(*d.v, 0)
	}
	if c.Retries == 0 {
		c.Retries = 2
	}
	c.Retries = max(c.Retries, 0)
	if !h1.ValidName([]byte(c.Via)) {
		c.Via = "h2gw"
	}
	c.Limits.RequestBody = max(c.Limits.RequestBody, 0)
	if c.Limits.RequestBodyRate == 0 {
		c.Limits.RequestBodyRate = defaultBodyRate
	}
	c.Limits.RequestBodyRate = max(c.Limits.RequestBodyRate, 0)
	return c
}

func (l Limits) request() h1.Limits {
	return h1.Limits{Head: l.RequestHead, Fields: l.Fields, Target: l.Target}
}

func (l Limits) response() h1.Limits {
	return h1.Limits{Head: l.ResponseHead, Fields: l.Fields}
}
