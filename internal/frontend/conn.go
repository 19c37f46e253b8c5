package frontend

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
)

var errAborted = errors.New("the frontend was told to abort")

// identify finds out what c speaks and returns the connection to serve. A
// panic in here, in crypto/tls say, costs this connection only.
func (f *Frontend) identify(c net.Conn, l *ListenerConfig, info *Info) (served net.Conn, reason Reason, err error) {
	defer func() {
		if p := recover(); p != nil {
			served, reason, err = nil, ReasonPanic, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if l.TLS != nil {
		return f.handshake(c, l.TLS, info)
	}
	return f.sniff(c, info)
}

// handshake runs the TLS handshake and takes the protocol from ALPN
// (RFC 7301). A client that offers none speaks HTTP/1.1.
//
// What tls.Server is given can gather the records of a batch into one write; see
// package netio.
func (f *Frontend) handshake(c net.Conn, cfg *tls.Config, info *Info) (net.Conn, Reason, error) {
	info.Tried = true
	tc := tls.Server(c, cfg)
	if err := tc.Handshake(); err != nil {
		return nil, handshakeReason(err), explainHandshake(c, err)
	}
	f.admission.identified(c)
	state := tc.ConnectionState()
	info.TLS = &state
	info.Protocol = ProtoHTTP1
	if state.NegotiatedProtocol == ProtoH2 {
		info.Protocol = ProtoH2
	}
	return tc, "", nil
}

func handshakeReason(err error) Reason {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ReasonHandshakeTimeout
	case errors.Is(err, io.EOF):
		return ReasonClosed
	case errors.Is(err, net.ErrClosed):
		return ReasonAborted
	}
	return ReasonHandshake
}

// explainHandshake answers a client that speaks plain HTTP to a TLS port in
// its own language, since a closed connection explains nothing to a person.
func explainHandshake(c net.Conn, err error) error {
	var rec tls.RecordHeaderError
	if !errors.As(err, &rec) || rec.Conn == nil || !looksLikeHTTP(rec.RecordHeader[:]) {
		return err
	}
	// A deadline in force bounds this write; it is far below a socket buffer.
	io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 56\r\n"+
		"Proxy-Status: h2gw; error=tls_protocol_error\r\nConnection: close\r\n\r\n"+
		"This is an HTTPS port: use https:// in the URL, please.\n")
	return fmt.Errorf("the client speaks plain HTTP on a TLS listener: %w", err)
}

func looksLikeHTTP(b []byte) bool {
	for _, c := range b {
		if !tokenChar(c) && c != ' ' && c != '/' {
			return false
		}
	}
	return true
}

// abortConn closes c with a reset, so that a refused connection leaves no
// TIME_WAIT state behind on this machine.
func abortConn(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
	c.Close()
}

// addrPort converts the address of a TCP connection; anything else is zero.
func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	case nil:
		return netip.AddrPort{}
	}
	ap, _ := netip.ParseAddrPort(a.String())
	return ap
}
