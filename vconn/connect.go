package vconn

import (
	"net/netip"
	"sync/atomic"

	"github.com/h2gw/h2gw/pitag"
)

// An Acceptor runs one transaction on the passive end of a virtual connection.
// AcceptVConn is called by Connect and Open, in the goroutine of their caller and
// with no lock held, and must not block: it does what it can at once, starts a
// goroutine or queues for the rest, and returns. It owns the end and must close
// it, which it may have done by then. It is called from several goroutines at
// once.
type Acceptor interface{ AcceptVConn(*Conn) }

// A LaterAcceptor is an Acceptor whose transactions have things to do together:
// while one goroutine begins several in a row, what they leave to its Later is
// done once they have all begun.
type LaterAcceptor interface {
	Acceptor
	// AcceptVConnLater is AcceptVConn; later is for the time of the call.
	AcceptVConnLater(c *Conn, later Later)
}

// An AcceptorFunc is a function that is an Acceptor. It is called in the
// goroutine of Connect and must not block.
type AcceptorFunc func(*Conn)

// AcceptVConn calls f(c).
func (f AcceptorFunc) AcceptVConn(c *Conn) { f(c) }

// DefaultBound is how many bytes a direction holds unless Options says
// otherwise.
const DefaultBound = 64 << 10

// Options says what Open makes. The zero value is a connection without
// identity whose target routing decides.
type Options struct {
	// Addr is what the active end connects to: its RemoteAddr and the
	// passive end's LocalAddr. Zero means that routing decides.
	Addr netip.AddrPort
	// Identity names the session that the connection belongs to.
	Identity pitag.Identity
	// Session is what the connection was opened for; nil means the
	// Connector's own, if it has one.
	Session *pitag.Session
	// Stream is the HTTP/2 stream id; 0 = none.
	Stream uint32
	// Txn is the 1-based count of the transaction on its client connection;
	// 0 = none.
	Txn uint64
	// Request is what the opener knows of the request that it will write, for
	// the record of a transaction that ends before it has read the head.
	Request Request
	// Head is what the active end has written before the Acceptor gets the
	// passive end, so that a transaction can begin, and answer, within
	// AcceptVConn. It is copied, counts as written by the active end in every
	// respect, and fits even where it is longer than ActiveToPassive, which
	// then is its length.
	Head []byte
	// Ended says that Head was all: as if CloseWrite had been called behind it.
	Ended bool
	// Observer is that of the active end; may be nil. It can be called before
	// Open has returned.
	Observer Observer
	// Events are the calls that Observer wants; 0 means AllEvents.
	Events Events
	// ActiveToPassive and PassiveToActive are the most bytes each direction
	// holds; 0 or less means DefaultBound.
	ActiveToPassive, PassiveToActive int
	// Meter counts the memory of both directions; may be nil.
	Meter Meter
	// Notes are what both ends write down of the messages that pass; nil:
	// nobody wants to know.
	Notes *Notes
}

// A Meter counts the memory that connections take for buffering. Buffered is
// told of every chunk taken (n > 0) and given back (n < 0), with a lock held: it
// must not block, nor call into the connection. The first small chunk of each
// direction, a KiB, is not told of: take it for a part of what a connection costs.
type Meter interface{ Buffered(n int) }

// A Request is a request in the words of a log. It may be empty in parts, and
// the transaction behind the connection believes the head it reads, not this.
type Request struct{ Method, Host, Path, UserAgent string }

// A Connector opens virtual connections to one Acceptor. It is safe for
// concurrent use. Make one with [NewConnector].
type Connector struct {
	acceptor Acceptor
	late     LaterAcceptor  // acceptor, if it is one
	session  *pitag.Session // of For; nil: none
	stats    *registry
	recent   atomic.Pointer[tagCounters] // of the last tag used: there is nearly always one
}

// NewConnector returns a Connector that gives passive ends to a.
func NewConnector(a Acceptor) *Connector {
	late, _ := a.(LaterAcceptor)
	return &Connector{acceptor: a, late: late, stats: new(registry)}
}

// For returns a Connector that opens connections for session s: it is what
// Conn.Session returns, and its client is the passive end's RemoteAddr. The
// identity is still the caller's to give. It counts into the Stats of c.
func (c *Connector) For(s *pitag.Session) *Connector {
	f := &Connector{acceptor: c.acceptor, late: c.late, session: s, stats: c.stats}
	f.recent.Store(c.recent.Load())
	return f
}

// begin puts in what Options say was written. Nobody else knows p yet, so it
// takes no lock, and there is nobody to tell.
func (p *pair) begin(o *Options) {
	h := &p.toEnd[passive]
	h.bound = max(h.bound, len(o.Head))
	h.write(o.Head)
	if h.written = uint64(len(o.Head)); h.written >= countEvery {
		p.count(h)
	}
	h.ended = o.Ended
}

// Connect opens a virtual connection to addr without identity: no tag, id 0.
func (c *Connector) Connect(addr netip.AddrPort) (*Conn, error) {
	return c.Open(Options{Addr: addr})
}

// ConnectWithPluginID opens a virtual connection to addr, gives the passive end
// to the Acceptor, and returns the active end. It does not block and sends
// nothing: the transaction starts when a request is written. tag may be empty
// (absent) and id 0 (not set). It fails only when the Connector has no Acceptor.
//
// Source: TSHttpConnectWithPluginId.
func (c *Connector) ConnectWithPluginID(addr netip.AddrPort, tag string, id uint64) (*Conn, error) {
	return c.Open(Options{Addr: addr, Identity: pitag.Identity{Tag: tag, ID: id}})
}

// Open is the general form of ConnectWithPluginID. When Options have a Head, the
// transaction can have begun, answered and ended when Open returns.
func (c *Connector) Open(o Options) (*Conn, error) {
	conn, err := c.Prepare(&o)
	if err == nil {
		c.Accept(conn)
	}
	return conn, err
}

// Prepare is Open but for the transaction, which has not begun: the passive end
// is not given to the Acceptor before Accept, which must be called once, whatever
// happens to the connection. What the active end does until then is as if the
// transaction were slow: so more of a request than a head can be there when it
// begins. It keeps no reference to o.
func (c *Connector) Prepare(o *Options) (*Conn, error) {
	if c.acceptor == nil || c.stats == nil {
		return nil, errNoAcceptor
	}
	p := newPair(o)
	if p.session == nil {
		p.session = c.session
	}
	p.counters = c.countersFor(o.Identity.Tag).place(o.Identity.ID)
	p.counters.opened.Add(1)
	p.begin(o)
	return &p.ends[active], nil
}

// Accept gives the passive end of the connection whose active end a is, and which
// Prepare has made, to the Acceptor.
func (c *Connector) Accept(a *Conn) { c.acceptor.AcceptVConn(a.peer()) }

// AcceptLater is Accept for who begins several transactions in a row, and is told
// so by later; an Acceptor that is no LaterAcceptor does not hear of that.
func (c *Connector) AcceptLater(a *Conn, later Later) {
	if later == nil || c.late == nil {
		c.Accept(a)
		return
	}
	c.late.AcceptVConnLater(a.peer(), later)
}

func newPair(o *Options) *pair {
	p := emptyPair()
	p.identity, p.addr, p.session, p.notes = o.Identity, o.Addr, o.Session, o.Notes
	p.txn, p.stream = o.Txn, o.Stream
	for i := range p.ends {
		p.ends[i].pair, p.ends[i].side = p, uint8(i)
	}
	p.request = o.Request
	p.toEnd[passive].bound = boundOr(o.ActiveToPassive)
	p.toEnd[active].bound = boundOr(o.PassiveToActive)
	p.toEnd[active].meter, p.toEnd[passive].meter = o.Meter, o.Meter
	want := o.Events
	if want == 0 {
		want = AllEvents
	}
	p.ends[active].events.observe(o.Observer, want)
	return p
}

func boundOr(n int) int {
	if n <= 0 {
		return DefaultBound
	}
	return n
}
