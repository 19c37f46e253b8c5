package origin

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/h2gw/h2gw/internal/netio"
)

// alpn is what is offered to https origins: nothing else is spoken to them.
var alpn = []string{"http/1.1"}

var connIDs atomic.Uint64

// baseTLS is the configuration that https endpoints share: the caller's, with
// room for session tickets, so that a reconnect costs no full handshake.
func baseTLS(cfg *tls.Config) *tls.Config {
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg = cfg.Clone()
	if cfg.MinVersion == 0 {
		cfg.MinVersion = tls.VersionTLS12
	}
	if cfg.ClientSessionCache == nil {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return cfg
}

// endpointTLS is base for one endpoint.
func endpointTLS(base *tls.Config, ec EndpointConfig) *tls.Config {
	cfg := base.Clone()
	cfg.NextProtos = alpn
	switch {
	case ec.ServerName != "":
		cfg.ServerName = ec.ServerName
	case cfg.ServerName == "":
		cfg.ServerName, _, _ = net.SplitHostPort(ec.Addr)
	}
	return cfg
}

// dial makes a connection: name, TCP, TLS, all within ctx.
func (e *Endpoint) dial(ctx context.Context) (*conn, *Error) {
	dial := e.group.cfg.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	raw, err := dial(ctx, "tcp", e.cfg.Addr)
	if err != nil {
		return nil, e.dialError(ctx, err, false)
	}
	c := &conn{endpoint: e, raw: raw, nc: netio.Wrap(raw), sock: newSocket(raw)}
	if e.tls != nil {
		c.probe = &probe{Conn: c.nc, sock: c.sock}
		tc := tls.Client(c.probe, e.tls)
		if err := tc.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, e.dialError(ctx, err, true)
		}
		c.nc = tc
	}
	c.info = Info{
		ConnID: connIDs.Add(1), Endpoint: e,
		Remote: addrPort(raw.RemoteAddr()), Local: addrPort(raw.LocalAddr()),
	}
	return c, nil
}

// dialError sorts err. A context that has ended explains whatever it can cause: a
// dialer or a handshake may report it as a closed connection.
func (e *Endpoint) dialError(ctx context.Context, err error, inTLS bool) *Error {
	err = ifShortage(err)
	kind := sortError(err, inTLS)
	if cause := ctx.Err(); cause != nil && kind != KindResource {
		kind = sortError(cause, false)
	}
	return &Error{Kind: kind, Addr: e.cfg.Addr, Err: err}
}

// addrPort returns a's address, zero if it is not an IP address.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
