package h2session

import (
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/pitag"
)

// A Refusal is a stream that was refused before a transaction existed. It is
// reported so that it gets its access line: every stream of a session has
// exactly one, from a transaction or from here.
type Refusal struct {
	Session *pitag.Session
	Stream  uint32 // HTTP/2 stream id
	Txn     uint64 // 1-based count of the stream on its session
	// Method, Host, Path and UserAgent are what is known of the request: they
	// may be empty, hold visible characters and spaces only, and end after 1024
	// of them (the path of a target over the limit after 256), so that refused
	// requests cannot fill a log.
	Method, Host, Path, UserAgent string
	Status                        int    // sent to the client; 0 when the stream was reset
	BytesOut                      int64  // of the body sent with Status
	H2Error                       string // RFC spelling of the code when the stream was reset; else ""
	Outcome                       string // http_request_error, gateway_draining, ...
	Reason                        string
	Time                          time.Time
}

// Outcomes of refusals: RFC 9209's names where it has one.
const (
	outcomeRequestError  = "http_request_error"
	outcomeRequestDenied = "http_request_denied"
	outcomeDraining      = "gateway_draining"
	outcomeInternal      = "proxy_internal_error"
	outcomeOverloaded    = "gateway_overloaded" // ours
)

// Stats are counts over all sessions of a Server, those that have ended
// included.
type Stats struct {
	Sessions, Streams   int64             // open now
	FramesIn, FramesOut map[string]uint64 // by type, RFC spelling; "UNKNOWN" for others
	ResetsIn, ResetsOut map[string]uint64 // RST_STREAM by code, RFC spelling; "UNKNOWN" for others
	GoAways             map[GoAway]uint64
	Panics              uint64
	// Stalled is how long responses waited, by where: "stream_window" and
	// "session_window" until the client opened its window, "socket" for
	// writes that took longer than a millisecond.
	Stalled map[string]time.Duration
	// Floods is how often each bound was passed, by its name: by which a session
	// ended, or what was let pass in observe mode.
	Floods map[string]uint64
}

// A GoAway is a kind of GOAWAY frame: Direction "in" or "out", Code in RFC
// spelling, and Cause, the pitag.Cause it was sent for or "client" when received.
type GoAway struct{ Direction, Code, Cause string }

// Places where a response can wait, in the order of stallNames.
const (
	stallNone = iota
	stallStream
	stallSession
	stallSocket
	stallKinds
)

var stallNames = [stallKinds]string{stallStream: "stream_window", stallSession: "session_window", stallSocket: "socket"}

const (
	frameKinds = 12 // the ten types of RFC 9113, PRIORITY_UPDATE, and one for all others
	codeKinds  = 15 // the fourteen codes of RFC 9113 and one for all others
)

// counters are a session's share of Stats. Session.mu guards them; being plain
// integers per session, they cost the hot path no shared cache line.
type counters struct {
	framesIn, framesOut [frameKinds]uint64
	stalled             [stallKinds]time.Duration
	goAways             []goAwayCount
	*rareCounters       // nil: none of it has happened
}

// rareCounters are of what most sessions never see.
type rareCounters struct {
	resetsIn, resetsOut [codeKinds]uint64
	floods              [NumBounds]uint64
}

// A goAwayCount is one of the few kinds of GOAWAY that a session sees: however
// often the client repeats itself, there are no more than there are codes.
type goAwayCount struct {
	GoAway
	n uint64
}

func (c *counters) goAway(direction string, code Code, cause string) {
	g := GoAway{direction, codeName(code), cause}
	for i := range c.goAways {
		if c.goAways[i].GoAway == g {
			c.goAways[i].n++
			return
		}
	}
	c.goAways = append(c.goAways, goAwayCount{g, 1})
}

// rare returns the counters of what is rare, to be changed.
func (c *counters) rare() *rareCounters {
	if c.rareCounters == nil {
		c.rareCounters = new(rareCounters)
	}
	return c.rareCounters
}

func (c *counters) frameIn(t http2.FrameType)  { c.framesIn[frameKind(t)]++ }
func (c *counters) frameOut(t http2.FrameType) { c.framesOut[frameKind(t)]++ }
func (c *counters) resetIn(code Code)          { c.rare().resetsIn[min(int(code), codeKinds-1)]++ }
func (c *counters) resetOut(code Code)         { c.rare().resetsOut[min(int(code), codeKinds-1)]++ }
func (c *counters) flood(b Bound)              { c.rare().floods[b]++ }

func (c *counters) add(o *counters) {
	for i := range c.framesIn {
		c.framesIn[i] += o.framesIn[i]
		c.framesOut[i] += o.framesOut[i]
	}
	for i := range c.stalled {
		c.stalled[i] += o.stalled[i]
	}
	if o.rareCounters == nil {
		return
	}
	r := c.rare()
	for i := range r.resetsIn {
		r.resetsIn[i] += o.resetsIn[i]
		r.resetsOut[i] += o.resetsOut[i]
	}
	for i := range r.floods {
		r.floods[i] += o.floods[i]
	}
}

// addTo adds c to s, whose maps it makes as needed.
func (c *counters) addTo(s *Stats) {
	for i := range c.framesIn {
		addCount(&s.FramesIn, frameName(i), c.framesIn[i])
		addCount(&s.FramesOut, frameName(i), c.framesOut[i])
	}
	r := c.rare()
	for i := range r.resetsIn {
		addCount(&s.ResetsIn, codeName(Code(i)), r.resetsIn[i])
		addCount(&s.ResetsOut, codeName(Code(i)), r.resetsOut[i])
	}
	for i, d := range c.stalled {
		if i != stallNone {
			s.Stalled[stallNames[i]] += d
		}
	}
	for i, n := range r.floods {
		addCount(&s.Floods, Bound(i).String(), n)
	}
}

func addCount(m *map[string]uint64, name string, n uint64) {
	if *m == nil {
		*m = make(map[string]uint64)
	}
	if n > 0 {
		(*m)[name] += n
	}
}

func frameKind(t http2.FrameType) int {
	switch {
	case t <= http2.FrameContinuation:
		return int(t)
	case t == framePriorityUpdate:
		return frameKinds - 2
	}
	return frameKinds - 1
}

func frameName(i int) string {
	switch i {
	case frameKinds - 1:
		return "UNKNOWN"
	case frameKinds - 2:
		return "PRIORITY_UPDATE"
	}
	return http2.FrameType(i).String()
}

// codeName is the RFC's spelling; metrics need a closed set, so codes that the
// RFC does not know share one name.
func codeName(c Code) string {
	if c >= codeKinds-1 {
		return "UNKNOWN"
	}
	return c.String()
}
