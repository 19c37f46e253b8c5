package origin

import (
	"errors"
	"time"
)

// What a shared connection does as time passes is decided here, without a
// clock: time comes as ticks.

// tick is the unit in which requests on shared connections age. Counting it
// costs a request no look at the clock, and all deadlines there pass up to one
// tick late.
const tick = 25 * time.Millisecond

const (
	// slowTicks: while a request has waited for longer on a connection, that
	// takes no more.
	slowTicks = 2
	// stuckTicks: a request that has waited for so long behind others is given
	// up on this connection, to be sent alone.
	stuckTicks = 40
	// lostTicks: a request that was behind others is given up even as it is
	// first, if nothing comes for so long: an origin that does not understand
	// pipelining may have dropped it.
	lostTicks = 200
	// largeResponse is how much of one response passes before its connection
	// takes no more requests until its end.
	largeResponse = 64 << 10
	// maxUnwritten is how much a connection that does not take its requests may
	// owe before it is given no more.
	maxUnwritten = 64 << 10
	// strayPause is how long no shared connection to an endpoint is made after
	// one of them brought bytes that nobody had asked for, brokenPause after one
	// that failed or did not last.
	strayPause  = 10 * time.Second
	brokenPause = time.Second
)

var (
	// ErrBroken is returned by Fill and Write of a shared exchange whose
	// connection ended before a byte of its response.
	ErrBroken = errors.New("origin: the shared connection ended before it answered this request")
	// ErrBehind is returned by Fill of a shared exchange that has waited for
	// its turn for too long.
	ErrBehind = errors.New("origin: the request waited too long behind others on a shared connection")
	// ErrLast is returned by Fill of a shared exchange when a response in front
	// of its own is the connection's last.
	ErrLast = errors.New("origin: the origin ends the shared connection with the response to an earlier request")
	// ErrStray is returned by Fill of all exchanges of a shared connection on
	// which bytes came that belong to none of them.
	ErrStray = errors.New("origin: bytes on a shared connection that belong to no response")

	errUnused = errors.New("origin: nobody needs the shared connection any more")
)

// A standing is where a written request is on its connection.
type standing struct {
	age       uint32 // ticks since it was written
	first     bool   // its response is the next ...
	firstFor  uint32 // ... for so many ticks
	waited    bool   // others were in front of it when it was written
	heard     bool   // something of its response has come
	abandoned bool   // nobody wants the response
}

// slow: the connection takes no more requests.
func (s standing) slow() bool { return s.age >= slowTicks }

// stuck: the request is better sent alone. One that was first from the start is
// slow by itself: sent again it would not be answered any sooner.
func (s standing) stuck() bool {
	switch {
	case s.abandoned || s.heard || !s.waited:
		return false
	case s.first:
		return s.firstFor >= lostTicks
	}
	return s.age >= stuckTicks
}
