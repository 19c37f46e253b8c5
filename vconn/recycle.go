package vconn

import "sync"

// pairs are connections that both owners have done with, the one used last first:
// a new one would be in the far caches, and is work for the garbage collector.
var pairs sync.Pool

// Recycle says that the owner of this end is done with it: no call on it is under
// way, here or elsewhere, and none will come, and its observer has been told of
// Closed, or is not going to be told of anything. When both owners have said so,
// once each, the memory is used for another connection. Nobody has to say it: whoever
// is not sure leaves the connection to the garbage collector.
//
// A connection that was reset, or that somebody has waited on, is not used again.
func (c *Conn) Recycle() {
	p := c.pair
	p.mu.Lock()
	c.done = true
	again := c.peer().done && p.clean()
	p.mu.Unlock()
	if again {
		pairs.Put(p)
	}
}

// clean reports whether p has ended as most do, and holds nothing. With the lock
// held.
func (p *pair) clean() bool {
	return p.bothClosed() && !p.untold && p.reset == nil && p.toEnd[active].clean() && p.toEnd[passive].clean()
}

func (h *half) clean() bool { return h.wait == nil && h.head == nil && h.orphan == nil }

// emptyPair returns one that is as new.
func emptyPair() *pair {
	p, ok := pairs.Get().(*pair)
	if !ok {
		return new(pair)
	}
	p.state = state{} // not the lock: who unlocked it last may not have returned
	return p
}
