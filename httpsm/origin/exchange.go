package origin

import (
	"net"
	"net/netip"
	"time"
)

// An Exchange is one request's use of an origin connection. One goroutine may
// read (Fill, Buffered, Discard) while another writes; Abort and the deadlines
// may be called from any. After Release no method may be called, Abort
// included: whoever aborts from outside must know that the exchange still
// stands.
type Exchange interface {
	// Write sends p. It keeps no reference to p.
	Write(p []byte) (int, error)
	// Buffered returns what was received and not yet discarded; valid until
	// the next Fill, Discard or Release.
	Buffered() []byte
	// Fill blocks until Buffered has grown. It returns io.EOF when the origin
	// closed, io.ErrUnexpectedEOF when a TLS connection ended without saying so
	// (a response that ends with its connection was then cut),
	// os.ErrDeadlineExceeded, ErrAborted, ErrBufferFull when the buffer is at
	// its bound, or the connection's error. Its buffer comes from a pool and
	// grows as needed.
	Fill() error
	// Discard drops n bytes from the front of Buffered; n <= len(Buffered()).
	Discard(n int)
	// SetReadDeadline and SetWriteDeadline are as in net.Conn. They are cheap:
	// moving a deadline later touches no timer.
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	// Abort unblocks Fill and Write at once; the connection will not be
	// reused. It never blocks, and may be called more than once.
	Abort()
	// Release ends the exchange. It must be called exactly once; a second call
	// panics where it can be noticed. The connection is kept only if reusable,
	// not aborted, no read or write failed, and nothing is buffered.
	Release(reusable bool)
	// Info describes the connection.
	Info() Info
	// NetConn returns the connection itself, for tunnels (upgrade); Buffered
	// holds what was read already. From then on the connection will not be
	// reused, and the exchange's deadlines no longer apply. Release still ends
	// the exchange, and closes it.
	NetConn() net.Conn
}

// A Sparing exchange can do with less memory while its response cannot be passed
// on. Its methods are for who reads, as Fill is.
type Sparing interface {
	// Spare gives the read buffer back to its pool if nothing is buffered. The
	// next Fill takes another.
	Spare()
	// AtMost has a Fill take at most n bytes, from now to Release; 0: as many as
	// the buffer has room for.
	AtMost(n int)
}

// Info describes the connection of an exchange.
type Info struct {
	// ConnID names the connection in the log: unique in the process, from 1.
	ConnID uint64
	// Reused says that the connection has served an exchange before.
	Reused bool
	// Remote and Local are its addresses; zero when it is not an IP connection.
	Remote, Local netip.AddrPort
	// Endpoint is where it leads.
	Endpoint *Endpoint
	// ConnectStart and ConnectEnd bound name, TCP and TLS; zero when reused.
	ConnectStart, ConnectEnd time.Time
}
