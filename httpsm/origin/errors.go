package origin

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// A Kind sorts the ways in which no exchange could be had. It is a metric
// label: the set is closed.
type Kind string

// The kinds of Error.
const (
	KindRefused  Kind = "refused"  // nobody listens there
	KindTimeout  Kind = "timeout"  // name, TCP or TLS took longer than ConnectTimeout
	KindTLS      Kind = "tls"      // handshake or certificate verification failed
	KindDNS      Kind = "dns"      // the name has no address
	KindLimit    Kind = "limit"    // MaxConns in use, and none came free in time
	KindResource Kind = "resource" // we have no file descriptor or memory for it: not the origin's fault
	KindClosed   Kind = "closed"   // the group is closed
	KindCanceled Kind = "canceled" // the caller's context was cancelled: not the origin's fault
	KindOther    Kind = "error"    // anything else: unreachable network, reset while connecting
)

// An Error says that no exchange could be had. Nothing of the request was sent,
// so that it is always safe to try again elsewhere.
type Error struct {
	Kind Kind
	Addr string // the endpoint's, as configured
	Err  error  // never nil
}

// Error says which endpoint and why.
func (e *Error) Error() string {
	return "origin " + e.Addr + ": " + string(e.Kind) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	// ErrBufferFull is returned by Fill when the buffer holds MaxBuffer unread
	// bytes: a head larger than that.
	ErrBufferFull = errors.New("origin: more unread bytes than the buffer may hold")
	// ErrAborted is returned by Fill and Write after Abort.
	ErrAborted = errors.New("origin: exchange aborted")

	errSpoiled     = errors.New("the origin closed the kept connection, or sent what nobody asked for, before the request")
	errGroupClosed = errors.New("the group is closed")
	errLimit       = errors.New("all connections are in use and none came free in time")
)

// sortError finds the kind of an error met while connecting. inTLS says that
// the transport connection stood already.
func sortError(err error, inTLS bool) Kind {
	var dns *net.DNSError
	var timeout net.Error
	var short *shortage
	switch {
	case errors.As(err, &short):
		return KindResource
	case errors.Is(err, context.Canceled):
		return KindCanceled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, syscall.ETIMEDOUT), errors.As(err, &timeout) && timeout.Timeout():
		return KindTimeout
	case inTLS:
		return KindTLS
	case errors.As(err, &dns):
		return KindDNS
	case errors.Is(err, syscall.ECONNREFUSED):
		return KindRefused
	}
	return KindOther
}
