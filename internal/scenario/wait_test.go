package scenario

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// patience is how long a step waits for what it wants. Nothing passes because
// of it: a case that runs into it fails. A busy machine may need much of it.
const patience = time.Minute

// A monitor is a lock that can be waited on with a bound.
type monitor struct {
	mu   sync.Mutex
	cond sync.Cond
}

func newMonitor() *monitor {
	m := new(monitor)
	m.cond.L = &m.mu
	return m
}

func (m *monitor) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	m.cond.Broadcast()
}

// await waits until ok, called with the lock held, is true, and reports whether
// it became so in time.
func (m *monitor) await(ok func() bool) bool {
	late := false
	t := time.AfterFunc(patience, func() { m.change(func() { late = true }) })
	defer t.Stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	for !ok() {
		if late {
			return false
		}
		m.cond.Wait()
	}
	return true
}

// A probe is the testing.TB of a case's helpers: it keeps what they complain of,
// so that a case that is known to fail can do so without failing the test.
type probe struct {
	testing.TB
	mu     sync.Mutex
	faults []string
}

func (p *probe) Helper() {}

func (p *probe) Errorf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

func (p *probe) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	runtime.Goexit()
}

func (p *probe) fault(err error) {
	if err != nil {
		p.Errorf("%v", err)
	}
}

func (p *probe) list() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.faults...)
}
