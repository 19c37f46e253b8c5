package httpsm

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/h2gw/h2gw/pitag"
)

// A Point is a place in the life of a transaction where hooks run. The order
// and meaning follow Apache Traffic Server's (doc/developer-guide/plugins/
// hooks-and-transactions), in plain words.
type Point uint8

// The points, in order. The last three run their hooks in reverse: what saw the
// request first sees the response last.
const (
	TxnStart         Point = iota // a request is about to be read
	ReadRequestHead               // the request head is read and valid
	PreRoute                      // before the origin group is chosen
	PostRoute                     // after it
	OriginSelected                // an endpoint is chosen; again for every retry
	SendRequestHead               // the head for the origin is ready; not again for a retry
	ReadResponseHead              // the origin's final response head is read
	SendResponseHead              // the head for the client is ready, the origin's or our own
	TxnClose                      // the transaction is over; for every one, once
	numPoints
)

var pointNames = [numPoints]string{
	"TxnStart", "ReadRequestHead", "PreRoute", "PostRoute", "OriginSelected",
	"SendRequestHead", "ReadResponseHead", "SendResponseHead", "TxnClose",
}

// String returns the name of the constant.
func (p Point) String() string {
	if p < numPoints {
		return pointNames[p]
	}
	return fmt.Sprintf("Point(%d)", uint8(p))
}

// reversed: response points run from the last registered hook to the first.
func (p Point) reversed() bool { return p >= ReadResponseHead }

// A Verdict is what a hook wants next.
type Verdict uint8

const (
	// Continue: the next hook, then the next state.
	Continue Verdict = iota
	// Reply: answer with what Txn.Reply was given; no more hooks of this
	// point. Not possible at TxnClose, where it is ignored.
	Reply
	// Abort: end without an answer; the stream or connection is reset.
	Abort
)

// A Hook is called at a point of a transaction. It runs on the transaction's
// goroutine and may block: only this transaction waits, nothing of its request
// body is read meanwhile, and Txn.Context ends when the client leaves. It must
// not keep the Txn, or slices got from it, after it returns. A panic ends the
// transaction with 500, is counted and logged, and harms no other.
type Hook func(*Txn) Verdict

// Hooks are hooks by point. The zero value is empty and ready; all methods are
// safe for concurrent use. Registering is for setting up: it copies, so that
// running costs a pointer load.
type Hooks struct {
	mu    sync.Mutex
	table atomic.Pointer[hookTable]
	past  Point // of a transaction's own hooks: points below it have run
}

type hookTable [numPoints][]Hook

// On registers f at p, after those registered before. Transactions that have
// passed p do not see it. It fails for a nil hook, an unknown point, and, on a
// transaction's own Hooks, for a point that it has passed: such a hook would
// silently never run.
func (h *Hooks) On(p Point, f Hook) error {
	if f == nil {
		return errors.New("httpsm: nil hook: want a func(*Txn) Verdict")
	}
	if p >= numPoints {
		return fmt.Errorf("httpsm: unknown hook point %d: want %s to %s", p, TxnStart, TxnClose)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p < h.past {
		return fmt.Errorf("httpsm: hook at %s registered too late: this transaction has passed it", p)
	}
	next := &hookTable{}
	if old := h.table.Load(); old != nil {
		*next = *old
	}
	next[p] = append(slices.Clip(next[p]), f)
	h.table.Store(next)
	return nil
}

// at returns the hooks of p; nil-safe.
func (h *Hooks) at(p Point) []Hook {
	if h == nil {
		return nil
	}
	table := h.table.Load()
	if table == nil {
		return nil
	}
	return table[p]
}

// any reports whether there are hooks at all; nil-safe.
func (h *Hooks) any() bool { return h != nil && h.table.Load() != nil }

// passed notes that p has begun, for On.
func (h *Hooks) passed(p Point) {
	h.mu.Lock()
	h.past = max(h.past, p+1)
	h.mu.Unlock()
}

// clear empties h for another transaction.
func (h *Hooks) clear() {
	h.table.Store(nil)
	h.past = 0
}

type sessionHooksKey struct{}

var sessionHooksMu sync.Mutex // makes get-or-create of SessionHooks one step

// SessionHooks returns the hooks that run for every transaction of s, after the
// Machine's and before the transaction's own. They are made on the first call.
func SessionHooks(s *pitag.Session) *Hooks {
	sessionHooksMu.Lock()
	defer sessionHooksMu.Unlock()
	if h, ok := s.Value(sessionHooksKey{}).(*Hooks); ok {
		return h
	}
	h := new(Hooks)
	s.SetValue(sessionHooksKey{}, h)
	return h
}

// runHooks calls the hooks of p in scope order: machine, session, transaction;
// at response points the other way round. It returns the first verdict that is
// not Continue.
func (t *Txn) runHooks(p Point) Verdict {
	t.point = p
	if t.m.cfg.Hooks == nil && t.sessionHooks == nil && t.hooks == nil {
		return Continue
	}
	if t.hooks != nil {
		t.hooks.passed(p)
	}
	if p.reversed() {
		for _, h := range [...]*Hooks{t.hooks, t.sessionHooks, t.m.cfg.Hooks} {
			for _, f := range slices.Backward(h.at(p)) {
				if v := f(t); v != Continue {
					return v
				}
			}
		}
		return Continue
	}
	for _, h := range [...]*Hooks{t.m.cfg.Hooks, t.sessionHooks, t.hooks} {
		for _, f := range h.at(p) {
			if v := f(t); v != Continue {
				return v
			}
		}
	}
	return Continue
}

// hookEvent runs the hooks of p and turns a verdict into an event; evNone when
// all continued.
func (t *Txn) hookEvent(p Point) event {
	if t.inline {
		t.point = p
		if t.hooks != nil { // Route has just made them
			return event{kind: evWait}
		}
		return event{kind: evNone}
	}
	switch t.runHooks(p) {
	case Continue:
		return event{kind: evNone}
	case Reply:
		if t.local.status == 0 {
			t.local.err = errNoReply
		}
		if t.local.err != nil {
			return event{kind: evFault, err: fmt.Errorf("%s: %w", p, t.local.err)}
		}
		return event{kind: evHookReply, status: t.local.status}
	default:
		return event{kind: evHookAbort, err: fmt.Errorf("aborted by a hook at %s", p)}
	}
}

// A Transform rewrites a body as it passes. Transform appends to dst what src
// becomes and returns it; src is valid only during the call. last says that
// the body ends with src, which may be empty; it is called with last exactly
// once for a body that ends. An error ends the transaction. A transform is used
// by one goroutine.
type Transform interface {
	Transform(dst, src []byte, last bool) ([]byte, error)
}

// TransformFunc makes a function a Transform.
type TransformFunc func(dst, src []byte, last bool) ([]byte, error)

// Transform calls f.
func (f TransformFunc) Transform(dst, src []byte, last bool) ([]byte, error) {
	return f(dst, src, last)
}
