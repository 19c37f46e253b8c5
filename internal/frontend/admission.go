package frontend

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// closeGrace is how long a connection may take to its first request once no more
// are accepted. Browsers open connections ahead of need: those would otherwise
// hold up a drain for the whole handshake timeout.
const closeGrace = time.Second

// An admission decides whether one more client connection fits and knows all
// sockets that are open, so that Abort can close them. It is the one owner of
// these counts.
type admission struct {
	max, perClient int // not positive: no bound
	admit          func() error

	mu      sync.Mutex
	conns   map[net.Conn]bool  // true: its protocol is not known yet
	clients map[netip.Addr]int // only kept when perClient bounds
	aborted bool
	hurry   bool
}

func newAdmission(max, perClient int) *admission {
	a := &admission{max: max, perClient: perClient, conns: make(map[net.Conn]bool)}
	if perClient > 0 {
		a.clients = make(map[netip.Addr]int)
	}
	return a
}

// enter counts c in, or returns why it may not come in.
func (a *admission) enter(c net.Conn, client netip.Addr) error {
	key := clientKey(client)
	if a.admit != nil {
		if err := a.admit(); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.aborted:
		return errAborted
	case a.max > 0 && len(a.conns) >= a.max:
		return fmt.Errorf("%d client connections are open, the limit (limits.sessions)", a.max)
	case a.perClient > 0 && a.clients[key] >= a.perClient:
		return fmt.Errorf("%d connections are open from %v, the limit (limits.sessions_per_client)", a.perClient, key)
	}
	a.conns[c] = true
	if a.clients != nil {
		a.clients[key]++
	}
	return nil
}

// leave undoes a successful enter.
func (a *admission) leave(c net.Conn, client netip.Addr) {
	key := clientKey(client)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.conns, c)
	if a.clients == nil {
		return
	}
	if a.clients[key]--; a.clients[key] <= 0 {
		delete(a.clients, key)
	}
}

// begin bounds the time that c may take until its protocol is known; not
// positive: no bound.
func (a *admission) begin(c net.Conn, limit time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hurry && (limit <= 0 || limit > closeGrace) {
		limit = closeGrace
	}
	if limit > 0 {
		c.SetDeadline(time.Now().Add(limit))
	}
}

// identified ends what begin began. It holds the lock so that hurryUp cannot
// set its deadline on a connection that is served by then.
func (a *admission) identified(c net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns[c] = false
	c.SetDeadline(time.Time{})
}

// hurryUp leaves connections whose protocol is not known yet closeGrace.
func (a *admission) hurryUp() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hurry = true
	for c, waiting := range a.conns {
		if waiting {
			c.SetDeadline(time.Now().Add(closeGrace))
		}
	}
}

func (a *admission) open() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.conns)
}

// closeAll closes every socket and lets none in any more.
func (a *admission) closeAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.aborted = true
	for c := range a.conns {
		c.Close()
	}
}

// clientKey is what a client is told apart by: the IPv4 address, or the /64 of
// an IPv6 address, since its lower half is the client's to choose.
func clientKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
