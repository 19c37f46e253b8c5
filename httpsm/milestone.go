package httpsm

import (
	"sync/atomic"
	"time"
)

// tick reads the clock. A transaction does so where it has waited, and uses the
// last reading elsewhere: a clock reading costs as much as a small map lookup.
func (t *Txn) tick() time.Time {
	t.now = time.Now()
	return t.now
}

// A dateValue is a Date field value for one second.
type dateValue struct {
	second int64
	text   []byte
}

var dateCache atomic.Pointer[dateValue]

// httpDate returns now as RFC 9110 section 5.6.7 wants it. It formats once a
// second.
func httpDate(now time.Time) []byte {
	second := now.Unix()
	if d := dateCache.Load(); d != nil && d.second == second {
		return d.text
	}
	d := &dateValue{second, []byte(now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))}
	dateCache.Store(d)
	return d.text
}
