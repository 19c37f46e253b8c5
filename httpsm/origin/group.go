package origin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// maxLiteral bounds the endpoints made by EndpointFor that a group remembers.
const maxLiteral = 1024

// A Group is a set of endpoints that serve the same content. It is safe for
// concurrent use. Make one with [NewGroup].
type Group struct {
	cfg       Config
	tls       *tls.Config // base for https endpoints, never changed
	endpoints []*Endpoint // immutable
	closed    atomic.Bool
	retired   atomic.Bool

	mu      sync.Mutex
	literal map[netip.AddrPort]*Endpoint // made by EndpointFor; guarded by mu
}

// NewGroup returns a group; it connects to nothing yet. The error names the
// endpoint that is wrong.
func NewGroup(cfg Config) (*Group, error) {
	cfg = cfg.withDefaults()
	if cfg.Rand == nil {
		cfg.Rand = rand.IntN
	}
	g := &Group{cfg: cfg, tls: baseTLS(cfg.TLS)}
	var faults []error
	for i, ec := range cfg.Endpoints {
		if err := ec.check(); err != nil {
			faults = append(faults, fmt.Errorf("origin group %q, endpoint %d: %w", cfg.Name, i+1, err))
			continue
		}
		if slices.Contains(cfg.Endpoints[:i], ec) {
			faults = append(faults, fmt.Errorf("origin group %q, endpoint %d: %s is there twice: remove one", cfg.Name, i+1, ec.Addr))
			continue
		}
		g.endpoints = append(g.endpoints, newEndpoint(g, ec, cfg.MaxIdle))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return g, nil
}

// Name returns the group's name.
func (g *Group) Name() string { return g.cfg.Name }

// Endpoints returns the configured endpoints, in order. The caller must not
// change the slice.
func (g *Group) Endpoints() []*Endpoint { return g.endpoints }

// Pick returns the endpoint with fewer requests in flight out of two drawn at
// random, leaving out those in avoid, and those whose last connects failed,
// while others remain. It returns nil only if the group is closed or has no
// endpoints.
func (g *Group) Pick(avoid ...*Endpoint) *Endpoint {
	if g.closed.Load() {
		return nil
	}
	if len(g.endpoints) == 1 {
		return g.endpoints[0]
	}
	var room [32]candidate // on the stack: larger groups allocate
	all := room[:0]
	for i, e := range g.endpoints {
		all = append(all, candidate{
			index: i, load: e.load.Load(), avoided: slices.Contains(avoid, e), resting: e.health.resting(),
		})
	}
	i := choose(all, g.cfg.Rand)
	if i < 0 {
		return nil
	}
	return g.endpoints[i]
}

// EndpointFor returns an endpoint outside the configuration, for a literal
// address: where the group has none, a virtual connection's address is the
// origin. It is spoken to without TLS. Endpoints are kept in a bounded table;
// when it is full an unused one makes room, and when all are in use the
// endpoint returned keeps no connections.
func (g *Group) EndpointFor(addr netip.AddrPort) *Endpoint {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.literal[addr]; e != nil {
		return e
	}
	ec := EndpointConfig{Addr: addr.String()}
	if len(g.literal) >= maxLiteral && !g.evictLiteralLocked() {
		return newEndpoint(g, ec, -1)
	}
	e := newEndpoint(g, ec, g.cfg.MaxIdle)
	if g.closed.Load() {
		e.pool.shut()
		return e
	}
	if g.retired.Load() {
		e.pool.retire()
	}
	if g.literal == nil {
		g.literal = make(map[netip.AddrPort]*Endpoint)
	}
	g.literal[addr] = e
	return e
}

// evictLiteralLocked forgets an endpoint without requests in flight. It looks
// at a few (map order is random), so that a full table of busy endpoints costs
// no scan.
func (g *Group) evictLiteralLocked() bool {
	looked := 0
	for addr, e := range g.literal {
		if e.load.Load() == 0 {
			delete(g.literal, addr)
			e.retire()
			return true
		}
		if looked++; looked == 16 {
			break
		}
	}
	return false
}

// Retire says that the group was replaced: idle connections are closed, those in
// use close at their Release, and none is kept from now on. Pick and Get go on
// working, for transactions that began with this group. It may be called more
// than once.
func (g *Group) Retire() {
	g.retired.Store(true)
	for _, e := range g.all() {
		e.retire()
	}
}

// Close closes idle connections and fails waiting requests; connections in use
// close at their Release. It may be called more than once.
func (g *Group) Close() {
	g.closed.Store(true)
	for _, e := range g.all() {
		e.close()
	}
}

// all returns configured and literal endpoints.
func (g *Group) all() []*Endpoint {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.AppendSeq(slices.Clone(g.endpoints), maps.Values(g.literal))
}
