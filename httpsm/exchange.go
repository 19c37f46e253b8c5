package httpsm

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/h1"
)

// A responseFraming is how the client finds the end of the response.
type responseFraming struct {
	kind h1.BodyKind // NoBody, Length, Chunked, UntilClose (HTTP/1.0 clients)
	skip bool        // the origin sends a body that the client must not get
}

// readResponseHead reads until the final head, passing on interim ones.
func (t *Txn) readResponseHead() event {
	parse := h1.ParseResponseHead
	if t.since.IsZero() {
		if !t.inline { // where writing did not wait
			t.tick()
		}
		t.since = t.now
	}
	for {
		if b := t.ex.Buffered(); len(b) > 0 {
			t.gotBytes = true
			n, err := parse(&t.resp, b, t.m.responseLimits)
			parse = h1.ContinueResponseHead
			if err != nil {
				return event{kind: evResponseBad, err: err}
			}
			if n > 0 && t.inline && t.resp.Status() < 200 {
				return event{kind: evWait} // with the head still there
			}
			if n > 0 {
				t.ex.Discard(n)
				t.respOwn = true
				if status := t.resp.Status(); status >= 200 {
					if t.upgrade.connect && status < 300 {
						t.rec.OriginStatus = status
						return event{kind: evResponseBad, err: errNotSwitched}
					}
					t.respDir = dirBody
					return event{kind: evResponseHead}
				}
				if ev := t.interim(); ev.kind != evNone {
					return ev
				}
				parse = h1.ParseResponseHead
				t.since = t.tick()
				continue
			}
		}
		if t.inline {
			return event{kind: evWait}
		}
		if !t.gotBytes && t.cl.vc != nil && t.explain == nil && !t.mayBeHooked() {
			t.leaveDesk()
		}
		err := t.fillOrigin(t.since, t.m.cfg.Timeouts.ResponseHead)
		t.takeDesk()
		if err != nil {
			return t.originFailed(err)
		}
	}
}

// interim passes a 1xx head on (RFC 9110 section 15.2), except to HTTP/1.0
// clients, who do not know them. Their number is bounded.
func (t *Txn) interim() event {
	if t.interims++; t.interims > maxInterim {
		return event{kind: evResponseBad, err: errTooManyInterim}
	}
	if t.resp.Status() == 101 {
		return t.switchProtocols()
	}
	// An interim response has no body (RFC 9112 section 6): one that announces
	// some would have the origin's next response begin somewhere else than we
	// think.
	if _, err := h1.ResponseFraming(&t.resp, t.asked.method); err != nil {
		return event{kind: evResponseBad, err: err}
	}
	if t.explain != nil {
		t.explain.interim(t)
	}
	if t.asked.http10 {
		return event{kind: evNone}
	}
	if t.resp.Status() == 100 {
		t.up.continuedAt.Store(time.Now().UnixNano())
	}
	if err := h1.RemoveHopByHop(&t.resp.Fields, false); err != nil {
		return event{kind: evResponseBad, err: err}
	}
	t.resp.Fields.AddLine(t.m.via.response11)
	t.resp.Fields.DelNames(namesLength)
	t.respOut = h1.AppendResponseHead(t.respOut[:0], &t.resp)
	return t.flush()
}

// originFailed sorts why an exchange broke off. Who aborted it, if it was us,
// is found by attribute.
func (t *Txn) originFailed(err error) event {
	t.respDir = dirFailed
	if ev := t.sharedFailed(err); ev.kind != evNone {
		return ev
	}
	switch {
	case err == errOriginWait:
		return event{kind: evResponseTimeout, err: err}
	case errors.Is(err, origin.ErrBufferFull):
		return event{kind: evResponseBad, err: err}
	case t.gotBytes:
		return event{kind: evOriginIncomplete, err: err}
	}
	return event{kind: evOriginClosed, err: err}
}

// fillOrigin waits for more from the origin, at most limit after from. While
// the request is still being sent there is no bound: a slow upload is not the
// origin's fault. An HTTP/1.1 client is watched for leaving once the origin has
// been slow.
func (t *Txn) fillOrigin(from time.Time, limit time.Duration) error {
	for {
		var deadline time.Time
		sending := t.up.running && !t.up.ended.Load()
		if !sending {
			deadline = t.originDeadline(from, limit)
		}
		until := deadline
		if t.canWatch() {
			if soon := t.now.Add(watchAfter); until.IsZero() || soon.Before(until) {
				until = soon
			}
		}
		t.ex.SetReadDeadline(until)
		if sending && t.up.ended.Load() {
			continue // it ended just now, and its wake-up is overwritten
		}
		err := t.ex.Fill()
		if err == nil || !isTimeout(err) {
			t.tick()
			return err
		}
		t.tick()
		switch {
		case t.up.fail.Load() != nil:
			return err
		case !deadline.IsZero() && !t.now.Before(deadline):
			return errOriginWait
		case t.canWatch():
			t.startWatch()
		}
	}
}

func (t *Txn) originDeadline(from time.Time, limit time.Duration) time.Time {
	if limit <= 0 {
		return time.Time{}
	}
	if t.up.started {
		if sent := time.Unix(0, t.up.endedAt.Load()); sent.After(from) {
			from = sent
		}
	}
	return from.Add(limit)
}

// sendResponse passes the final response on, head and body. Where it returns
// evWait it is called again, and goes on.
func (t *Txn) sendResponse() event {
	if !t.prepared {
		if ev := t.prepareResponse(); ev.kind != evNone {
			return ev
		}
		t.respOut = h1.AppendResponseHead(t.respOut[:0], &t.resp)
		t.headSent, t.prepared = true, true
		if t.up.running {
			t.up.answered.Store(true)
		}
		t.rec.Status = t.resp.Status()
		t.headBytes = int64(t.cl.bytesOut) + int64(len(t.respOut))
	}
	if t.isWhole() {
		return t.passWhole()
	}
	if !t.out.skip && t.respDir != dirDone {
		if ev := t.tunnelResponseBody(); ev.kind != evNone {
			return ev
		}
		t.respDir = dirDone
	}
	if t.up.running && !t.up.ended.Load() {
		if ev := t.flush(); ev.kind != evNone {
			return ev // the client is not to wait for its own upload
		}
	}
	// The origin connection is given back before the last bytes are written:
	// the client's next request may come before we run again.
	t.settleUpload()
	t.noteKeepAlive()
	t.dropOrigin(t.originReusable())
	t.keep = t.keep && t.up.readAll.Load()
	t.respDir = dirDone
	if ev := t.flushLast(); ev.kind != evNone {
		return ev
	}
	return event{kind: evDone}
}

// prepareResponse runs the hooks of the response head, and makes it the
// client's.
func (t *Txn) prepareResponse() event {
	t.rec.OriginStatus = t.resp.Status()
	if t.explain != nil {
		t.explain.before.CopyFrom(&t.resp.Fields)
	}
	framing, err := h1.ResponseFraming(&t.resp, t.asked.method)
	if err != nil {
		return event{kind: evResponseBad, err: err}
	}
	t.respBody.Reset(framing, t.m.responseLimits)
	t.framed = true
	t.originKeep = h1.ResponseKeepAlive(&t.resp) && framing.Kind != h1.UntilClose
	if t.shared != nil && !t.originKeep {
		t.shared.Last()
	}
	if ev := t.hookEvent(ReadResponseHead); ev.kind != evNone {
		return ev
	}
	if err := t.rewriteResponse(); err != nil {
		return event{kind: evResponseBad, err: err}
	}
	if ev := t.hookEvent(SendResponseHead); ev.kind != evNone {
		return ev
	}
	if err := t.frameResponse(framing); err != nil {
		return event{kind: evFault, err: err}
	}
	if t.explain != nil {
		t.explain.response(t, framing)
	}
	return event{kind: evNone}
}

// frameResponse chooses the client's framing, whatever hooks did to the fields.
func (t *Txn) frameResponse(origin h1.Framing) error {
	f, status := &t.resp.Fields, t.resp.Status()
	f.DelNames(namesCoding)
	bodyless := t.asked.head || status == 204 || status == 304
	switch {
	case bodyless || origin.Kind == h1.NoBody:
		t.out = responseFraming{kind: h1.NoBody, skip: origin.Kind != h1.NoBody}
		if status == 204 {
			f.DelNames(namesLength) // RFC 9110 section 8.6
		} else if !bodyless {
			// A hook made a response with a body out of one without.
			if err := t.setLength(f, 0); err != nil {
				return err
			}
		}
		t.transform = nil
	case origin.Kind == h1.Length && t.transform == nil:
		t.out = responseFraming{kind: h1.Length}
		if err := t.setLength(f, origin.Length); err != nil {
			return err
		}
	case t.asked.http10:
		t.out = responseFraming{kind: h1.UntilClose}
		f.DelNames(namesLength)
		t.keep = false
	default:
		t.out = responseFraming{kind: h1.Chunked}
		f.DelNames(namesLength)
		f.AddLine(lineChunked)
	}
	t.frameConnection()
	return nil
}

// frameConnection says on an HTTP/1.1 connection whether it stays open. On a
// virtual one there is nothing to say.
func (t *Txn) frameConnection() {
	t.resp.Fields.DelNames(namesConnection)
	if t.cl.vc != nil {
		return
	}
	// A response that comes before its request has ended: the client may be
	// asked to stop sending only by closing (RFC 9112 section 9.6).
	t.keep = t.keep && t.up.readAll.Load() && !t.m.draining.Load() && !t.m.aged(t)
	switch {
	case !t.keep:
		t.resp.Fields.AddLine(lineClose)
	case t.req.Minor() == 0:
		t.resp.Fields.AddLine(lineKeepAlive)
	}
}

// tunnelResponseBody passes body and trailers on: an origin byte is read only
// when the client's side has room for it. What is there goes out in one write
// with what is in front of it, and before anything is waited for.
func (t *Txn) tunnelResponseBody() event {
	for !t.respBody.Done() {
		if t.inline && len(t.respOut)+len(t.ex.Buffered()) > outBound {
			return event{kind: evWait}
		}
		data, n, err := t.respBody.Next(t.ex.Buffered())
		if err != nil {
			return event{kind: evResponseBad, err: err}
		}
		if n > 0 {
			if ev := t.putBody(data, false); ev.kind != evNone {
				return ev
			}
			t.ex.Discard(n)
			continue
		}
		if t.respBody.Done() {
			break
		}
		if t.inline {
			return event{kind: evWait}
		}
		if ev := t.flush(); ev.kind != evNone {
			return ev
		}
		if ev := t.awaitRoom(); ev.kind != evNone {
			return ev
		}
		// From now: what was written before may have waited for the client.
		if err := t.fillOrigin(t.tick(), t.m.cfg.Timeouts.ResponseBodyIdle); err != nil {
			if err == io.EOF && t.respBody.EOF() == nil {
				break // the end, where closing is the end
			}
			return t.originFailed(err)
		}
	}
	return t.endBody()
}

// putBody appends body bytes to respOut in the client's framing, or writes them
// as they are when they are many.
func (t *Txn) putBody(data []byte, last bool) event {
	if t.transform != nil {
		var err error
		if t.transBytes, err = t.transform.Transform(t.transBytes[:0], data, last); err != nil {
			return event{kind: evFault, err: fmt.Errorf("response body transform: %w", err)}
		}
		data = t.transBytes
	}
	if len(data) == 0 {
		return event{kind: evNone}
	}
	if t.inParts(data) {
		return t.putParts(data)
	}
	if len(t.respOut)+len(data) > outBound {
		if ev := t.flush(); ev.kind != evNone {
			return ev
		}
		if len(data) > outBound/2 {
			return t.writeLong(data)
		}
	}
	t.bodyOut += int64(len(data))
	if t.out.kind == h1.Chunked {
		t.respOut = h1.AppendChunk(t.respOut, data)
	} else {
		t.respOut = append(t.respOut, data...)
	}
	return event{kind: evNone}
}

// writeLong writes data from where it is. respOut is empty before, and holds the
// end of a chunk after.
func (t *Txn) writeLong(data []byte) event {
	if t.out.kind != h1.Chunked {
		return t.writeBody(data, int64(len(data)))
	}
	t.respOut = h1.AppendChunkHeader(t.respOut, len(data))
	if ev := t.flush(); ev.kind != evNone {
		return ev
	}
	ev := t.writeBody(data, int64(len(data)))
	t.respOut = append(t.respOut, "\r\n"...)
	return ev
}

func (t *Txn) endBody() event {
	t.respDir = dirTrailers
	if t.transform != nil {
		if ev := t.putBody(nil, true); ev.kind != evNone {
			return ev
		}
	}
	if t.out.kind == h1.Chunked {
		var trailers *h1.Fields
		if t.respBody.Done() {
			trailers = t.respBody.Trailers()
			if t.explain != nil {
				forbidden(t.explain.notes.Response, t.respBody.Dropped())
			}
		}
		t.respOut = h1.AppendLastChunk(t.respOut, trailers)
	}
	return event{kind: evNone}
}

// flush writes respOut.
func (t *Txn) flush() event {
	if len(t.respOut) == 0 {
		return event{kind: evNone}
	}
	if t.inline {
		return t.tryFlush(false)
	}
	ev := t.writeBody(t.respOut, t.bodyOut)
	t.bodyOut = 0
	t.respOut = t.respOut[:0]
	return ev
}

// writeBody writes p, of which body bytes are body, and counts those that the
// connection took: in a write that breaks off, body is what was lost.
func (t *Txn) writeBody(p []byte, body int64) event {
	before := t.cl.bytesOut
	ev := t.writeClient(p)
	lost := int64(len(p)) - int64(t.cl.bytesOut-before)
	t.rec.BytesOut += max(0, body-lost)
	return ev
}

// flushLast is flush for what is written last. Inline the connection is closed
// with it: there is nothing left to do that could need it.
func (t *Txn) flushLast() event {
	if t.inline {
		return t.tryFlush(true)
	}
	return t.flush()
}

// tryFlush is flush without waiting: evWait when the client's side has no room
// for the rest.
func (t *Txn) tryFlush(last bool) event {
	if t.rec.FirstByte.IsZero() {
		t.rec.FirstByte = t.now
	}
	var n int
	var err error
	if last {
		n, err = t.cl.vc.TryWriteClose(t.respOut, t.later)
	} else {
		n, err = t.cl.vc.TryWrite(t.respOut)
	}
	t.cl.bytesOut += uint64(n)
	rest := len(t.respOut) - n
	body := min(t.bodyOut, int64(rest))
	t.rec.BytesOut += t.bodyOut - body
	t.bodyOut = body
	t.respOut = t.respOut[:copy(t.respOut, t.respOut[n:])]
	switch {
	case err != nil:
		return event{kind: evClientGone, err: err}
	case rest > 0:
		return event{kind: evWait}
	}
	t.closed = last
	return event{kind: evNone}
}

func (t *Txn) writeClient(p []byte) event {
	if t.rec.FirstByte.IsZero() {
		t.rec.FirstByte = t.now
	}
	if err := t.cl.write(p, t.m.cfg.Timeouts.WriteStall); err != nil {
		return clientFailed(err)
	}
	return event{kind: evNone}
}

// clientFailed sorts why nothing more could be written to the client.
func clientFailed(err error) event {
	if isTimeout(err) {
		return event{kind: evClientStalled, err: err}
	}
	return event{kind: evClientGone, err: err}
}
