package httpsm

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/h2gw/h2gw/internal/h1"
)

// A tunnel is what a transaction becomes when its origin has switched
// protocols: bytes both ways, of which nothing is known. Each direction ends by
// itself (an end of one side's sending becomes one towards the other), and a
// reset of one side is a reset of the other.
//
// The transaction's goroutine carries from the origin to the client; one more,
// joined before the transaction goes on, from the client to the origin. Both
// block when their receiver does not read, and then do not read either.
type tunnel struct {
	t      *Txn
	origin net.Conn

	running bool          // the client's direction; of the transaction's goroutine
	result  chan struct{} // it has ended

	fail    atomic.Pointer[event] // what broke it first; nil: nothing
	ended   atomic.Bool           // stop: what breaks from here on is its doing
	began   time.Time
	moved   atomic.Int64 // when a byte last did, since began
	writing atomic.Bool  // to the client

	mu    sync.Mutex // guards what follows; held while the timer's function runs
	over  bool       // the Txn may be another's already
	timer *time.Timer
	taken uint64 // of client.consumed, when last looked at

	first atomic.Int32 // who ended first: clientEnded or originEnded

	small [smallBuffer]byte // between origin and client, while it is quiet
}

const (
	clientEnded = 1 + iota
	originEnded
)

var (
	errTunnelIdle  = errors.New("no byte passed the tunnel in either direction for too long")
	errTunnelPanic = errors.New("panic")
)

// runTunnel passes the 101 on, and then everything, until both directions have
// ended or one broke.
func (t *Txn) runTunnel() event {
	t.stopWatch()
	t.respOut = h1.AppendResponseHead(t.respOut[:0], &t.resp)
	t.headSent = true
	t.rec.Status = 101
	if t.upgrade.connect {
		t.rec.Status = 200 // as RFC 8441 section 5 has it
	}
	t.headBytes = int64(t.cl.bytesOut) + int64(len(t.respOut))
	early := t.ex.Buffered() // what the origin sent behind its head
	t.respOut = append(t.respOut, early...)
	t.bodyOut = int64(len(early))
	t.ex.Discard(len(early))

	tn := &tunnel{t: t, origin: t.ex.NetConn(), result: make(chan struct{}, 1), began: time.Now()}
	t.tun.Store(tn)
	defer tn.stop()
	t.tick()
	if ev := t.flush(); ev.kind != evNone {
		return ev
	}
	tn.watch(t.m.cfg.Timeouts.TunnelIdle)
	tn.running = true
	go tn.carryUp()
	if ev := tn.down(); ev.kind != evNone {
		return ev
	}
	<-tn.result
	tn.running = false
	t.tick()
	return tn.settle()
}

// settle says how a tunnel ended whose origin has ended in order. If the client
// leaves after that, or still sends what nobody takes any more, it has lost
// nothing.
func (tn *tunnel) settle() event {
	f := tn.fail.Load()
	switch {
	case tn.t.killed.Load():
		return event{kind: evShutdown, err: errShutdown}
	case f == nil, f.kind == evOriginIncomplete, f.kind == evClientGone && tn.t.cl.hasLeft():
		return event{kind: evDone}
	}
	return *f
}

// stop ends what is left of the tunnel, and waits for its goroutine.
func (tn *tunnel) stop() {
	tn.mu.Lock()
	tn.over = true
	if tn.timer != nil {
		tn.timer.Stop()
	}
	tn.mu.Unlock()
	if tn.running {
		tn.ended.Store(true)
		tn.t.abortOrigin()
		tn.t.cl.interrupt()
		<-tn.result
		tn.running = false
		tn.t.cl.resume()
	}
}

// down carries from the origin to the client until the origin has ended.
func (tn *tunnel) down() event {
	t, buf := tn.t, tn.small[:]
	var big *[bigBuffer]byte
	defer func() {
		if big != nil {
			bigBuffers.Put(big)
		}
	}()
	for {
		n, err := tn.origin.Read(buf)
		if n > 0 {
			tn.touch()
			tn.writing.Store(true)
			if ev := t.writeBody(buf[:n], int64(n)); ev.kind != evNone {
				return ev
			}
			tn.writing.Store(false)
			tn.touch()
		}
		switch {
		case err == io.EOF:
			tn.first.CompareAndSwap(0, originEnded)
			return t.endClient()
		case err != nil:
			return event{kind: evOriginIncomplete, err: err}
		case n == len(buf) && big == nil: // much is coming: fewer, larger reads
			big = bigBuffers.Get().(*[bigBuffer]byte)
			buf = big[:]
		case n <= smallBuffer/2 && big != nil:
			bigBuffers.Put(big)
			big, buf = nil, tn.small[:]
		}
	}
}

// endClient passes an end of the origin's on. A connection that cannot be ended
// one way is ended both ways.
func (t *Txn) endClient() event {
	half, ok := t.cl.conn.(interface{ CloseWrite() error })
	if !ok {
		return event{kind: evDone}
	}
	if d := t.m.cfg.Timeouts.WriteStall; d > 0 { // TLS writes an alert
		t.cl.conn.SetWriteDeadline(time.Now().Add(d))
	}
	half.CloseWrite() // of a client that is gone: the other direction tells
	return event{kind: evNone}
}

// carryUp is the goroutine of the client's direction. It owns the client's
// reading side until it has sent its result.
func (tn *tunnel) carryUp() {
	defer func() {
		if p := recover(); p != nil {
			t := tn.t
			t.m.panics.Add(1)
			t.identify(t.m.cfg.Log.Error()).Str("stack", string(debug.Stack())).Msgf("httpsm: a tunnel panicked: %v", p)
			tn.broke(event{kind: evFault, err: fmt.Errorf("%w: %v", errTunnelPanic, p)})
		}
		tn.result <- struct{}{}
	}()
	if ev := tn.up(); ev.kind != evNone {
		tn.broke(ev)
	}
}

// up carries from the client to the origin until the client has ended. What the
// client sent early, behind its request, is first: it was held back until now.
func (tn *tunnel) up() event {
	t, cl := tn.t, tn.t.cl
	for {
		if b := cl.buffered(); len(b) > 0 {
			n, err := tn.origin.Write(b)
			t.up.total += int64(n)
			if err != nil {
				return event{kind: evOriginIncomplete, err: err}
			}
			tn.touch()
			cl.discard(n)
			if n <= smallBuffer/2 {
				cl.shrink()
			}
		}
		if err := cl.fill(); err == io.EOF {
			break
		} else if err != nil {
			return event{kind: evClientGone, err: err}
		}
		tn.touch()
		if cl.w == len(cl.in) {
			cl.enlarge()
		}
	}
	tn.first.CompareAndSwap(0, clientEnded)
	if half, ok := tn.origin.(interface{ CloseWrite() error }); ok {
		half.CloseWrite() // of an origin that is gone: the other direction tells
		return event{kind: evNone}
	}
	return event{kind: evDone} // cannot be ended one way
}

// broke notes what broke the client's direction, and ends the other.
func (tn *tunnel) broke(ev event) {
	t := tn.t
	if tn.ended.Load() {
		return
	}
	if t.gone.Load() {
		ev = event{kind: evClientGone, err: errConnClosed} // which aborted the origin
	}
	tn.fail.CompareAndSwap(nil, &ev)
	if ev.kind != evClientGone {
		t.abortOrigin()
		return
	}
	t.leave()
	if t.cl.vc == nil {
		t.cl.breakOff()
	}
}

// broken is what broke the client's direction, or nil. tn may be nil.
func (tn *tunnel) broken() *event {
	if tn == nil {
		return nil
	}
	return tn.fail.Load()
}

// touch notes that a byte moved.
func (tn *tunnel) touch() { tn.moved.Store(int64(time.Since(tn.began))) }

// watch begins to count idle time; 0: never. Moving bytes touch no timer: it
// looks again when it fires too soon.
func (tn *tunnel) watch(idle time.Duration) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if idle <= 0 {
		return
	}
	tn.timer = time.AfterFunc(idle, func() {
		tn.mu.Lock()
		defer tn.mu.Unlock()
		if !tn.over {
			tn.checkIdle(idle)
		}
	})
}

// checkIdle ends both directions, wherever they wait, if nothing moved. With mu
// held.
func (tn *tunnel) checkIdle(idle time.Duration) {
	t := tn.t
	if taken := t.cl.consumed(); taken != tn.taken {
		tn.taken = taken
		if tn.writing.Load() { // what the client takes is slow, not idle
			tn.touch()
		}
	}
	if left := idle - (time.Since(tn.began) - time.Duration(tn.moved.Load())); left > 0 {
		tn.timer.Reset(left)
		return
	}
	tn.fail.CompareAndSwap(nil, &event{kind: evTunnelIdle, err: errTunnelIdle})
	t.abortOrigin()
	if t.cl.vc != nil {
		t.cl.vc.Reset(codeCancel)
		return
	}
	t.cl.breakOff()
}
