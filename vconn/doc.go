// Package vconn makes virtual connections: pairs of in-memory ends that join
// whoever has a request (the active end, such as an HTTP/2 stream) to a
// transaction that answers it (the passive end).
//
// Both ends are a [net.Conn], so code that drives a TCP connection drives one
// unchanged: half-close, deadlines on blocked operations, errors that match
// os.ErrDeadlineExceeded, net.ErrClosed, syscall.EPIPE and io.EOF as a
// *net.TCPConn's do. No socket, no goroutine and no lock outlives a call.
//
// [Connector.ConnectWithPluginID] is Apache Traffic Server's
// TSHttpConnectWithPluginId: it returns at once and sends nothing, and the
// transaction begins when a request is written.
//
// A request can be in the connection from the start ([Options].Head): then the
// transaction can run, answer and end on the goroutine that opens it, and where
// neither end waits for the other none of this takes a goroutine, a timer or more
// than one allocation.
//
// # Bytes
//
// Each direction holds at most its bound. Write waits for room and TryWrite
// returns short; nothing that was accepted is dropped unless the reading end
// gives it up (CloseRead, Close) or either end calls Reset. The bytes live in
// pooled chunks taken on the first byte and returned when drained, so that an
// idle connection holds none.
//
// # Ends
//
// A direction ends when its writer calls CloseWrite or Close: the reader drains
// it, then reads io.EOF. It also ends when its reader calls CloseRead or Close:
// what is buffered is discarded and the writer gets [ErrPeerClosed]. Reset ends
// both directions at once, for both ends, discarding what is buffered; every
// later operation on either end returns the [ResetError]. Where both directions
// have ended already, with nothing left to read, Reset is only a Close.
//
// An end is closed by its own Close or Reset; the other end must still close.
//
// # Accounting
//
// Every byte an end wrote is reported back to that end exactly once: by
// [Observer].Consumed, when the peer has read it or given it up, or by the
// result of this end's own Reset. That is what a flow-control window is
// refunded from. [Conn.Unread] says how many of them were never read; it is
// final when both ends are closed.
package vconn
