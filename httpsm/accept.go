package httpsm

import (
	"net"
	"net/netip"
	"time"

	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// AcceptVConn runs one transaction on the passive end of a virtual connection:
// as far as it goes without waiting before it returns, see inline.go. It
// implements [vconn.Acceptor].
func (m *Machine) AcceptVConn(c *vconn.Conn) { m.AcceptVConnLater(c, nil) }

// AcceptVConnLater is AcceptVConn. Requests that share an origin connection are
// written together by what is left to later. It implements [vconn.LaterAcceptor].
func (m *Machine) AcceptVConnLater(c *vconn.Conn, later vconn.Later) {
	t := m.get()
	t.later = later
	t.cl = &t.own
	t.own.open(c, c)
	t.bind(sessionOf(c), c.Stream(), c.Txn())
	t.refs.Store(2)
	m.register(t)
	c.Observe(&t.peer, vconn.OnPeerClosed|vconn.OnPeerReset|vconn.OnClosed)
	t.runInline()
}

func (t *Txn) bind(s *pitag.Session, stream uint32, number uint64) {
	t.rec.Session, t.rec.Stream, t.rec.Txn = s, stream, number
	if h, ok := s.Value(sessionHooksKey{}).(*Hooks); ok {
		t.sessionHooks = h
	}
	if t.m.explain {
		t.explain = explained(t.cl)
	}
}

// sessionOf returns what c was opened for, or the little that is known when
// that was nothing.
func sessionOf(c *vconn.Conn) *pitag.Session {
	if s := c.Session(); s != nil {
		return s
	}
	s := &pitag.Session{Identity: c.Identity(), Start: time.Now()}
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		s.Client = a.AddrPort()
	}
	s.Local = netip.AddrPort{}
	return s
}

// serveVConn carries a transaction on a virtual connection to its end, on a
// goroutine of its crew.
func (t *Txn) serveVConn() {
	t.takeDesk()
	t.driveGuarded()
	t.leaveVConn()
}

// leaveVConn is the last that is done of a transaction on a virtual connection.
// The record waits for the other end: only then it is known what was delivered.
func (t *Txn) leaveVConn() {
	t.leaveDesk()
	if !t.closed {
		t.guard(func() { t.cl.conn.Close() })
	}
	t.guard(t.unref)
}

// driveGuarded is drive, however it ends: nothing of the transaction stays
// behind but what its record says.
func (t *Txn) driveGuarded() {
	if !t.guard(t.drive) {
		t.breakDown()
	}
}

// breakDown ends a transaction of which it is not known how far it is.
func (t *Txn) breakDown() {
	t.keep = false
	t.guard(func() {
		if t.cl.vc != nil {
			t.cl.vc.ResetFor(vconn.ReasonInternal, codeInternalError)
		} else {
			t.cl.breakOff()
		}
		t.stopWatch()
		t.dropOrigin(false)
	})
}

// guard keeps a panic that step does not recover, in a decision or in whoever
// observes the connection, from ending more than this transaction.
func (t *Txn) guard(do func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			t.fail(action{outcome: ProxyInternalError, source: SourceGateway}, t.panicked(p).err)
		}
	}()
	do()
	return true
}

// unref is called twice: by who ends the transaction, and when both ends are
// closed.
func (t *Txn) unref() {
	if t.refs.Add(-1) > 0 {
		return
	}
	t.emit()
	t.m.unregister(t)
	t.m.put(t)
}

// passive is the observer of a passive end: what the client does to the
// connection is acted on at once, wherever the transaction waits.
type passive struct{ t *Txn }

// Readable is called when the client has closed both ways, without a reset:
// nobody will read the answer.
func (p *passive) Readable(*vconn.Conn, vconn.Later) {
	if p.t.tun.Load() == nil { // a tunnel has two ends to pass on
		p.t.leave()
	}
}

// Consumed is not asked for.
func (p *passive) Consumed(*vconn.Conn, int) {}

func (p *passive) PeerReset(*vconn.Conn, *vconn.ResetError) { p.t.leave() }

func (p *passive) Closed(*vconn.Conn) { p.t.unref() }
