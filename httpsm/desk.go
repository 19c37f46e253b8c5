package httpsm

import (
	"sync"

	"github.com/h2gw/h2gw/internal/h1"
)

// A desk is what a transaction works with and need not keep while it waits for
// its origin: heads, what is written of the response, and notes. It is some 3 KiB,
// and a thousand transactions that wait would each have one in the far caches: who
// runs takes a desk that was used just now, and leaves it when it waits.
//
// It belongs to who runs the transaction. What hooks may ask for (Txn.Request) is
// kept: where there can be hooks the desk is. An HTTP/1.1 client's response depends
// on its request head, so such a transaction keeps it to its end, too; and one on a
// goroutine of its crew once bytes of the response have come.
type desk struct {
	req      RequestHead // the client's
	oreq     RequestHead // the origin's
	resp     ResponseHead
	respOut  []byte // to the client
	scratch  []byte
	respBody h1.BodyReader

	// Whether oreq and resp are of the transaction that has the desk, or of one that
	// had it before, perhaps of another client: hooks must not see those.
	oreqOwn, respOwn bool
}

var desks = sync.Pool{New: func() any { return new(desk) }}

// takeDesk gives t a desk if it has none. The request head on it is empty; the
// others are emptied before something is put into them.
func (t *Txn) takeDesk() {
	if t.desk == nil {
		t.desk = desks.Get().(*desk)
		t.req.Reset()
		t.oreqOwn, t.respOwn = false, false
	}
}

// leaveDesk gives it back. What it holds is of a usual size.
func (t *Txn) leaveDesk() {
	d := t.desk
	if d == nil {
		return
	}
	t.desk = nil
	d.respOut, d.scratch = usual(d.respOut), usual(d.scratch)
	desks.Put(d)
}

// mayBeHooked: there are hooks, or may be some by the time that t goes on.
func (t *Txn) mayBeHooked() bool {
	return t.hooks != nil || t.sessionHooks != nil || t.m.cfg.Hooks != nil
}
