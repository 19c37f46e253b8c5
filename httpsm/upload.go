package httpsm

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/h2gw/h2gw/internal/h1"
)

// outBound is how much is collected before it is written, to either side.
const outBound = 32 << 10

// uploadGrace is how long the last bytes of a request may take to be written
// once its response is complete, before the origin connection is given up.
const uploadGrace = time.Second

// An upload is the request direction of an exchange: it reads the body of the
// client, and frames it anew for the origin. What arrived with the head goes
// out with the head; the rest has a goroutine of its own, the request tunnel.
type upload struct {
	framing   h1.Framing
	chunked   bool // towards the origin
	body      h1.BodyReader
	transform Transform
	changed   []byte // output of transform
	total     int64  // body bytes received
	expects   bool   // the client waits for 100 Continue

	started, running bool // the tunnel; of the transaction's goroutine
	result           chan struct{}

	// Shared with the tunnel.
	readAll atomic.Bool  // the client's body was read to its end
	sent    atomic.Bool  // ... and written to the origin
	ended   atomic.Bool  // nothing more will be written
	endedAt atomic.Int64 // when; Unix nanoseconds
	fail    atomic.Pointer[event]

	stopping    atomic.Bool  // stopUpload wants the tunnel to end
	answered    atomic.Bool  // the final response has begun
	continuedAt atomic.Int64 // when the origin's 100 Continue was passed on; Unix nanoseconds

	pace pace
}

func (u *upload) begin(f h1.Framing, lim h1.Limits) {
	u.framing = f
	u.body.Reset(f, lim)
	if f.Kind == h1.NoBody || f.Kind == h1.Length && f.Length == 0 {
		u.readAll.Store(true)
	}
}

func (u *upload) reset() {
	u.framing, u.chunked, u.transform, u.total, u.expects = h1.Framing{}, false, nil, 0, false
	u.changed = usual(u.changed)
	u.started, u.running = false, false
	unset(&u.readAll)
	unset(&u.sent)
	unset(&u.ended)
	unset(&u.stopping)
	unset(&u.answered)
	if u.continuedAt.Load() != 0 {
		u.continuedAt.Store(0)
	}
	u.pace = pace{}
	if u.fail.Load() != nil {
		u.fail.Store(nil)
	}
}

// over notes that nothing more will be written to the origin.
func (u *upload) over(now time.Time, sent bool) {
	u.endedAt.Store(now.UnixNano())
	u.sent.Store(sent)
	u.ended.Store(true)
}

// hasBody: there is something to be framed, if only to have no bytes.
func (u *upload) hasBody() bool { return u.framing.Kind != h1.NoBody }

// takeBody frames what is buffered of the request body into reqOut, until that
// is full. readAll is set before the last bytes can leave: whoever sees the
// response to them must find it set.
func (t *Txn) takeBody() event {
	u, cl := &t.up, t.cl
	for !u.body.Done() && len(t.reqOut) < outBound {
		data, n, err := u.body.Next(cl.buffered())
		if err != nil {
			return requestBad(err)
		}
		if n == 0 {
			break
		}
		if u.total += int64(len(data)); t.m.cfg.Limits.RequestBody > 0 && u.total > t.m.cfg.Limits.RequestBody {
			return event{kind: evRequestBad, status: 413, err: errBodyTooLarge}
		}
		if err := t.frameRequest(data, false); err != nil {
			return event{kind: evFault, err: err}
		}
		cl.discard(n)
	}
	if !u.body.Done() || u.readAll.Load() {
		return event{kind: evNone}
	}
	if cl.vc != nil && cl.hasMore() {
		return event{kind: evRequestBad, status: 400, err: errTrailingBytes}
	}
	if err := t.frameRequest(nil, true); err != nil {
		return event{kind: evFault, err: err}
	}
	u.readAll.Store(true)
	return event{kind: evNone}
}

// takeFirst frames what is there of the body without waiting. A small request
// is then one write, and needs no tunnel.
func (t *Txn) takeFirst() event {
	for !t.up.readAll.Load() {
		if ev := t.takeBody(); ev.kind != evNone {
			return ev
		}
		if vc := t.cl.vc; vc == nil || vc.Buffered() == 0 || len(t.reqOut) >= outBound {
			break
		}
		if err := t.cl.fill(); err != nil {
			return event{kind: evClientGone, err: err}
		}
	}
	return event{kind: evNone}
}

// hasMore: bytes are there that were not used.
func (c *client) hasMore() bool { return c.r < c.w || c.vc != nil && c.vc.Buffered() > 0 }

// frameRequest appends body bytes to reqOut in the origin's framing.
func (t *Txn) frameRequest(data []byte, last bool) error {
	u := &t.up
	if u.transform != nil {
		var err error
		if u.changed, err = u.transform.Transform(u.changed[:0], data, last); err != nil {
			return fmt.Errorf("request body transform: %w", err)
		}
		data = u.changed
	}
	if !u.chunked {
		t.reqOut = append(t.reqOut, data...)
		return nil
	}
	if len(data) > 0 {
		t.reqOut = h1.AppendChunk(t.reqOut, data)
	}
	if last {
		var trailers *h1.Fields
		if u.framing.Kind == h1.Chunked {
			trailers = u.body.Trailers()
			if t.explain != nil {
				forbidden(t.explain.notes.Request, u.body.Dropped())
			}
		}
		t.reqOut = h1.AppendLastChunk(t.reqOut, trailers)
	}
	return nil
}

func (t *Txn) startUpload() {
	u := &t.up
	u.started, u.running = true, true
	if u.result == nil {
		u.result = make(chan struct{}, 1)
	}
	t.cl.enlarge()
	go t.tunnelRequestBody()
}

// tunnelRequestBody is the request tunnel. It owns the client's reading side,
// the body reader and reqOut until it has sent its result.
func (t *Txn) tunnelRequestBody() {
	u := &t.up
	defer func() {
		if p := recover(); p != nil {
			t.m.panics.Add(1)
			t.identify(t.m.cfg.Log.Error()).Str("stack", string(debug.Stack())).Msgf("httpsm: a request tunnel panicked: %v", p)
			t.failUpload(event{kind: evFault, err: fmt.Errorf("panic: %v", p)})
		}
		u.result <- struct{}{}
	}()
	ev := t.forwardBody()
	switch ev.kind {
	case evNone:
		u.over(time.Now(), true)
		t.wakeReader()
	case evSendFailed:
		// The origin stopped reading. It may have answered early: let the
		// response direction find out.
		u.over(time.Now(), false)
		t.wakeReader()
	default:
		t.failUpload(ev)
	}
}

// failUpload makes sure that the origin never sees a complete request.
func (t *Txn) failUpload(ev event) {
	t.up.fail.CompareAndSwap(nil, &ev)
	t.up.over(time.Now(), false)
	t.abortOrigin()
}

// wakeReader has the response direction, which waits without a deadline while a
// request is being sent, look at the clock again.
func (t *Txn) wakeReader() { t.ex.SetReadDeadline(time.Now().Add(watchAfter)) }

func (t *Txn) forwardBody() event {
	u := &t.up
	for {
		t.reqOut = t.reqOut[:0]
		if ev := t.takeBody(); ev.kind != evNone {
			return ev
		}
		if len(t.reqOut) > 0 {
			t.ex.SetWriteDeadline(t.writeDeadline(time.Now()))
			if _, err := t.ex.Write(t.reqOut); err != nil {
				if isTimeout(err) {
					return event{kind: evResponseTimeout, err: err}
				}
				return event{kind: evSendFailed, err: err}
			}
		}
		if u.readAll.Load() {
			return event{kind: evNone}
		}
		if len(t.reqOut) >= outBound {
			continue
		}
		if ev := t.readBody(); ev.kind != evNone {
			return ev
		}
	}
}

// writeDeadline is when an origin that does not read has had its time: it is
// held to the bound for not answering.
func (t *Txn) writeDeadline(now time.Time) time.Time {
	if d := t.m.cfg.Timeouts.ResponseHead; d > 0 {
		return now.Add(d)
	}
	return time.Time{}
}

// stopUpload ends the request tunnel, whatever it waits for, and joins it.
func (t *Txn) stopUpload() {
	t.up.stopping.Store(true) // first: see readBody
	t.cl.interrupt()
	t.abortOrigin()
	t.joinUpload()
	t.cl.resume()
}

func (t *Txn) joinUpload() {
	<-t.up.result
	t.up.running = false
	t.cl.shrink()
}

// settleUpload is called when the response is complete. A request that the
// client has finished is given a moment to be written out, so that the
// connection can be used again; one that it has not is stopped (protocol.md 13).
func (t *Txn) settleUpload() {
	if !t.up.running {
		return
	}
	if !t.up.readAll.Load() {
		t.stopUpload()
		return
	}
	t.ex.SetWriteDeadline(time.Now().Add(uploadGrace))
	t.joinUpload()
}
