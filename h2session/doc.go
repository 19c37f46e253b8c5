// Package h2session is the HTTP/2 server side of one client connection: frames
// in, one virtual connection per stream, frames out.
//
// A [Server] serves connections. Each one is a session: two loops around a
// machine that holds the protocol (RFC 9113) and does no I/O.
//
//	client ──► readLoop ──► machine ──► vconn ──► transaction (HTTP/1.1)
//	client ◄── writeLoop ◄── machine ◄── vconn ◄──────┘
//
// The read loop decodes header blocks, asks the machine what a frame means, and
// writes the request into the stream's virtual connection as an HTTP/1.1
// message. The write loop takes control frames from the machine, then slices of
// the streams that have something to say, by priority (RFC 9218), reading the HTTP/1.1
// response from the virtual connection; a batch of up to 64 KiB is one write, TLS
// records and all. Who has got the responses of many streams at once borrows its
// place and writes the first batch himself ([Session.Flush], loan.go), so that no
// goroutine need be woken for what is short. Where the connection can be polled the
// read loop runs in turns, by who has found that something has arrived
// (polled.go): such a session has no goroutine while nothing has to wait. One
// without streams rests: there is no write loop then, and the read loop has no
// buffer, and waits in a new goroutine if it needs one.
//
// Who owns what:
//
//	connection's read side, HPACK decoder, header block     read loop, one turn at a time
//	stream states, windows, ready list, control frames      Session.mu
//	HPACK encoder, response decoding, batch, conn.Write     write loop, or who has the loan
//	buffers of the virtual connections                      vconn
//	what transactions have to tell of their streams         inbox, without a lock
//
// A request takes two rounds of Session.mu, one of the read loop, which judges it
// and hands over the one before, and one of who writes, for a turn; a batch of
// responses takes three more. Transactions post to the inbox, which whoever takes
// the lock next empties. HPACK is our own, but for Huffman coding: in both
// directions a table that knows its fields, not only their text, saves looking at
// what repeats with every message.
//
// Lock order: Session.mu, then those of vconn. Because vconn calls observers,
// none of its methods but Peek is called while Session.mu is held.
//
// Backpressure: the credit of a DATA byte returns to the client when the
// transaction reads it, and a response byte leaves the virtual connection when
// the client's windows allow it.
//
// The package never knows what runs behind a virtual connection: it meets the
// HTTP/1.1 transaction only through [vconn.Connector].
package h2session
