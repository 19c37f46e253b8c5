package httpsm

import "github.com/h2gw/h2gw/internal/h1"

// isWhole: the response's body is all there and can be passed on as it is.
func (t *Txn) isWhole() bool {
	return t.inline && t.respDir != dirDone && t.out.kind == h1.Length && !t.out.skip && t.transform == nil &&
		t.respBody.Remaining() <= int64(min(len(t.ex.Buffered()), outBound))
}

// passWhole passes on a response that isWhole from where it is: its head from
// respOut, its body from the origin connection's buffer, both in one write that
// closes the client's side. What finds no room goes to respOut, for the crew.
func (t *Txn) passWhole() event {
	body, n, err := t.respBody.Next(t.ex.Buffered())
	if err != nil {
		return event{kind: evResponseBad, err: err}
	}
	if t.rec.FirstByte.IsZero() {
		t.rec.FirstByte = t.now
	}
	head := len(t.respOut)
	written, err := t.cl.vc.TryWriteCloseParts(t.respOut, body, t.later)
	t.cl.bytesOut += uint64(written)
	t.rec.BytesOut += int64(max(0, written-head))
	t.closed = err == nil && written == head+len(body)
	if !t.closed && err == nil {
		t.respOut = t.respOut[:copy(t.respOut, t.respOut[min(written, head):])]
		rest := body[max(0, written-head):]
		t.respOut, t.bodyOut = append(t.respOut, rest...), int64(len(rest))
	}
	t.ex.Discard(n)
	t.respDir = dirDone
	t.noteKeepAlive()
	t.dropOrigin(t.originReusable())
	switch {
	case err != nil:
		return event{kind: evClientGone, err: err}
	case !t.closed:
		return event{kind: evWait}
	}
	return event{kind: evDone}
}
