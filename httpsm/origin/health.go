package origin

import (
	"sync/atomic"
	"time"
)

// An endpoint rests for restTime once restAfter connects in a row have failed:
// long enough not to send every other request into a refusal or a timeout,
// short enough that nobody waits for its return.
const (
	restAfter = 3
	restTime  = time.Second
)

// health is passive: it knows only what connecting has shown. A resting
// endpoint is left out of Pick while others remain; it is never refused.
type health struct {
	failures atomic.Int32 // connects failed in a row
	until    atomic.Int64 // Unix nanoseconds; rests until then
}

// connected notes a connect that stood.
func (h *health) connected() {
	if h.failures.Load() != 0 {
		h.failures.Store(0)
	}
}

// failed notes a connect that failed by the origin's fault.
func (h *health) failed() {
	if h.failures.Add(1) >= restAfter {
		h.until.Store(time.Now().Add(restTime).UnixNano())
	}
}

// ok says that the last connects did not all fail.
func (h *health) ok() bool { return h.failures.Load() < restAfter }

// resting looks at the clock only for an endpoint that has failed.
func (h *health) resting() bool {
	return !h.ok() && time.Now().UnixNano() < h.until.Load()
}
