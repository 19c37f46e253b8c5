package h2session

import (
	"sync/atomic"

	"github.com/h2gw/h2gw/vconn"
)

// A Memory is a budget of bytes that all sessions of a process share: what they
// buffer in virtual connections, batches and unfinished header blocks, and an
// estimate for each session and stream. At the limit new streams are refused,
// which is safe to retry, and at twice the limit whoever accepts connections
// should refuse those too; what is open goes on, for each session and stream is
// bounded by its windows. All methods are safe for concurrent use, and on a nil
// Memory, which is never full.
type Memory struct {
	limit int64
	held  atomic.Int64
}

// NewMemory returns a budget of limit bytes; 0 or less counts and is never full.
func NewMemory(limit int64) *Memory { return &Memory{limit: limit} }

// Limit returns the budget in bytes; 0 or less means that there is none.
func (m *Memory) Limit() int64 {
	if m == nil {
		return 0
	}
	return m.limit
}

// Held returns the bytes in use. Sessions report in steps of 16 KiB, rounded up.
func (m *Memory) Held() int64 {
	if m == nil {
		return 0
	}
	return m.held.Load()
}

// Add counts n more bytes, or less when negative, for something that is not a
// session of this package.
func (m *Memory) Add(n int64) {
	if m != nil {
		m.held.Add(n)
	}
}

// Full reports whether the limit is reached: new streams are refused.
func (m *Memory) Full() bool { return m != nil && m.limit > 0 && m.held.Load() >= m.limit }

// Overfull reports whether twice the limit is reached: new connections should be
// refused.
func (m *Memory) Overfull() bool { return m != nil && m.limit > 0 && m.held.Load() >= 2*m.limit }

const (
	// sessionCost and streamCost are what a session and a stream with its
	// transaction hold besides what is counted: goroutines, objects, the first
	// buffers. internal/hostile measures that they are not too little.
	sessionCost = 32 << 10
	streamCost  = 32 << 10
	// accountStep is in what pieces a session reports to the Memory, so that
	// its requests share no cache line with those of others.
	accountStep = 16 << 10
	// sessionShare is the part of the process's budget that one session may
	// have when it has none of its own.
	sessionShare = 32
	// leastSession keeps a small budget from refusing everything.
	leastSession = 1 << 20
)

// An account is what one session buffers.
type account struct {
	mem    *Memory
	limit  int64 // 0: none
	held   atomic.Int64
	pushed atomic.Int64 // what of held the Memory knows of, rounded up
}

func (a *account) open(c *Config) {
	a.mem, a.limit = c.Memory, c.sessionMemory()
	a.mem.Add(sessionCost)
}

// close settles the account. Nothing is added after.
func (a *account) close() { a.mem.Add(-sessionCost - a.pushed.Swap(0)) }

// A connMeter counts what the virtual connections of an account hold twice: what
// waits in one fills the transaction's own buffer behind it as well.
type connMeter account

var _ vconn.Meter = (*connMeter)(nil)

// Buffered implements vconn.Meter.
func (c *connMeter) Buffered(n int) { (*account)(c).add(2 * n) }

// add counts n bytes more, or less when negative.
func (a *account) add(n int) {
	a.held.Add(int64(n))
	a.report()
}

// report tells the Memory when what it knows is too little, or far too much. An
// idle session leaves nothing behind.
func (a *account) report() {
	for {
		held, pushed := a.held.Load(), a.pushed.Load()
		if pushed >= held && (pushed == 0 || held > 0 && pushed-held < 2*accountStep) {
			return
		}
		want := (max(held, 0) + accountStep - 1) / accountStep * accountStep
		if want == pushed {
			return
		}
		if a.pushed.CompareAndSwap(pushed, want) {
			a.mem.Add(want - pushed)
		}
	}
}

// full reports whether the session or the process has no room for one more
// stream.
func (a *account) full() bool {
	return a != nil && (a.limit > 0 && a.held.Load() >= a.limit || a.mem.Full())
}

// sessionMemory is the budget of one session.
func (c *Config) sessionMemory() int64 {
	switch {
	case c.SessionMemory > 0:
		return c.SessionMemory
	case c.SessionMemory < 0 || c.Memory.Limit() <= 0:
		return 0
	}
	return max(c.Memory.Limit()/sessionShare, leastSession)
}

// hold accounts n bytes as those of the header block that is being received.
func (b *headerBlock) hold(a *account, n int) {
	if n != b.held {
		a.add(n - b.held)
		b.held = n
	}
}
