package httpsm

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/pitag"
)

// Heads and field sections, as hooks see them. They cannot hold a malformed
// message: their setters refuse it.
type (
	// A RequestHead is an HTTP/1.1 request line and field section.
	RequestHead = h1.RequestHead
	// A ResponseHead is an HTTP/1.1 status line and field section.
	ResponseHead = h1.ResponseHead
	// Fields is an ordered field section.
	Fields = h1.Fields
)

// A Field is one field line.
type Field struct{ Name, Value string }

// A Txn is one transaction: a single request from a client and the response
// sent back. Hooks get it; its exported methods are for them, to be called on
// the goroutine of the hook and only until it returns. (Context may be passed
// on.)
//
// It is pooled, with its buffers, and belongs to one goroutine at a
// time, which inline.go says, except for what is marked as shared. A transaction
// runs on two or three processors, one after the other: what all of them look at
// comes first, so that few cache lines have to follow it.
type Txn struct {
	m     *Machine
	cl    *client // own, or that of an HTTP/1.1 connection
	*desk         // nil while it waits for its origin inline, and when it has ended
	passage

	// Shared.
	reached atomic.Bool  // an origin may have seen something of the request
	gone    atomic.Bool  // the client left
	killed  atomic.Bool  // the machine is done
	active  atomic.Bool  // see registry
	refs    atomic.Int32 // virtual connection: who runs the transaction, and both ends
	exMu    sync.Mutex
	ex      origin.Exchange // set and cleared under exMu by who runs the transaction
	tun     atomic.Pointer[tunnel]
	ctx     *txnContext

	own  client  // *cl on a virtual connection
	peer passive // observer of it
	run  func()  // t.serveVConn, made once
	crew *crew
	rec  Record
	hist history

	reqOut     []byte // to the origin; the request tunnel's while it runs
	up         upload
	transBytes []byte // output of transform
	local      localReply
	ownHooks   Hooks
	tried      []*origin.Endpoint
	watchDone  chan struct{}
	armed      connectWatch // guarded by ctx.mu
}

// A passage is what a transaction is in the midst of: forgotten in one go.
type passage struct {
	state   State
	point   Point // last hook point that began
	respDir direction
	out     responseFraming

	inline   bool // the present segment must not block
	special  bool // something happened that is left to the crew
	waited   bool // it was not inline all the time, or may have left traces as if
	resumed  bool // the origin connection has called Resume
	built    bool // the origin's head is ready in reqOut
	prepared bool // the client's head is, in respOut
	closed   bool // the virtual connection was closed with the last write

	requestLeft bool
	gotBytes    bool // of a response, on this exchange
	originKeep  bool
	headSent    bool
	keep        bool // HTTP/1.1: the connection carries another request
	headOK      bool // the request head was valid
	excess      bool // bytes followed it when it was read
	fresh       bool // a retry that wants a new connection
	alone       bool // no connection is to be shared
	blamed      bool // the origin did something to a shared connection that ends it
	flowing     bool // the client has taken of the body
	framed      bool // respBody is that of the present response
	lastResort  bool // see view
	watching    bool

	asked asked

	explain      *explanation // nil: nobody wants one
	sessionHooks *Hooks       // nil: none
	hooks        *Hooks       // nil: none

	group  *origin.Group
	ep     *origin.Endpoint
	await  origin.Awaitable // ex, if one may wait for it inline
	later  origin.Later     // of who runs the segment; nil: nobody
	shared origin.Shared    // ex, if its connection is shared

	now       time.Time
	since     time.Time // since when the response head is waited for; zero: it is not yet
	sentBytes int       // of reqOut, in this exchange
	bodyOut   int64     // body bytes in respOut
	headBytes int64     // bytes to the client up to the end of the final head

	interims  int
	transform Transform // of the response body
	action    action    // what led to a side exit
	upgrade   upgrade
}

// asked is what a response is to be understood by, of the request once it is
// ready to be sent.
type asked struct {
	method string // as the origin gets it
	head   bool   // the client's is HEAD
	http10 bool   // the client speaks HTTP/1.0
}

// Identity names the client connection.
func (t *Txn) Identity() pitag.Identity { return t.rec.Session.Identity }

// Session is the client connection; never nil.
func (t *Txn) Session() *pitag.Session { return t.rec.Session }

// Stream is the HTTP/2 stream id, 0 when there is none.
func (t *Txn) Stream() uint32 { return t.rec.Stream }

// Number is the 1-based count of the transaction on its client connection; 0
// when it is not known.
func (t *Txn) Number() uint64 { return t.rec.Txn }

// Client is the client's address; zero when it is not known.
func (t *Txn) Client() netip.AddrPort { return t.rec.Session.Client }

// State is where the transaction is.
func (t *Txn) State() State { return t.state }

// Point is the hook point that is running.
func (t *Txn) Point() Point { return t.point }

// Request is the client's request head, empty before ReadRequestHead. What
// hooks up to OriginSelected change in it goes to the origin; the record keeps
// what was received. Framing (Content-Length, Transfer-Encoding) cannot be
// changed.
func (t *Txn) Request() *RequestHead { return &t.req }

// OriginRequest is the head that goes to the origin, empty before SendRequestHead,
// where it may be changed; framing cannot.
func (t *Txn) OriginRequest() *RequestHead {
	if !t.oreqOwn {
		t.oreq.Reset()
	}
	return &t.oreq
}

// Response is the response head: the origin's at ReadResponseHead, the client's
// at SendResponseHead; empty before. Framing and Connection cannot be changed.
func (t *Txn) Response() *ResponseHead {
	if !t.respOwn {
		t.resp.Reset()
	}
	return &t.resp
}

// Route is the name of the route and Group the origin group; both can be empty.
func (t *Txn) Route() (string, *origin.Group) { return t.rec.Route, t.group }

// SetRoute chooses the origin group instead of Config.Route. It has an effect
// at PreRoute and PostRoute.
func (t *Txn) SetRoute(name string, g *origin.Group) {
	t.rec.Route, t.group = name, g
}

// Origin is the endpoint chosen, as configured (host:port); "" before
// OriginSelected.
func (t *Txn) Origin() string {
	if t.ep == nil {
		return ""
	}
	return t.ep.Addr()
}

// Record is the record in progress. It may be looked at, and RequestID be set;
// the rest is overwritten as the transaction goes on.
func (t *Txn) Record() *Record { return &t.rec }

// Context ends when the client leaves or the gateway is shut down. It carries
// no values and no deadline. Over HTTP/1.1 leaving is noticed only once the
// request has been read whole.
func (t *Txn) Context() context.Context {
	t.waited = true
	t.ctx.Done() // from here on somebody may hold it
	if t.canWatch() {
		t.startWatch()
	}
	return t.ctx
}

// Hooks are hooks for this transaction only: they run after those of the
// session at request points, before them at response points. A hook registered
// for a point that has begun is refused.
func (t *Txn) Hooks() *Hooks {
	if t.hooks == nil {
		t.special = true
		t.hooks = &t.ownHooks
		t.hooks.passed(t.point)
	}
	return t.hooks
}

// RequestBody has tr rewrite the request body, which then goes to the origin
// chunked. It has an effect until SendRequestHead, on requests with a body; a
// second one works on what the first makes. It also ends the safety of retries.
func (t *Txn) RequestBody(tr Transform) {
	t.special = true
	t.up.transform = chain(t.up.transform, tr)
}

// ResponseBody has tr rewrite the origin's response body, which then loses its
// Content-Length. It has an effect until SendResponseHead, on responses with a
// body. A second one works on what the first makes.
func (t *Txn) ResponseBody(tr Transform) {
	t.special = true
	t.transform = chain(t.transform, tr)
}

// Reply sets what answers the request instead of an origin, and returns the
// verdict Reply for the hook to return. Content-Length, Date and Connection are
// added. A status outside 200 to 599 or a malformed field makes it a 500, with
// a line in the log. body must not be changed until TxnClose.
func (t *Txn) Reply(status int, fields []Field, body []byte) Verdict {
	t.waited = true
	l := &t.local
	l.reset()
	l.status, l.body = status, body
	if status < 200 || status > 599 {
		l.err = fmt.Errorf("httpsm: Reply with status %d: want 200 to 599", status)
	}
	for _, f := range fields {
		if err := l.fields.Add(f.Name, f.Value); err != nil {
			l.err = fmt.Errorf("httpsm: Reply with field %q: %w", f.Name, err)
		}
	}
	return Reply
}

// renew makes t ready for another transaction: nothing of the last stays but
// memory of a usual size. It is called when t is taken from the pool, not when it
// is put there: the next transaction looks at the same memory at once, whoever
// ended the last one perhaps from another processor.
func (t *Txn) renew() {
	if t.waited || t.up.hasBody() || t.gone.Load() || t.killed.Load() {
		t.renewRest()
	}
	t.passage, t.rec = passage{}, Record{}
	t.hist.reset()
	unset(&t.up.readAll)
	unset(&t.up.sent)
	t.reqOut = usual(t.reqOut)
	unset(&t.reached)
}

// renewRest is for what a transaction that is inline all the time, and has no
// body, does not use.
func (t *Txn) renewRest() {
	t.up.reset()
	if t.hooks != nil {
		t.ownHooks.clear()
	}
	t.local.reset()
	clear(t.tried[:cap(t.tried)])
	t.tried = t.tried[:0]
	t.transBytes = usual(t.transBytes)
	if !t.ctx.reusable() {
		t.ctx = new(txnContext)
	}
	t.ctx.err, t.ctx.waits = nil, nil
	t.tun.Store(nil)
	unset(&t.gone)
	unset(&t.killed)
}

// unset makes b false. Storing costs more than to look, where nobody else does.
func unset(b *atomic.Bool) {
	if b.Load() {
		b.Store(false)
	}
}

// usual drops a buffer that one large message made grow.
func usual(b []byte) []byte {
	if cap(b) > 2*outBound {
		return nil
	}
	return b[:0]
}

func chain(first, then Transform) Transform {
	switch {
	case then == nil:
		return first
	case first == nil:
		return then
	}
	var between []byte
	return TransformFunc(func(dst, src []byte, last bool) ([]byte, error) {
		var err error
		if between, err = first.Transform(between[:0], src, last); err != nil {
			return dst, err
		}
		if len(between) == 0 && !last {
			return dst, nil
		}
		return then.Transform(dst, between, last)
	})
}
