package httpsm

import (
	"runtime"
	"testing"
)

// What the pool has dropped is not kept alive, and leaves the books when they
// would grow.
func TestARegistryForgetsWhatIsGone(t *testing.T) {
	m := New(Config{})
	defer m.literal.Close()
	kept := m.newTxn()
	kept.active.Store(true)
	for range 10_000 {
		m.newTxn()
		if len(m.registry.all)%500 == 0 {
			runtime.GC()
		}
	}
	if n := cap(m.registry.all); n > 4096 {
		t.Errorf("room for %d, and one is left", n)
	}
	if n := m.registry.count(); n != 1 || m.registry.empty() {
		t.Errorf("%d active, want 1", n)
	}
	kept.active.Store(false)
	if n := m.registry.count(); n != 0 || !m.registry.empty() {
		t.Errorf("%d active, want none", n)
	}
	runtime.KeepAlive(kept)
}

// One that has ended, or not begun, is not killed.
func TestOnlyWhatIsActiveIsKilled(t *testing.T) {
	m := New(Config{})
	defer m.literal.Close()
	txn := m.newTxn()
	txn.killActive()()
	if txn.killed.Load() {
		t.Error("killed, and it was not active")
	}
	m.register(txn)
	m.unregister(txn)
	txn.killActive()()
	if txn.killed.Load() {
		t.Error("killed, and it had ended")
	}
	m.killed.Store(true)
	m.register(txn)
	if !txn.killed.Load() {
		t.Error("began on a machine that was killed, and does not know")
	}
}
