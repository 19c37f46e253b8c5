package httpsm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/vconn"
)

// A Machine runs transactions; it implements vconn.Acceptor. It is safe for
// concurrent use. Make one with New.
type Machine struct {
	cfg                           Config
	requestLimits, responseLimits h1.Limits
	literal                       *origin.Group // endpoints that are addresses of virtual connections

	explain   bool   // at debug level: say what became of messages
	pseudonym []byte // in Via; of this Machine only
	via       viaLines

	pool     sync.Pool
	registry registry
	crews    [crewCount]crew
	next     atomic.Uint32 // crew for the next new Txn
	panics   atomic.Uint64
	shortage shortageLog
	http1    atomic.Int64 // transactions of HTTP/1.1 connections
	draining atomic.Bool
	killed   atomic.Bool
	ended    chan struct{}               // a transaction or connection ended while draining
	begin    func(*Txn) origin.Awaitable // (*Txn).beginExchange, but in tests

	retryMu sync.Mutex
	retries map[Retry]uint64 // guarded by retryMu

	connMu sync.Mutex
	conns  map[*http1Conn]struct{} // guarded by connMu
}

var _ vconn.Acceptor = (*Machine)(nil)

// New returns a Machine that works as cfg says.
func New(cfg Config) *Machine {
	cfg = cfg.withDefaults()
	m := &Machine{
		cfg:            cfg,
		requestLimits:  cfg.Limits.request(),
		responseLimits: cfg.Limits.response(),
		ended:          make(chan struct{}, 1),
		explain:        cfg.Log.Debug().Enabled(),
		conns:          make(map[*http1Conn]struct{}),
		retries:        make(map[Retry]uint64),
	}
	// Without endpoints there is nothing in it that could be wrong.
	m.literal, _ = origin.NewGroup(origin.Config{Name: "address", ConnectTimeout: cfg.Timeouts.Connect})
	var instance [4]byte
	rand.Read(instance[:]) // never fails (crypto/rand)
	m.pseudonym = []byte(cfg.Via + "-" + hex.EncodeToString(instance[:]))
	m.via = newViaLines(string(m.pseudonym), cfg.Via)
	m.begin = (*Txn).beginExchange
	m.pool.New = func() any { return m.newTxn() }
	return m
}

func (m *Machine) newTxn() *Txn {
	t := &Txn{m: m, ctx: new(txnContext)}
	t.peer.t = t
	t.run = t.serveVConn
	t.crew = &m.crews[m.next.Add(1)%crewCount]
	m.registry.add(t)
	return t
}

func (m *Machine) get() *Txn {
	t := m.pool.Get().(*Txn)
	t.renew()
	t.takeDesk()
	return t
}

// put gives t back. What it is not to keep alive until it is renewed, or dropped
// by the pool, it forgets here.
func (m *Machine) put(t *Txn) {
	if t.cl == &t.own {
		if t.untouched() {
			t.own.vc.Recycle()
		}
		t.own.release()
	}
	t.cl, t.rec.Session = nil, nil
	t.leaveDesk()
	m.pool.Put(t)
}

// noteEnd wakes Shutdown.
func (m *Machine) noteEnd() {
	if m.draining.Load() {
		select {
		case m.ended <- struct{}{}:
		default:
		}
	}
}

// Drain ends HTTP/1.1 connections gently: idle ones are closed, others with
// their present or next response, which says Connection: close. Transactions on
// virtual connections end by themselves. It returns at once, and cannot be
// undone.
func (m *Machine) Drain() {
	m.draining.Store(true)
	m.connMu.Lock()
	defer m.connMu.Unlock()
	for hc := range m.conns {
		hc.drain()
	}
}

// Shutdown drains, and waits until all transactions and connections have ended.
// When ctx ends before, what is left is aborted, and the error of ctx returned.
func (m *Machine) Shutdown(ctx context.Context) error {
	m.Drain()
	defer m.dismiss()
	if m.wait(ctx.Done(), nil) {
		m.literal.Close()
		return nil
	}
	m.killed.Store(true)
	m.registry.each(func(t *Txn) bool {
		t.killActive()()
		return true
	})
	m.connMu.Lock()
	for hc := range m.conns {
		hc.conn.Close()
	}
	m.connMu.Unlock()
	// What was aborted ends at once, but for a hook that does not look at its
	// context, and a client side that nobody closes.
	timer := time.NewTimer(killGrace)
	defer timer.Stop()
	m.wait(nil, timer.C)
	m.literal.Close()
	return ctx.Err()
}

const killGrace = time.Second

// dismiss ends goroutines that wait for work.
func (m *Machine) dismiss() {
	for i := range m.crews {
		m.crews[i].close()
	}
}

// wait returns true when nothing is left, false when one of the two fires.
func (m *Machine) wait(done <-chan struct{}, late <-chan time.Time) bool {
	for !m.idle() {
		select {
		case <-m.ended:
		case <-done:
			return false
		case <-late:
			return false
		}
	}
	return true
}

func (m *Machine) idle() bool {
	m.connMu.Lock()
	n := len(m.conns)
	m.connMu.Unlock()
	return n == 0 && m.registry.empty()
}

// Stats are counters of a Machine.
type Stats struct {
	// Active is the number of transactions whose record is still to come;
	// HTTP1Active how many of them belong to HTTP/1.1 connections.
	Active, HTTP1Active int64
	// Panics counts panics recovered in hooks, sinks and transactions.
	Panics uint64
	// Retries counts requests sent again. The map is the caller's.
	Retries map[Retry]uint64
}

// A Retry is a kind of request sent again: by the origin group and the endpoint
// that failed it (both "" where that was the address of a virtual connection),
// and the reason: connect_failed, not_sent, reused_closed or pipeline_*.
type Retry struct{ Group, Endpoint, Reason string }

// Stats returns the counters as they are now.
func (m *Machine) Stats() Stats {
	m.retryMu.Lock()
	defer m.retryMu.Unlock()
	return Stats{
		Active: m.registry.count(), HTTP1Active: m.http1.Load(),
		Panics: m.panics.Load(), Retries: maps.Clone(m.retries),
	}
}

func (m *Machine) countRetry(r *Record, reason string) {
	key := Retry{Reason: reason}
	if r.Group != "" { // else anyone could make new ones
		key.Group, key.Endpoint = r.Group, r.Origin
	}
	m.retryMu.Lock()
	m.retries[key]++
	m.retryMu.Unlock()
}
