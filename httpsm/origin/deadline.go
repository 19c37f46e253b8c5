package origin

import (
	"sync"
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
