package origin

import (
	"os"
	"time"

	"github.com/h2gw/h2gw/internal/prefetch"
)

// TryGet returns an exchange on a kept-alive connection at once, or nil if one
// would have to be waited for or made: then Get is to be called. It never
// blocks. Connections that cannot be waited for without a goroutine (over TLS,
// or no TCP connections, and on systems other than Linux) are left to Get.
//
// lane is which of the process's pollers is to wait for the answer, if that can be
// chosen: the one that the caller was called by, or any, not negative.
//
// certain is for a request that cannot be sent again: it has the connection
// looked at for an end or bytes that nobody has noticed yet, as Get does.
func (e *Endpoint) TryGet(certain bool, lane int) Awaitable {
	what := quickConn
	if certain || e.load.Load() < fewInFlight {
		what = polledConn
	}
	for {
		c, quiet := e.pool.idle.take(what, lane)
		switch {
		case c == nil:
			return nil
		case quiet:
			c.begin(true)
		case !e.revive(c):
			continue
		}
		e.load.Add(1)
		return c
	}
}

// With fewer exchanges than fewInFlight, nobody is short of time: kept
// connections are looked at each time they are used.
const fewInFlight = 4

var _ Awaitable = (*conn)(nil)

// TryWrite sends what the socket takes now, with one system call.
func (c *conn) TryWrite(p []byte) (int, error) {
	if c.poller == nil {
		return 0, nil
	}
	if err := c.beforeWrite(); err != nil {
		return 0, err
	}
	n, err := transmit(c.fd, p)
	if err != nil {
		return 0, c.writeFailed(err)
	}
	return n, nil
}

// writePolled is Write.
func (c *conn) writePolled(p []byte) (n int, err error) {
	if err := c.beforeWrite(); err != nil {
		return 0, err
	}
	for {
		m, err := transmit(c.fd, p[n:])
		if n += m; err != nil {
			return n, c.writeFailed(err)
		}
		if n == len(p) {
			return n, nil
		}
		if err := c.awaitRoom(); err != nil {
			return n, err
		}
	}
}

// awaitRoom waits until the socket may take more, or the write deadline has
// passed.
func (c *conn) awaitRoom() error {
	c.state.Or(full)
	c.poller.Again(c.fd)
	var passed <-chan time.Time
	if d := c.until.Load(); d != 0 {
		left := time.Duration(d) - time.Since(epoch)
		if left <= 0 {
			c.broken.Store(true)
			return c.fail(os.ErrDeadlineExceeded)
		}
		if c.patience == nil {
			c.patience = time.NewTimer(left)
		} else {
			c.patience.Reset(left)
		}
		defer c.patience.Stop()
		passed = c.patience.C
	}
	select {
	case <-c.room:
	case <-passed:
	}
	return nil
}

// roomy has who waits in awaitRoom look again.
func (c *conn) roomy() {
	if c.state.Load()&full != 0 && c.state.And(^full)&full != 0 {
		select {
		case c.room <- struct{}{}:
		default: // there is one already, of an event that nobody waited for
		}
	}
}

func (c *conn) writeFailed(err error) error {
	c.broken.Store(true)
	return c.fail(c.opError("write", err))
}

// beforeWrite looks at the socket before the first write of an exchange if the
// poller knows that something has arrived. It was not asked for, so nothing
// is to be sent after it.
func (c *conn) beforeWrite() error {
	s := c.state.Load()
	switch {
	case s&aborted != 0:
		return ErrAborted
	case c.written:
		return nil
	}
	c.written = true
	if s&ready == 0 {
		return nil
	}
	look := c.glance()
	if look == lookQuiet {
		return nil
	}
	c.endpoint.spoiled(look)
	c.broken.Store(true)
	return c.fail(errSpoiled)
}

// Await is Awaitable's. It is false where there is no poller, and where Fill
// would not wait.
func (c *conn) Await(r Resumer) bool { return c.poller != nil && c.await(r) }

// await is Await. What came before, and nobody has received, is told once more.
func (c *conn) await(r Resumer) bool {
	c.waiter, c.failure = r, nil
	c.expect(r)
	for {
		s := c.state.Load()
		if s&aborted != 0 {
			return false
		}
		if c.state.CompareAndSwap(s, s&^ready|awaited) {
			if s&ready != 0 {
				c.poller.Again(c.fd)
			}
			break
		}
	}
	return !c.reads.late.Load() || !c.unawait()
}

// expect notes what an answer is going to touch.
func (c *conn) expect(r Resumer) {
	c.near.Reset()
	prefetch.Add(&c.near, c)
	if n, ok := r.(interface{ Near(*prefetch.List) }); ok {
		n.Near(&c.near)
	}
}

// unawait claims the Resume that an Await has coming.
func (c *conn) unawait() bool { return c.state.And(^awaited)&awaited != 0 }

// outOfTime is called when the read deadline has passed.
func (c *conn) outOfTime() {
	if !c.unawait() {
		return // the next who wants to wait sees it
	}
	r := c.waiter
	if c.reads.due() {
		c.failure = os.ErrDeadlineExceeded
	} else if c.await(r) {
		return // it was moved just now
	}
	r.Resume(nil)
}

// fillPolled is Fill.
func (c *conn) fillPolled() error {
	if err := c.takeFailure(); err != nil {
		return err
	}
	if c.r < c.w {
		if err := c.makeRoom(); err != nil {
			return err
		}
	}
	for {
		s := c.state.Load()
		switch {
		case c.reads.due():
			return c.fail(os.ErrDeadlineExceeded)
		case s&aborted != 0:
			return ErrAborted
		case s&ready != 0:
			if err := c.pull(); err != errWouldBlock {
				return c.fail(err)
			}
		}
		if c.state.Load()&ready != 0 || !c.await(c.sleeper) {
			continue
		}
		<-c.sleeper
		if err := c.takeFailure(); err != nil {
			return err
		}
	}
}

// arrived says whether there may be something for fillNow.
func (c *conn) arrived() bool { return c.state.Load()&ready != 0 }

// fillNow is Fill where a poller waits, without waiting: errWouldBlock if nothing
// has arrived.
func (c *conn) fillNow() error { return c.fail(c.pull()) }

// takeFailure is what a Resume was about, if not about bytes.
func (c *conn) takeFailure() error {
	err := c.failure
	c.failure = nil
	return c.fail(err)
}

// A sleeper is who waits in Fill.
type sleeper chan struct{}

// Resume wakes Fill.
func (s sleeper) Resume(Later) { s <- struct{}{} }
