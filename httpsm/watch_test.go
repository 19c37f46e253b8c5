package httpsm

import (
	"testing"
	"testing/synctest"
)

// Package context has a goroutine for each connect that asks the transaction's
// context for its channel, and may come late: as the next connect begins, or when
// that has brought a connection. Then nobody begins to watch the client any more,
// who would read what the next request is. (A race, for the detector, if
// the watch were armed without the lock.)
func TestWhoAsksTheContextLateBeginsNoWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that no connect takes until a watch begins
		for range 2000 {
			txn := &Txn{cl: new(client), ctx: new(txnContext)}
			txn.up.readAll.Store(true)
			late := make(chan struct{})
			go func() {
				txn.ctx.Done()
				close(late)
			}()
			txn.armConnectWatch()
			txn.disarmConnectWatch()
			<-late
			if txn.armed != (connectWatch{}) {
				t.Fatal("a watch is armed, and nobody waits")
			}
		}
	})
}
