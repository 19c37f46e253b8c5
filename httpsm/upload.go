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

// wholeBytes is how much has to be in one piece to be written from where it is:
// less is worth a copy, if that makes one write of several.
const wholeBytes = outBound / 2

// uploadGrace is how long the last bytes of a request may take to be written
// once its response is complete, before the origin connection is given up.
const uploadGrace = time.Second

// An upload is the request direction of an exchange: it reads the body of the
// client, and frames it anew for the origin. What arrived with the head goes
// out with the head; the rest has a goroutine of the crew, the request tunnel.
// What a virtual connection holds is used where it is, and consumed when it has
// been written: until then the client gets no credit for it.
type upload struct {
	readAll atomic.Bool // the client's body was read to its end; shared with the tunnel
	sent    atomic.Bool // ... and written to the origin; shared, too

	framing   h1.Framing
	chunked   bool // towards the origin
	body      h1.BodyReader
	transform Transform
	changed   []byte // output of transform
	total     int64  // body bytes received
	expects   bool   // the client waits for 100 Continue

	started, running bool // the tunnel; of the transaction's goroutine
	result           chan struct{}
	run              func() // tunnelRequestBody, made once

	// Shared with the tunnel.
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
	if f.Kind == h1.NoBody { // then nothing else of u is looked at
		u.readAll.Store(true)
		return
	}
	u.body.Reset(f, lim)
	if f.Kind == h1.Length && f.Length == 0 {
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
		data, n, ev := t.nextPiece(cl.view())
		if ev.kind != evNone {
			return ev
		}
		if n == 0 {
			break
		}
		if err := t.frameRequest(data, false); err != nil {
			return event{kind: evFault, err: err}
		}
		cl.use(n)
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

// nextPiece decodes the front of view: data is the body's, and n how much of view
// it takes.
func (t *Txn) nextPiece(view []byte) (data []byte, n int, ev event) {
	u := &t.up
	data, n, err := u.body.Next(view)
	if err != nil {
		return nil, 0, requestBad(err)
	}
	u.total += int64(len(data))
	if limit := t.m.cfg.Limits.RequestBody; limit > 0 && u.total > limit {
		return nil, 0, event{kind: evRequestBad, status: 413, err: errBodyTooLarge}
	}
	return data, n, event{kind: evNone}
}

// takeWhole takes what is in one large piece and needs no framing, and leaves it
// where it is: n is what the client's side is to be told of when it was written.
// It leaves the end of the body to takeBody.
func (t *Txn) takeWhole() (data []byte, n int, ev event) {
	u, cl := &t.up, t.cl
	if cl.vc == nil || u.chunked || u.transform != nil || u.framing.Kind != h1.Length {
		return nil, 0, event{kind: evNone}
	}
	view := cl.view()
	if len(view) < wholeBytes || u.total+int64(len(view)) >= u.framing.Length {
		return nil, 0, event{kind: evNone}
	}
	return t.nextPiece(view)
}

// takeFirst frames what is there of the body without waiting. A small request
// is then one write, and needs no tunnel.
func (t *Txn) takeFirst() event {
	if t.up.readAll.Load() {
		return event{kind: evNone}
	}
	return t.takeBody()
}

// hasMore: bytes are there that were not used.
func (c *client) hasMore() bool { return c.r < c.w || c.vc != nil && c.vc.Buffered() > 0 }

// view returns what is there of the client's bytes and was not used: what was
// read, or what a virtual connection holds in one piece, where it is.
func (c *client) view() []byte {
	if c.r < c.w || c.vc == nil {
		return c.buffered()
	}
	view, _ := c.vc.Peek() // an error is told to who waits
	return view
}

// use consumes n bytes of view.
func (c *client) use(n int) {
	switch {
	case n == 0:
	case c.r < c.w || c.vc == nil:
		c.discard(n)
	default:
		c.vc.Discard(n)
		c.bytesIn += uint64(n)
	}
}

// await blocks until view has grown.
func (c *client) await() error {
	if c.vc == nil {
		return c.fill()
	}
	_, err := c.vc.PeekWait()
	return err
}

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
	if u.run == nil {
		u.run = t.tunnelRequestBody
	}
	if t.cl.vc == nil {
		t.cl.enlarge()
	}
	t.crew.do(u.run)
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
	for {
		wrote, ev := t.sendBody()
		if ev.kind != evNone || t.up.readAll.Load() {
			return ev
		}
		if wrote >= wholeBytes {
			continue // there may be more
		}
		if ev := t.readBody(); ev.kind != evNone {
			return ev
		}
	}
}

// sendBody writes what is there of the body, or as much as goes into one write.
func (t *Txn) sendBody() (wrote int, ev event) {
	p, whole, ev := t.takeWhole()
	if whole == 0 && ev.kind == evNone {
		t.reqOut = t.reqOut[:0]
		ev = t.takeBody()
		p = t.reqOut
	}
	if ev.kind != evNone || len(p) == 0 {
		return 0, ev
	}
	t.ex.SetWriteDeadline(t.writeDeadline(time.Now()))
	if _, err := t.ex.Write(p); err != nil {
		if isTimeout(err) {
			return 0, event{kind: evResponseTimeout, err: err}
		}
		return 0, event{kind: evSendFailed, err: err}
	}
	t.cl.use(whole)
	return len(p), event{kind: evNone}
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
