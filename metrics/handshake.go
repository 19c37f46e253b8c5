package metrics

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Results of a TLS handshake, the label of h2gw_tls_handshakes_total.
const (
	HandshakeOK      = "ok"
	HandshakeTimeout = "timeout" // timeouts.handshake, or the gateway gave up
	HandshakeClosed  = "closed"  // the client went away
	HandshakeNotTLS  = "not_tls" // what came was not TLS
	HandshakeAlert   = "alert"   // the client sent an alert, such as unknown_ca
	HandshakeFailed  = "error"   // no common version, cipher, protocol, …
)

// HandshakeResult returns the result that err, as tls.Conn's Handshake returned
// it, stands for.
func HandshakeResult(err error) string {
	var (
		notTLS   tls.RecordHeaderError
		op       *net.OpError
		netError net.Error
	)
	switch {
	case err == nil:
		return HandshakeOK
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, os.ErrDeadlineExceeded):
		return HandshakeTimeout
	case errors.As(err, &netError) && netError.Timeout():
		return HandshakeTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return HandshakeClosed
	case errors.As(err, &notTLS):
		return HandshakeNotTLS
	case errors.As(err, &op) && op.Op == "remote error": // how crypto/tls wraps an alert
		return HandshakeAlert
	}
	return HandshakeFailed
}
