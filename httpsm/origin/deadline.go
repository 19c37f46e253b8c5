package origin

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// A lazyDeadline stands between the deadline an exchange wants and the one its
// connection has, so that moving a deadline later, which every request on a
// kept-alive connection does, touches no timer. The connection keeps an earlier
// deadline; when that fires too soon, the operation arms the one wanted and
// goes on. It is safe for concurrent use.
type lazyDeadline struct {
	mu    sync.Mutex
	want  time.Time // zero: none
	armed time.Time // what the connection has; zero: none
}

// set notes a deadline, and arms the connection only if that would fire too
// late.
func (d *lazyDeadline) set(side deadliner, t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want = t
	if t.IsZero() || !d.armed.IsZero() && !d.armed.After(t) {
		return nil
	}
	d.armed = t
	return side.arm(t)
}

// expired is asked when an operation failed with os.ErrDeadlineExceeded: it
// returns true if the deadline wanted has passed; otherwise it has armed that
// and the operation is to be tried again.
func (d *lazyDeadline) expired(side deadliner) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.want.IsZero() && !time.Now().Before(d.want) {
		return true
	}
	d.armed = d.want
	return side.arm(d.armed) != nil
}

// drop forgets the deadline wanted. lazily: the connection may keep the one it
// has, for operations that ask expired.
func (d *lazyDeadline) drop(side deadliner, lazily bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want = time.Time{}
	if lazily || d.armed.IsZero() {
		return nil
	}
	d.armed = time.Time{}
	return side.arm(d.armed)
}

// force arms the connection at once, for operations that do not ask expired.
func (d *lazyDeadline) force(side deadliner, t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want, d.armed = t, t
	return side.arm(t)
}

// A deadliner arms one direction of a connection.
type deadliner interface{ arm(t time.Time) error }

// readSide and writeSide are the two directions of a conn: the size of a
// pointer, so that passing one as an interface allocates nothing.
type (
	readSide  struct{ c *conn }
	writeSide struct{ c *conn }
)

func (s readSide) arm(t time.Time) error  { return s.c.nc.SetReadDeadline(t) }
func (s writeSide) arm(t time.Time) error { return s.c.nc.SetWriteDeadline(t) }

// A deadlineTimer is the read deadline of a connection that a poller waits for,
// which keeps none. It is as lazy as a lazyDeadline: a deadline that moves later
// leaves the timer as it is. It is safe for concurrent use.
type deadlineTimer struct {
	want  atomic.Int64 // since epoch; 0: none
	armed atomic.Int64 // when the timer fires; 0: it does not
	late  atomic.Bool  // want has passed, as far as is known

	mu     sync.Mutex // of what follows, of late, and of changes of armed
	timer  *time.Timer
	passed func() // called on a goroutine of its own when the deadline passes
}

// epoch is what deadlines are counted from, so that each is a word.
var epoch = time.Now()

// sinceEpoch is a deadline as a word; 0: none.
func sinceEpoch(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	if v := int64(t.Sub(epoch)); v != 0 {
		return v
	}
	return 1
}

func (d *deadlineTimer) set(t time.Time) {
	v := sinceEpoch(t)
	d.want.Store(v)
	if (d.late.Load() || v != 0 && d.fires() > v) && d.look() {
		go d.passed()
	}
}

// fires is when the timer does.
func (d *deadlineTimer) fires() int64 {
	if a := d.armed.Load(); a != 0 {
		return a
	}
	return math.MaxInt64
}

// due says whether the deadline has passed.
func (d *deadlineTimer) due() bool { return d.late.Load() && d.look() }

// look finds out whether the deadline has passed, and has the timer fire in time
// if not.
func (d *deadlineTimer) look() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, left := d.want.Load(), time.Duration(0)
	if v != 0 {
		left = time.Duration(v) - time.Since(epoch)
	}
	d.late.Store(v != 0 && left <= 0)
	if left > 0 && d.fires() > v {
		d.armed.Store(v)
		if d.timer == nil {
			d.timer = time.AfterFunc(left, d.fire)
		} else {
			d.timer.Reset(left)
		}
	}
	return d.late.Load()
}

func (d *deadlineTimer) fire() {
	d.armed.Store(0)
	if d.look() {
		d.passed()
	}
}

// stop ends the timer.
func (d *deadlineTimer) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}
