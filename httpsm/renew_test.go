package httpsm

import (
	"errors"
	"testing"

	"github.com/h2gw/h2gw/pitag"
)

// However a transaction ended, the next one on the same Txn finds nothing of it.
func TestARenewedTxnRemembersNothing(t *testing.T) {
	m := New(Config{})
	defer m.literal.Close()
	for name, dirty := range map[string]func(*Txn){
		"on the crew": func(t *Txn) { t.waited = true },
		"inline":      func(t *Txn) { t.resumed = true },
		"left":        func(t *Txn) { t.leave() },
		"killed":      func(t *Txn) { t.kill() },
		"route asks for a context": func(t *Txn) {
			t.own.vc, t.cl = nil, &t.own
			t.watching = true // as if: a virtual connection is not watched
			t.Context()
		},
		"route replies": func(t *Txn) { t.Reply(200, []Field{{"A", "b"}}, []byte("c")) },
		"hooks and transforms": func(t *Txn) {
			t.waited = true
			t.Hooks().On(TxnClose, func(*Txn) Verdict { return Continue })
			t.RequestBody(TransformFunc(nil))
			t.ResponseBody(TransformFunc(nil))
		},
	} {
		txn := m.newTxn()
		txn.takeDesk()
		ctx := txn.ctx
		txn.rec.Session, txn.rec.Status, txn.rec.Err = &pitag.Session{}, 200, errors.New("x")
		txn.req.SetMethod("GET")
		txn.oreq.SetMethod("GET")
		txn.resp.SetStatus(200, "")
		txn.respOut = make([]byte, 4*outBound)
		txn.hist.add(StateRoute, evRouted, 1)
		txn.reached.Store(true)
		txn.up.readAll.Store(true)
		dirty(txn)
		txn.renew()
		d := txn.desk
		txn.leaveDesk()
		txn.desk = d // whether or not the pool has kept it
		d.req.Reset()
		switch {
		case txn.passage != passage{} || txn.rec != Record{}:
			t.Errorf("%s: %+v, %+v", name, txn.passage, txn.rec)
		case txn.reached.Load(), txn.gone.Load(), txn.killed.Load(), txn.hist.n != 0, txn.up.readAll.Load(), txn.up.transform != nil:
			t.Errorf("%s: it remembers how far it was", name)
		case txn.req.Method() != "", txn.Response().Status() != 0, txn.OriginRequest().Method() != "", txn.local.status != 0, txn.local.body != nil, txn.local.fields.Len() != 0:
			t.Errorf("%s: it remembers a message", name)
		case cap(txn.respOut) != 0:
			t.Errorf("%s: it keeps %d bytes", name, cap(txn.respOut))
		case txn.ctx.err != nil, txn.ctx.used, name == "route asks for a context" && txn.ctx == ctx:
			t.Errorf("%s: its context is that of the last", name)
		case txn.ownHooks.table.Load() != nil:
			t.Errorf("%s: it has hooks", name)
		}
	}
}
