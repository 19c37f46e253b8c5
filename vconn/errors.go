package vconn

import (
	"errors"
	"net"
	"strconv"
	"syscall"
)

// A ResetError is what every operation on either end returns after a Reset. It
// matches net.ErrClosed, and syscall.ECONNRESET so that code written for TCP
// takes the same branch.
type ResetError struct {
	// Code is the HTTP/2 error code of the first Reset (RFC 9113, section 7).
	Code uint32
	// Reason is why, for the log: a code alone does not tell a client that
	// left from one that was too slow.
	Reason Reason
}

// A Reason says why an end called Reset. The zero Reason is ReasonLeft.
type Reason uint8

// The reasons. "Behind" an end is whoever it speaks for: behind the active end
// the client, behind the passive one the transaction and its origin.
const (
	ReasonLeft     Reason = iota // who is behind the end gave up
	ReasonFault                  // who is behind the end broke its protocol
	ReasonSlow                   // who is behind the end took too long
	ReasonShutdown               // this process is ending
	ReasonInternal               // this process failed
)

// Error names the code as a number: the names belong to HTTP/2.
func (e *ResetError) Error() string {
	return "vconn: connection reset with error code " + strconv.FormatUint(uint64(e.Code), 10)
}

// Unwrap returns net.ErrClosed.
func (e *ResetError) Unwrap() error { return net.ErrClosed }

// Is reports whether target is syscall.ECONNRESET.
func (e *ResetError) Is(target error) bool { return target == syscall.ECONNRESET }

// ErrPeerClosed is what Write and TryWrite return when the peer has stopped
// reading (its CloseRead or Close) and after this end's own CloseWrite. It
// matches syscall.EPIPE, as the same mistake on TCP does.
var ErrPeerClosed error = &net.OpError{Op: "write", Net: network, Err: syscall.EPIPE}

// The errors of an end that was closed itself. They are made once: the hot path
// allocates none, and no caller is given a reason to change them.
var (
	errReadClosed  error = &net.OpError{Op: "read", Net: network, Err: net.ErrClosed}
	errWriteClosed error = &net.OpError{Op: "write", Net: network, Err: net.ErrClosed}
	errShutClosed  error = &net.OpError{Op: "shutdown", Net: network, Err: net.ErrClosed}
	errSetClosed   error = &net.OpError{Op: "set", Net: network, Err: net.ErrClosed}
)

var errNoAcceptor = errors.New("vconn: connect: the Connector has no Acceptor to give the passive end to: make it with NewConnector")

const network = "vconn"
