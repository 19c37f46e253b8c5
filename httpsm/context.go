package httpsm

import (
	"context"
	"sync"
	"time"
)

// A txnContext is the context of a transaction: it ends when the client leaves
// or the machine is shut down. It stays with a pooled Txn and is made anew only
// after somebody has asked for its channel, so that a transaction that never
// waits for a connection allocates none.
type txnContext struct {
	mu    sync.Mutex
	done  chan struct{}
	err   error
	used  bool // somebody may still look at it
	waits *Txn // whose connectWatch is to be armed by who is about to wait; may be nil
	lane  int  // of the transaction's session; see origin.Endpoint.Get
}

// Lane is for package origin.
func (c *txnContext) Lane() int { return c.lane }

func (c *txnContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *txnContext) Value(any) any               { return nil }

// Done is asked for by those that are about to wait, and by a goroutine that
// package context begins for each connect and that may come late: when another
// connect is under way, or the transaction is over.
func (c *txnContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.used = true
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	if c.waits != nil {
		c.waits.armed.arm(c.waits)
		c.waits = nil
	}
	return c.done
}

func (c *txnContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *txnContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = context.Canceled
	if c.done != nil {
		close(c.done)
	}
}

// reusable: nobody outside has it. It is asked when the transaction has ended:
// who has got it since has it from somebody for whom used was set.
func (c *txnContext) reusable() bool { return !c.used }
