package origin

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// What a zero Config means.
const (
	DefaultName           = "default"
	DefaultConnectTimeout = 5 * time.Second
	DefaultIdleTimeout    = 60 * time.Second
	DefaultMaxIdle        = 256
	DefaultMaxConns       = 1024
	DefaultMaxBuffer      = 128 << 10
)

// A Config describes a group. The zero value of every field works; a group
// without endpoints serves [Group.EndpointFor] only.
type Config struct {
	// Name is the group's name in logs and metrics: a label from a closed set.
	// "" means "default".
	Name string
	// Endpoints are the addresses that serve the same content.
	Endpoints []EndpointConfig
	// ConnectTimeout bounds connecting (name, TCP, TLS), and waiting for a
	// connection when MaxConns are in use. 0 means 5s; negative: only the
	// caller's context bounds them.
	ConnectTimeout time.Duration
	// IdleTimeout is how long a connection is kept unused: it is closed after
	// three quarters of it at the earliest, all of it at the latest. 0 means
	// 60s; negative: connections are not kept.
	IdleTimeout time.Duration
	// MaxIdle is how many unused connections each endpoint keeps. 0 means 256;
	// negative: none.
	MaxIdle int
	// MaxConns is how many connections each endpoint may have, those being
	// made included. Beyond it requests wait in order of arrival; after
	// ConnectTimeout they fail with KindLimit. 0 means 1024; negative: no limit.
	MaxConns int
	// Pipeline is how many requests may be outstanding on one connection that
	// they share (see [Endpoint.Share]). 0 and 1 mean that none is shared; at
	// most MaxPipeline is used.
	Pipeline int
	// MaxBuffer bounds what Fill holds unread, in bytes, and so the largest
	// response head. 0 means 128 KiB; at least 16 KiB are used.
	MaxBuffer int
	// Dial makes the transport connection; nil means a net.Dialer. It must
	// return when its context ends.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS is the base of the configuration for https endpoints; it is cloned.
	// nil means the system's roots and Go's defaults. Certificates are verified
	// against ServerName unless it says otherwise.
	TLS *tls.Config
	// Rand returns a number in [0,n); nil means math/rand/v2. For tests. It
	// must be safe for concurrent use.
	Rand func(n int) int
}

// An EndpointConfig is one address.
type EndpointConfig struct {
	// Addr is host:port; the host is a name or an IP address (IPv6 in
	// brackets).
	Addr string
	// TLS says that the endpoint is spoken to over TLS.
	TLS bool
	// ServerName is the name that the certificate must have and that is sent
	// as SNI; "" means the host of Addr.
	ServerName string
}

// ParseURL turns "http://host[:port]" or "https://host[:port]" into an
// EndpointConfig. The port defaults to 80 or 443. The error says what is wrong
// and what would be right.
func ParseURL(s string) (EndpointConfig, error) {
	bad := func(format string, args ...any) (EndpointConfig, error) {
		return EndpointConfig{}, fmt.Errorf("origin %q: %s", s, fmt.Sprintf(format, args...))
	}
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		return bad("no scheme: write http://%s or https://%s", s, s)
	}
	scheme = strings.ToLower(scheme)
	if scheme != "http" && scheme != "https" {
		return bad("scheme %q: only http and https are spoken to origins", scheme)
	}
	u, err := url.Parse(scheme + "://" + rest)
	if err != nil {
		return bad("%v; write %s://host:port", unwrapURL(err), scheme)
	}
	switch {
	case u.User != nil:
		return bad("a user name or password is not allowed in an origin; write %s://%s", scheme, u.Host)
	case u.Path != "" && u.Path != "/":
		return bad("a path (%s) is not allowed: requests keep their own; write %s://%s", u.Path, scheme, u.Host)
	case u.RawQuery != "" || u.ForceQuery:
		return bad("a query is not allowed; write %s://%s", scheme, u.Host)
	case u.Fragment != "" || strings.Contains(rest, "#"):
		return bad("a fragment is not allowed; write %s://%s", scheme, u.Host)
	case u.Hostname() == "":
		return bad("no host; write %s://host:port", scheme)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	ec := EndpointConfig{Addr: net.JoinHostPort(u.Hostname(), port), TLS: scheme == "https"}
	if err := ec.check(); err != nil {
		return bad("%v", err)
	}
	return ec, nil
}

// unwrapURL drops the address that url.Error repeats.
func unwrapURL(err error) error {
	if ue, ok := err.(*url.Error); ok {
		return ue.Err
	}
	return err
}

// check says what is wrong with an endpoint's address.
func (ec EndpointConfig) check() error {
	host, port, err := net.SplitHostPort(ec.Addr)
	if err != nil {
		return fmt.Errorf("address %q: write host:port, such as 127.0.0.1:8080 or [::1]:8080", ec.Addr)
	}
	if host == "" {
		return fmt.Errorf("address %q has no host: write host:port", ec.Addr)
	}
	if strings.ContainsAny(host, " \t\r\n/@") {
		return fmt.Errorf("address %q: %q is not a host name or an IP address", ec.Addr, host)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("address %q: port %q is not a number from 1 to 65535", ec.Addr, port)
	}
	return nil
}

// withDefaults returns c with every zero value replaced by what it means.
func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = DefaultConnectTimeout
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = DefaultIdleTimeout
	}
	if c.MaxIdle == 0 {
		c.MaxIdle = DefaultMaxIdle
	}
	if c.MaxConns == 0 {
		c.MaxConns = DefaultMaxConns
	}
	if c.MaxBuffer == 0 {
		c.MaxBuffer = DefaultMaxBuffer
	}
	c.MaxBuffer = max(c.MaxBuffer, bufferClasses[0])
	return c
}
