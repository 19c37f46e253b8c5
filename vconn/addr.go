package vconn

import (
	"net"
	"net/netip"

	"github.com/h2gw/h2gw/pitag"
)

// LocalAddr returns, on the active end, the client's address, and on the passive
// end what the active end connects to. It is always a new *net.TCPAddr, as on
// TCP; its IP is nil when the address is not known.
func (c *Conn) LocalAddr() net.Addr {
	if c.side == active {
		return tcpAddr(c.client())
	}
	return tcpAddr(c.pair.addr)
}

// RemoteAddr returns, on the active end, what it connects to, and on the passive
// end the client's address, as LocalAddr does.
func (c *Conn) RemoteAddr() net.Addr {
	if c.side == active {
		return tcpAddr(c.pair.addr)
	}
	return tcpAddr(c.client())
}

func (c *Conn) client() netip.AddrPort {
	if c.pair.session == nil {
		return netip.AddrPort{}
	}
	return c.pair.session.Client
}

func tcpAddr(a netip.AddrPort) *net.TCPAddr {
	if !a.Addr().IsValid() {
		return &net.TCPAddr{Port: int(a.Port())}
	}
	return net.TCPAddrFromAddrPort(a)
}

// Addr returns what the active end connects to; zero means that routing
// decides. Both ends return the same, of this and of all that follow.
func (c *Conn) Addr() netip.AddrPort { return c.pair.addr }

// Identity returns the identity that the connection was opened with.
func (c *Conn) Identity() pitag.Identity { return c.pair.identity }

// Tag returns the tag of the identity; "" when absent.
func (c *Conn) Tag() string { return c.pair.identity.Tag }

// ID returns the id of the identity, the log field piid; 0 when not set.
func (c *Conn) ID() uint64 { return c.pair.identity.ID }

// Stream returns the HTTP/2 stream id; 0 when there is none.
func (c *Conn) Stream() uint32 { return c.pair.stream }

// Txn returns the 1-based count of the transaction on its client connection; 0
// when none was given.
func (c *Conn) Txn() uint64 { return c.pair.txn }

// Session returns what the connection was opened for: the real client, TLS and
// ALPN; nil when nothing was given.
func (c *Conn) Session() *pitag.Session { return c.pair.session }

// Request returns what the opener said of the request.
func (c *Conn) Request() Request { return c.pair.request }
