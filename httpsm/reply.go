package httpsm

import (
	"errors"
	"strconv"

	"github.com/h2gw/h2gw/internal/h1"
)

// A localReply is what a hook wants the client to get.
type localReply struct {
	status int // 0: none was asked for
	fields h1.Fields
	body   []byte
	err    error // what was wrong with it
}

func (l *localReply) reset() {
	l.status, l.err, l.body = 0, nil, nil
	l.fields.Reset()
}

// replyLocally answers instead of an origin: with what a hook gave, or with an
// error of our own. It looks the same on both kinds of client connection.
func (t *Txn) replyLocally() event {
	t.stopWatch()
	t.dropOrigin(false)
	body, err := t.buildReply(t.action)
	if err != nil {
		return event{kind: evFault, err: err}
	}
	if !t.lastResort {
		t.local.status = 0 // from here on it would be a second one
		switch ev := t.hookEvent(SendResponseHead); ev.kind {
		case evNone:
		case evHookReply:
			if body, err = t.buildReply(action{status: ev.status, outcome: ProxyInternalResponse}); err != nil {
				return event{kind: evFault, err: err}
			}
			t.rec.Outcome, t.rec.Err = ProxyInternalResponse, nil
		default:
			return ev
		}
	}
	if err := t.frameReply(len(body)); err != nil {
		return event{kind: evFault, err: err}
	}
	t.respOut = h1.AppendResponseHead(t.respOut[:0], &t.resp)
	t.headSent = true
	t.rec.Status = t.resp.Status()
	if t.explain != nil {
		t.explain.local(t)
	}
	t.headBytes = int64(t.cl.bytesOut) + int64(len(t.respOut))
	if t.out.kind != h1.NoBody {
		t.respOut = append(t.respOut, body...)
		t.bodyOut = int64(len(body))
	}
	if ev := t.flush(); ev.kind != evNone {
		return ev
	}
	return event{kind: evReplied}
}

// buildReply makes the head of a local answer in t.resp and returns its body.
func (t *Txn) buildReply(a action) ([]byte, error) {
	h := &t.resp
	h.Reset()
	t.respOwn = true
	if a.outcome == ProxyInternalResponse {
		h.Fields.CopyFrom(&t.local.fields)
		if err := h1.RemoveHopByHop(&h.Fields, false); err != nil {
			return nil, err
		}
		return t.local.body, h.SetStatus(a.status, "")
	}
	if err := h.SetStatus(a.status, ""); err != nil {
		return nil, err
	}
	t.scratch = strconv.AppendInt(t.scratch[:0], int64(a.status), 10)
	t.scratch = append(t.scratch, ' ')
	t.scratch = append(t.scratch, h1.ReasonPhrase(a.status)...)
	t.scratch = append(t.scratch, ": "...)
	t.scratch = append(t.scratch, a.outcome...)
	if reason := t.reason(a); reason != "" {
		t.scratch = append(t.scratch, ": "...)
		t.scratch = append(t.scratch, reason...)
	}
	t.scratch = append(t.scratch, '\n')
	body := append([]byte(nil), t.scratch...)
	if err := h.Fields.Add("Content-Type", "text/plain; charset=utf-8"); err != nil {
		return nil, err
	}
	if a.status == 405 {
		if err := h.Fields.Add("Allow", allowed); err != nil {
			return nil, err
		}
	}
	// RFC 9209: which gateway, and what went wrong, in the word of the log.
	return body, h.Fields.Add("Proxy-Status", t.m.cfg.Via+"; error="+string(a.outcome))
}

// reason is what the client may be told beyond the outcome: which rule its
// request broke. What went wrong behind the gateway is for the log.
func (t *Txn) reason(a action) string {
	var te *TxnError
	if a.source != SourceClient || !errors.As(t.rec.Err, &te) || te.Err == nil {
		return ""
	}
	var pe *h1.ProtocolError
	switch {
	case errors.As(te.Err, &pe):
		return pe.Reason
	case a.outcome == HTTPRequestError, a.outcome == HTTPRequestDenied:
		return te.Err.Error()
	}
	return ""
}

func (t *Txn) frameReply(size int) error {
	f, status := &t.resp.Fields, t.resp.Status()
	f.Del("Transfer-Encoding")
	t.out = responseFraming{kind: h1.Length}
	if status == 204 || status == 304 {
		t.out.kind = h1.NoBody
		f.Del("Content-Length")
	} else if err := t.setLength(f, int64(size)); err != nil {
		return err
	}
	if t.headOK && t.isHead() {
		t.out.kind = h1.NoBody
	}
	if err := addDate(f, t.now); err != nil {
		return err
	}
	if status == 408 || !t.headOK {
		t.keep = false
	}
	t.frameConnection()
	return nil
}

// isHead: the client's request is a HEAD.
func (t *Txn) isHead() bool {
	if t.built {
		return t.asked.head // its head may be gone
	}
	return t.req.Method() == "HEAD"
}
