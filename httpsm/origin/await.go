package origin

// A Resumer goes on with a transaction that has waited for its origin without
// a goroutine of its own.
type Resumer interface {
	// Resume is called once for each Await that returned true: when Buffered
	// has grown, or when the connection ended, failed or was aborted, or the
	// read deadline passed; the next Fill then says at once which. It runs on
	// a goroutine of the connection, with no lock held, and must not block.
	// later may be nil.
	//
	// From the call on the exchange is the callee's again: it calls Release,
	// or Await again, or has another goroutine go on with the blocking
	// methods (NetConn is one), before or after Resume returns. A panic ends
	// the process.
	Resume(later Later)
}

// A Later is somebody who resumes several transactions in a row. What they have
// in common to do can be left to it. It is for the goroutine that got it, and for
// the time of the call. What is a Later here is one to package vconn, too.
type Later interface {
	// Later has f.Flush called, once for each call of Later, on the same
	// goroutine, as soon as those at hand are resumed, which is within
	// microseconds. Flush must not block.
	Later(f interface{ Flush() })
}

// An Awaitable is an exchange that can be used without blocking. Nothing
// obliges its owner to: at any time before Await, and from Resume on, the
// blocking methods may be used instead, by any one goroutine.
type Awaitable interface {
	Exchange
	// TryWrite sends what the connection takes at once: n < len(p) with a nil
	// error means that Write has to send the rest. It keeps no reference to p,
	// and ignores the write deadline.
	TryWrite(p []byte) (n int, err error)
	// Await has r.Resume called when there is something to see. Until then
	// the caller may use nothing of the exchange but Abort and the deadlines.
	// r may be resumed before Await returns. It returns false, and has done
	// nothing, where the connection cannot be waited for in this way, or there
	// is nothing to wait for (it was aborted, the deadline has passed): then
	// Fill is to be called.
	Await(r Resumer) bool
}
