package origin

import (
	"context"
	"crypto/tls"
	"sync/atomic"
	"time"

	"github.com/h2gw/h2gw/internal/netio"
)

// An Endpoint is one address of a group: where it is, how it is doing, and its
// connections. It is safe for concurrent use.
type Endpoint struct {
	group  *Group
	cfg    EndpointConfig
	tls    *tls.Config // nil: cleartext
	shared *pipelines  // nil: requests share no connections
	health health

	_ [64]byte // what is above is read by every request, what is below written

	pool     pool
	load     atomic.Int64 // exchanges
	counters counters
}

func newEndpoint(g *Group, ec EndpointConfig, maxIdle int) *Endpoint {
	e := &Endpoint{group: g, cfg: ec}
	if ec.TLS {
		e.tls = endpointTLS(g.tls, ec)
	}
	e.pool.maxOpen = g.cfg.MaxConns
	e.pool.maxIdle = maxIdle
	e.pool.period = g.cfg.IdleTimeout / idleTicks
	e.shared = newPipelines(e, g.cfg.Pipeline)
	return e
}

// Addr returns the endpoint's address as configured: host:port.
func (e *Endpoint) Addr() string { return e.cfg.Addr }

// TLS says whether the endpoint is spoken to over TLS.
func (e *Endpoint) TLS() bool { return e.cfg.TLS }

// Get returns an exchange on a kept-alive connection (used last first, checked
// for having been closed and for unexpected bytes) or on a new one. With fresh
// only on a new one: a retry after a reused connection failed should not meet
// another that the same restart of the origin closed. ctx bounds waiting and
// connecting, not the exchange; if it has a method Lane() int, that chooses the
// poller as in TryGet. Errors are *Error: nothing was sent.
func (e *Endpoint) Get(ctx context.Context, fresh bool) (Exchange, error) {
	e.load.Add(1)
	c, err := e.get(ctx, fresh)
	if err != nil {
		e.load.Add(-1)
		return nil, err
	}
	if !c.info.Reused {
		e.counters.first.Add(1)
	}
	return c, nil
}

// get takes connections from the pool until one is good, or makes one.
func (e *Endpoint) get(ctx context.Context, fresh bool) (*conn, error) {
	for {
		t := e.pool.take(fresh, laneOf(ctx))
		if t.victim != nil {
			t.victim.closeIdle()
		}
		if t.waiter != nil {
			g, err := e.pool.wait(ctx, t.waiter, e.group.cfg.ConnectTimeout)
			if err != nil {
				return nil, e.waitFailed(err)
			}
			t = taking{conn: g.conn, place: g.conn == nil && !g.closed, closed: g.closed}
		}
		switch {
		case t.closed:
			return nil, &Error{Kind: KindClosed, Addr: e.cfg.Addr, Err: errGroupClosed}
		case t.place:
			c, err := e.connect(ctx)
			if err == nil {
				c.poll(laneOf(ctx))
			}
			return c, err
		case e.revive(t.conn):
			return t.conn, nil
		}
	}
}

// A laned context knows which poller is to wait for the answer; see TryGet.
type laned interface{ Lane() int }

func laneOf(ctx context.Context) int {
	if l, ok := ctx.(laned); ok {
		return l.Lane()
	}
	return netio.AnyLane()
}

// waitFailed sorts the end of a wait that brought nothing. A context's
// deadline while waiting is the limit's doing, not the origin's.
func (e *Endpoint) waitFailed(err error) *Error {
	kind := KindLimit
	if err == context.Canceled {
		kind = KindCanceled
	}
	e.counters.connect(kind)
	return &Error{Kind: kind, Addr: e.cfg.Addr, Err: err}
}

// revive looks at a kept connection once and makes it an exchange, or closes it.
func (e *Endpoint) revive(c *conn) bool {
	look := c.look()
	if look == lookQuiet {
		c.begin(true)
		e.counters.reused.Add(1)
		return true
	}
	e.spoiled(look)
	c.bury()
	return false
}

// spoiled counts a kept connection that cannot be used again.
func (e *Endpoint) spoiled(look look) {
	switch look {
	case lookBytes:
		e.counters.idleUnexpected.Add(1)
	case lookClosed:
		e.counters.idleClosed.Add(1)
	}
}

// connect makes a connection in a place that take gave, which it gives back if
// it fails.
func (e *Endpoint) connect(ctx context.Context) (*conn, error) {
	if d := e.group.cfg.ConnectTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	start := time.Now()
	c, err := e.dial(ctx)
	if err != nil {
		e.pool.drop()
		e.counters.connect(err.Kind)
		switch err.Kind {
		case KindCanceled, KindResource:
		default:
			e.health.failed()
		}
		return nil, err
	}
	e.counters.connect("ok")
	e.health.connected()
	c.info.ConnectStart, c.info.ConnectEnd = start, time.Now()
	c.begin(false)
	return c, nil
}

// retire stops keeping connections: the endpoint was forgotten or replaced.
func (e *Endpoint) retire() {
	e.shared.retire()
	e.pool.retire()
}

func (e *Endpoint) close() {
	e.shared.retire()
	e.pool.shut()
}
