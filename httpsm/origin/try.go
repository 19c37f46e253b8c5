package origin

import (
	"io"
	"net"
	"os"
)

// TryGet returns an exchange on a kept-alive connection at once, or nil if one
// would have to be waited for or made: then Get is to be called. It never
// blocks. Connections that cannot be waited for without a goroutine (over TLS,
// or no TCP connections, and on systems other than Linux) are left to Get.
//
// certain is for a request that cannot be sent again: it has the connection
// looked at for an end or bytes that nobody has noticed yet, as Get does.
func (e *Endpoint) TryGet(certain bool) Awaitable {
	what := quickConn
	if certain || e.load.Load() < fewInFlight {
		what = attendedConn
	}
	for {
		c, quiet := e.pool.idle.take(what)
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

// A transfer is one direction's calls of RawConn.Control: what they are about,
// and what came of them. Only who writes uses out; the attendant and who reads
// share in, of which the attendant uses one, and the reader the rest.
type transfer struct {
	c    *conn
	p    []byte
	n    int
	err  error
	look look
	one  [1]byte // what a peek sees

	// Bound once: binding allocates.
	pull, send, peek func(fd uintptr)
	push             func(fd uintptr) bool
}

func (t *transfer) bind(c *conn) {
	t.c = c
	t.pull = func(fd uintptr) { t.err = t.c.pull(fd) }
	t.send = func(fd uintptr) { t.n, t.err = transmit(fd, t.p) }
	t.peek = func(fd uintptr) { t.look = peek(fd, &t.one) }
	t.push = t.sendAll
}

// sendAll sends what is left; false: the socket takes no more now.
func (t *transfer) sendAll(fd uintptr) bool {
	for t.n < len(t.p) {
		n, err := transmit(fd, t.p[t.n:])
		t.n += n
		if err != nil {
			t.err = err
			return true
		}
		if n == 0 {
			return false
		}
	}
	return true
}

// glance looks at the socket, and forgets first that something may be there: what
// arrives later is another edge. The caller owns the exchange, or the idle
// connection, and nobody writes.
func (c *conn) glance() look {
	if c.state.Load()&ready != 0 {
		c.state.And(^ready)
	}
	if c.rc.Control(c.out.peek) != nil {
		return lookClosed
	}
	return c.out.look
}

// TryWrite sends what the socket takes now, with one system call.
func (c *conn) TryWrite(p []byte) (int, error) {
	if c.rc == nil {
		return 0, nil
	}
	if err := c.beforeWrite(); err != nil {
		return 0, err
	}
	c.out.p, c.out.n, c.out.err = p, 0, nil
	err := c.rc.Control(c.out.send)
	c.out.p = nil
	if err == nil && c.out.err == nil {
		return c.out.n, nil
	}
	return 0, c.writeFailed(err)
}

// writeAttended is Write.
func (c *conn) writeAttended(p []byte) (int, error) {
	if err := c.beforeWrite(); err != nil {
		return 0, err
	}
	c.out.p, c.out.n, c.out.err = p, 0, nil
	for {
		err := c.rc.Write(c.out.push)
		if err != nil && c.retry(&c.wd, writeSide{c}, err) {
			continue
		}
		c.out.p = nil
		if err == nil && c.out.err == nil {
			return c.out.n, nil
		}
		return c.out.n, c.writeFailed(err)
	}
}

func (c *conn) writeFailed(err error) error {
	if err == nil {
		err = c.opError("write", c.out.err)
	}
	c.broken.Store(true)
	return c.fail(err)
}

// beforeWrite looks at the socket before the first write of an exchange if the
// attendant knows that something has arrived. It was not asked for, so nothing
// is to be sent after it.
func (c *conn) beforeWrite() error {
	s := c.state.Load()
	switch {
	case s&aborted != 0: // though the attendant may not have closed it yet
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

// Await is Awaitable's. It is false where there is no attendant, and where Fill
// would return at once.
func (c *conn) Await(r Resumer) bool { return c.rc != nil && c.await(r) }

func (c *conn) await(r Resumer) bool {
	c.waiter, c.failure = r, nil
	for {
		s := c.state.Load()
		if s&(aborted|gone) != 0 {
			return false
		}
		if c.state.CompareAndSwap(s, s&^holding|awaited) {
			if s&holding != 0 {
				c.hold <- struct{}{}
			}
			break
		}
	}
	return !c.reads.late.Load() || !c.unawait()
}

// unawait claims the Resume that an Await has coming.
func (c *conn) unawait() bool { return c.state.And(^awaited)&awaited != 0 }

// outOfTime is called when the read deadline has passed.
func (c *conn) outOfTime() {
	if !c.unawait() {
		return // the next who wants to wait sees it
	}
	r := c.waiter
	if !c.reads.due() && c.await(r) {
		return // it was moved just now
	}
	c.failure = os.ErrDeadlineExceeded
	r.Resume(nil)
}

// fillAttended is Fill. While the attendant holds, what there is is received
// here.
func (c *conn) fillAttended() error {
	if err := c.failure; err != nil {
		c.failure = nil
		return c.fail(err)
	}
	if c.r < c.w {
		if err := c.room(); err != nil {
			return err
		}
	}
	for {
		if c.reads.due() {
			return c.fail(os.ErrDeadlineExceeded)
		}
		if s := c.state.Load(); s&holding != 0 && s&(ready|behind) != 0 {
			if err := c.pullNow(); err != errWouldBlock {
				return c.fail(err)
			}
		}
		if !c.await(c.sleeper) {
			if c.state.Load()&(aborted|gone) != 0 {
				return c.fail(net.ErrClosed)
			}
			continue
		}
		<-c.sleeper
		err := c.failure
		c.failure = nil
		return c.fail(err)
	}
}

// pullNow receives what there is, beside an attendant who holds.
func (c *conn) pullNow() error {
	c.state.And(^(ready | behind))
	err := c.rc.Control(c.in.pull)
	if err == nil {
		err = c.in.err
	}
	switch {
	case err == errWouldBlock:
	case err != nil, c.filled:
		c.state.Or(ready | behind)
	default:
		c.state.Or(behind)
	}
	return err
}

// A sleeper is who waits in Fill.
type sleeper chan struct{}

// Resume wakes Fill.
func (s sleeper) Resume(Later) { s <- struct{}{} }

// opError makes of err what package net would.
func (c *conn) opError(op string, err error) error {
	if err == io.EOF {
		return err
	}
	return &net.OpError{
		Op: op, Net: "tcp", Source: c.raw.LocalAddr(), Addr: c.raw.RemoteAddr(),
		Err: os.NewSyscallError(op, err),
	}
}
