package h2session

import (
	"net/netip"
	"time"

	"github.com/rs/zerolog"
)

// A Config says how sessions are served. The zero value works: 0 means the
// default, and a negative value means off where that makes sense. It must not be
// changed while sessions are served.
type Config struct {
	// Addr is what the virtual connections connect to. The zero AddrPort
	// lets routing decide.
	Addr netip.AddrPort

	// MaxStreams is how many streams a client may have open at once
	// (SETTINGS_MAX_CONCURRENT_STREAMS). 0 = 250, the value of
	// limits.streams. There is no off.
	MaxStreams int
	// StreamWindow is the receive window of a stream in bytes
	// (SETTINGS_INITIAL_WINDOW_SIZE): how much of a request body can be on
	// its way before the transaction has read it. 0 = 256 KiB; at least 1 KiB
	// and at most 2^31-1 are used.
	StreamWindow int
	// SessionWindow is the receive window of all streams together. 0 = four
	// times the stream window. At least 65,535 is used, for it cannot be
	// smaller (RFC 9113, section 6.9.2).
	SessionWindow int
	// MaxFrameSize is the largest frame accepted (SETTINGS_MAX_FRAME_SIZE).
	// 0 = 16 KiB, which is also the least.
	MaxFrameSize int

	// RequestHead bounds a request's header list as HTTP/2 counts it: name,
	// value and 32 bytes for each field (SETTINGS_MAX_HEADER_LIST_SIZE).
	// Past it the answer is 431. 0 = 64 KiB; there is no off.
	RequestHead int
	// Fields bounds the field lines of a request, pseudo-fields not counted.
	// Past it the answer is 431. 0 = 128, negative = off.
	Fields int
	// Target bounds the request target. Past it the answer is 414. 0 = 16 KiB,
	// negative = off.
	Target int

	// Floods are the budgets of what a client may make us do, by Bound. A zero
	// Budget is the bound's default; Unlimited turns it off.
	Floods [NumBounds]Budget
	// Memory is the budget that all sessions share; several Servers may have
	// the same. nil: none.
	Memory *Memory
	// SessionMemory is how many bytes one session may buffer before its new
	// streams are refused. 0 = a 32nd of Memory's limit, at least 1 MiB;
	// negative = off.
	SessionMemory int64

	// Preface is how long the client may take for its preface and first
	// SETTINGS. 0 = 10s, negative = off; so for all durations below.
	Preface time.Duration
	// RequestHeadTimeout is how long a header block may take from HEADERS to
	// the end of its last CONTINUATION. 0 = 10s.
	RequestHeadTimeout time.Duration
	// WriteStall is how long the client may leave data unread that it asked
	// for: a stream whose window stays shut is reset with CANCEL, a session
	// whose window or socket stays shut is closed. 0 = 30s.
	WriteStall time.Duration
	// SessionIdle is how long a session may stay without a stream before it is
	// told GOAWAY and closed. 0 = 120s.
	SessionIdle time.Duration
	// SessionAge is after how long a session is drained, give or take a tenth
	// so that clients do not all come back at once. 0 or negative = off.
	SessionAge time.Duration

	// OnRefusal is called once for each stream that was refused before a
	// transaction existed. It must not block. May be nil.
	OnRefusal func(*Refusal)
	// OnRest is called when a session has given back what it does not need while
	// it has no streams. It must not block. May be nil.
	OnRest func()
	// Log gets one line per session that ends by a fault of ours. The zero
	// Logger is silent.
	Log zerolog.Logger
}

const (
	defaultWindow = 65535 // RFC 9113, section 6.9.2
	maxWindow     = 1<<31 - 1
	minFrameSize  = 1 << 14 // RFC 9113, section 6.5.2
	maxFrameSize  = 1<<24 - 1
	headerTable   = 4096 // of both directions; what RFC 7541 starts with
)

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

func (c *Config) maxStreams() int {
	if c.MaxStreams <= 0 {
		return 250
	}
	return c.MaxStreams
}

func (c *Config) streamWindow() int {
	return min(max(orDefault(c.StreamWindow, 256<<10), 1<<10), maxWindow)
}

func (c *Config) sessionWindow() int {
	return min(max(orDefault(c.SessionWindow, 4*c.streamWindow()), defaultWindow), maxWindow)
}

func (c *Config) maxFrameSize() int {
	return min(max(c.MaxFrameSize, minFrameSize), maxFrameSize)
}

func (c *Config) requestHead() int {
	if c.RequestHead <= 0 {
		return 64 << 10
	}
	return c.RequestHead
}

func (c *Config) fields() int { return noLimit(orDefault(c.Fields, 128)) }
func (c *Config) target() int { return noLimit(orDefault(c.Target, 16<<10)) }

// noLimit turns "off" into a number that nothing reaches.
func noLimit(v int) int {
	if v < 0 {
		return maxWindow
	}
	return v
}

func (c *Config) preface() time.Duration     { return timeout(c.Preface, 10*time.Second) }
func (c *Config) headTimeout() time.Duration { return timeout(c.RequestHeadTimeout, 10*time.Second) }
func (c *Config) writeStall() time.Duration  { return timeout(c.WriteStall, 30*time.Second) }
func (c *Config) sessionIdle() time.Duration { return timeout(c.SessionIdle, 120*time.Second) }
func (c *Config) sessionAge() time.Duration  { return timeout(c.SessionAge, 0) }

// timeout returns 0 for off.
func timeout(v, def time.Duration) time.Duration {
	switch {
	case v == 0:
		return def
	case v < 0:
		return 0
	}
	return v
}
