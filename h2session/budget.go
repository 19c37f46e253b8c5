package h2session

import (
	"fmt"
	"time"

	"github.com/h2gw/h2gw/pitag"
)

// A Budget is a limit on something a peer can make us do: Count times in Per.
// It is a bucket that holds Count and empties steadily, once in Per: a burst of
// Count passes, and Count/Per for ever; what comes on top is a flood. Per must
// not be 0 in a Budget whose Count is positive.
type Budget struct {
	// Count is how many pass. 0 means the default of the bound, and a
	// negative value that there is none.
	Count int
	// Per is the time in which a full bucket empties.
	Per time.Duration
	// Observe counts what is past the budget, and lets it pass.
	Observe bool
}

// Unlimited is the Budget that nothing exceeds.
var Unlimited = Budget{Count: -1}

// String returns COUNT/DURATION, observe:COUNT/DURATION, or off; "" for the zero
// Budget.
func (b Budget) String() string {
	switch {
	case b.Count < 0:
		return "off"
	case b == Budget{}:
		return ""
	case b.Observe:
		return fmt.Sprintf("observe:%d/%v", b.Count, shortDuration(b.Per))
	}
	return fmt.Sprintf("%d/%v", b.Count, shortDuration(b.Per))
}

// shortDuration is Duration.String for the durations that people write: whole
// minutes and hours have no seconds behind them.
func shortDuration(d time.Duration) string {
	s := d.String()
	if len(s) > 3 && s[len(s)-3:] == "m0s" {
		s = s[:len(s)-2]
	}
	if len(s) > 3 && s[len(s)-3:] == "h0m" {
		s = s[:len(s)-2]
	}
	return s
}

// A bucket holds how full it is, as the time, counted from the session's
// start, at which it will be empty: one integer, and nothing to do while no one
// looks (the generic cell rate algorithm, ITU-T I.371).
type bucket time.Duration

// spend puts n into the bucket. When it does not fit, nothing is put in and the
// result is false.
func (l *bucket) spend(n int, b Budget, now time.Duration) bool {
	cost := max(b.Per/time.Duration(b.Count), 1) * time.Duration(n)
	empty := max(time.Duration(*l), now) + cost
	if empty-now > b.Per {
		return false
	}
	*l = bucket(empty)
	return true
}

// flood is the budget of b in force.
func (c *Config) flood(b Bound) Budget {
	if f := c.Floods[b]; f.Count != 0 {
		return f
	}
	d := b.Default()
	d.Observe = d.Observe || c.Floods[b].Observe
	return d
}

// floods is what a machine keeps of its client's spending.
type floods struct {
	spent  [NumBounds]bucket
	passed uint32 // a bit for each bound passed that the driver has not told of
	// What our responses have paid for: an honest client's PING measures a
	// download, and its WINDOW_UPDATEs answer DATA.
	pings, updates int
	// given is how many bytes of DATA may pay for rests of windows, bounded.
	given int
}

// spend charges n of b. The error ends the session; it is nil while the budget
// lasts, and in observe mode.
func (m *machine) spend(b Bound, n int, now time.Time) error {
	limit := m.cfg.flood(b)
	if limit.Count < 0 || m.spent[b].spend(n, limit, now.Sub(m.born)) {
		return nil
	}
	m.count.flood(b)
	m.passed |= 1 << b
	if limit.Observe {
		return nil
	}
	return b.exceeded(limit)
}

func (b Bound) exceeded(limit Budget) *ConnError {
	return &ConnError{Code: codeCalm, Reason: fmt.Sprintf("flood: %s %s", b, limit), cause: b.Cause()}
}

// Cause is what a session ends with that passed the bound: "flood:" and its name.
func (b Bound) Cause() pitag.Cause { return pitag.Cause("flood:" + bounds[b].name) }
