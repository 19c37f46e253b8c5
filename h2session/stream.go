package h2session

import (
	"sync/atomic"
	"time"

	"github.com/h2gw/h2gw/vconn"
)

// The states of a stream, RFC 9113 section 5.1. There is no server push, so the
// two reserved states do not exist. H is HEADERS, ES is END_STREAM, R is
// RST_STREAM; recv and send are seen from this side.
//
//	            +--------+
//	            |  idle  |
//	            +--------+
//	  recv H /      |       \ recv H with ES
//	        v       |        v
//	+--------+      |     +-------------+
//	|  open  |------|---->| half closed |
//	+--------+ recv ES    |  (remote)   |
//	 |   | send ES        +-------------+
//	 |   v                       |
//	 | +-------------+           | send ES, send R or recv R
//	 | | half closed |           |
//	 | |  (local)    |           |
//	 | +-------------+           |
//	 |   | recv ES, send R       |
//	 |   | or recv R             |
//	 v   v                       v
//	+-----------------------------+
//	|           closed            |
//	+-----------------------------+
type streamState uint8

const (
	idle streamState = iota
	open
	halfClosedRemote // the client has ended its side
	halfClosedLocal  // we have ended ours
	closed
	numStates
)

// String returns the RFC's name of the state.
func (s streamState) String() string {
	return [...]string{"idle", "open", "half-closed (remote)", "half-closed (local)", "closed"}[s]
}

// A streamEvent is something that can happen to a stream. The "End" events carry
// END_STREAM.
type streamEvent uint8

const (
	recvHeaders streamEvent = iota
	recvHeadersEnd
	recvData
	recvDataEnd
	recvReset
	recvWindow
	sendHeaders
	sendHeadersEnd
	sendData
	sendDataEnd
	sendReset
	numEvents
)

// String returns the event's name as it is written in this file.
func (e streamEvent) String() string {
	return [...]string{"recvHeaders", "recvHeadersEnd", "recvData", "recvDataEnd", "recvReset", "recvWindow",
		"sendHeaders", "sendHeadersEnd", "sendData", "sendDataEnd", "sendReset"}[e]
}

// A transition says where an event leads. The zero value refuses it, so that a
// pair nobody thought of is refused.
type transition struct {
	allowed bool
	to      streamState
}

func to(s streamState) transition { return transition{true, s} }

// transitions is the whole of section 5.1. PRIORITY is not in it: it may come in
// every state and changes none.
var transitions = [numStates][numEvents]transition{
	idle: {
		recvHeaders:    to(open),
		recvHeadersEnd: to(halfClosedRemote),
	},
	open: {
		recvHeadersEnd: to(halfClosedRemote), // trailers; without END_STREAM they are malformed (8.1)
		recvData:       to(open),
		recvDataEnd:    to(halfClosedRemote),
		recvReset:      to(closed),
		recvWindow:     to(open),
		sendHeaders:    to(open), // the final head, and each 1xx before it
		sendHeadersEnd: to(halfClosedLocal),
		sendData:       to(open),
		sendDataEnd:    to(halfClosedLocal),
		sendReset:      to(closed),
	},
	halfClosedRemote: {
		recvReset:      to(closed),
		recvWindow:     to(halfClosedRemote),
		sendHeaders:    to(halfClosedRemote),
		sendHeadersEnd: to(closed),
		sendData:       to(halfClosedRemote),
		sendDataEnd:    to(closed),
		sendReset:      to(closed),
	},
	halfClosedLocal: {
		recvHeadersEnd: to(closed),
		recvData:       to(halfClosedLocal),
		recvDataEnd:    to(closed),
		recvReset:      to(closed),
		recvWindow:     to(halfClosedLocal),
		sendReset:      to(closed),
	},
	closed: {
		recvReset:  to(closed), // both were on their way when we closed it
		recvWindow: to(closed),
	},
}

// step applies ev to state s of stream id. A pair that is not listed returns the
// error that the RFC asks for; when it is one of ours to send, the error is a
// fault of this package.
func (s streamState) step(id uint32, ev streamEvent) (streamState, error) {
	t := transitions[s][ev]
	switch {
	case t.allowed:
		return t.to, nil
	case ev >= sendHeaders:
		return s, connError(Code(2), "internal: "+ev.String()+" on a stream that is "+s.String())
	case s == idle:
		return s, connError(codeProtocol, "frame on a stream that is idle")
	case s == closed:
		return s, connError(codeStreamClosed, "frame on a stream that is closed")
	case s == halfClosedRemote:
		return s, streamError(id, codeStreamClosed, "frame after END_STREAM")
	}
	return s, streamError(id, codeProtocol, "trailers without END_STREAM")
}

// A stream is one HTTP/2 stream and the active end of its virtual connection,
// whose observer it is. Session.mu guards it, but for the fields that say
// otherwise.
type stream struct {
	sess  *Session
	id    uint32
	state streamState

	// conn is the read loop's until the machine is told of it, and stays until
	// the stream object is used again. opening is true until then.
	conn    *vconn.Conn
	opening bool
	live    bool // the machine knows conn, which has not told Closed
	zombie  bool // reset, and live
	// pulling is true while who writes reads the response outside the
	// lock. What it sees of conn's buffer would be gone after a Close or Reset
	// of this end, so later holds that back.
	pulling bool
	later   op

	// Response side.
	rank       rank
	out        outflow
	list       *streamList
	prev, next *stream
	again      bool // became readable while it could not be queued
	stall      uint8
	stalledAt  time.Time

	// Request side.
	in       inflow
	unread   int // DATA bytes whose credit has not been returned
	overhead int // HTTP/1.1 bytes that are not DATA (head, chunk lines) and not read yet
	request  requestBody
	late     bool // the transaction has not begun; the read loop's
	whole    bool // the request was in conn from the start: the read loop does not write to it
	tunnel   bool // extended CONNECT: DATA only (RFC 9113, section 8.5); set before conn

	resp response // owned by who writes; used is free between turns

	// Guarded by being atomic; see inbox.
	posted atomic.Uint32
	below  *stream
}

// link is st's virtual connection, as far as the machine knows of it.
func (st *stream) link() *vconn.Conn {
	if !st.live {
		return nil
	}
	return st.conn
}
