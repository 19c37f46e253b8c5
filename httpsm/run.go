package httpsm

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/h1"
)

// drive runs the transaction to its end: the work of each state gives an event,
// decide says what follows. It is the only place where the state changes.
func (t *Txn) drive() {
	t.waited = true
	if t.rec.Start.IsZero() {
		t.rec.Start = t.tick()
	}
	for t.state != StateFinish {
		t.apply(t.attribute(t.step()))
	}
	t.finish()
}

func (t *Txn) apply(ev event) {
	if next, ok := usually(t.state, ev.kind); ok {
		t.hist.add(t.state, ev.kind, t.now.Sub(t.rec.Start))
		t.state = next
		return
	}
	t.special = true
	v := t.view()
	if ev.kind == evClientGone {
		v.gone = t.cl.whyGone()
	}
	a := decide(t.state, v, ev)
	t.hist.add(t.state, ev.kind, t.now.Sub(t.rec.Start))
	if t.shared != nil && blames(ev.kind) {
		t.blamed = true
	}
	if a.refused {
		ev.err = fmt.Errorf("event %s in state %s: %w", ev.kind, t.state, errors.Join(errImpossible, ev.err))
	}
	if a.outcome != "" {
		t.fail(a, ev.err)
	}
	t.alone = t.alone || a.alone
	if a.retry != "" {
		t.fresh = a.fresh
		t.noteRetry(a.retry, ev.err)
	}
	if t.state == StateReplyLocally && a.next == StateReplyLocally {
		t.lastResort = true // a hook of the reply is at fault: not again
	}
	t.action = a
	t.state = a.next
}

var errImpossible = errors.New("cannot happen")

func (t *Txn) view() view {
	return view{
		headSent:        t.headSent,
		lastResort:      t.lastResort,
		idempotent:      idempotent(t.asked.method), // what was sent, if anything was
		requestLeft:     t.requestLeft,
		replayable:      !t.up.started && t.up.transform == nil,
		reused:          t.rec.OriginReused,
		shared:          t.shared != nil,
		retriesLeft:     t.m.cfg.Retries - t.rec.Retries,
		requestDone:     t.up.sent.Load(),
		responseDone:    t.respDir == dirDone,
		originKeepAlive: t.originKeep,
	}
}

// originReusable is keepOrigin for the exchange as it is now.
func (t *Txn) originReusable() bool {
	return keepOrigin(view{
		requestDone: t.up.sent.Load(), responseDone: t.respDir == dirDone, originKeepAlive: t.originKeep,
	})
}

// idempotent: RFC 9110 section 9.2.2. Methods we do not know are not.
func idempotent(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// attribute finds out who is to blame when waiting for the origin failed: we
// abort the exchange ourselves when the client leaves, lies or stops sending.
func (t *Txn) attribute(ev event) event {
	switch ev.kind {
	case evDone, evReplied, evAborted, evHookReply, evHookAbort, evFault:
		return ev
	}
	switch {
	case t.state == StateAbort:
		return ev
	case t.killed.Load():
		return event{kind: evShutdown, err: errShutdown}
	case t.state == StateTunnel && t.tun.Load().broken() != nil:
		return *t.tun.Load().broken()
	case t.gone.Load():
		return event{kind: evClientGone, err: errConnClosed}
	case t.state == StateExchange && ev.kind != evResponseHead:
		if f := t.up.fail.Load(); f != nil {
			return *f
		}
	}
	return ev
}

// step does the work of the present state. A panic in it, which includes one of
// a hook, ends this transaction only.
func (t *Txn) step() (ev event) {
	defer func() {
		if p := recover(); p != nil {
			ev = t.panicked(p)
		}
	}()
	switch t.state {
	case StateReadRequestHead:
		return t.readRequestHead()
	case StateRoute:
		return t.route()
	case StateSelectOrigin:
		return t.selectOrigin()
	case StateConnectOrigin:
		return t.connectOrigin()
	case StateSendRequestHead:
		return t.sendRequestHead()
	case StateExchange:
		if t.respDir == dirHead {
			return t.readResponseHead()
		}
		return t.sendResponse()
	case StateTunnel:
		return t.runTunnel()
	case StateReplyLocally:
		return t.replyLocally()
	default:
		return t.abortClient()
	}
}

func (t *Txn) panicked(p any) event {
	t.m.panics.Add(1)
	t.identify(t.m.cfg.Log.Error()).
		Str("state", t.state.String()).Str("point", t.point.String()).
		Str("history", t.hist.text()).
		Str("stack", string(debug.Stack())).
		Msgf("httpsm: a transaction panicked: %v", p)
	return event{kind: evFault, err: fmt.Errorf("panic: %v", p)}
}

// readRequestHead reads the head. On a virtual connection it is usually there
// already, and parsed in place: nothing behind it is taken, so that no body is
// read while hooks run.
func (t *Txn) readRequestHead() event {
	if ev := t.hookEvent(TxnStart); ev.kind != evNone {
		return ev
	}
	if t.killed.Load() {
		return event{kind: evShutdown, err: errShutdown}
	}
	if ev := t.parseRequestHead(); ev.kind != evNone {
		return ev
	}
	t.noteRequest()
	if t.explain != nil {
		t.explain.before.CopyFrom(&t.req.Fields)
	}
	framing, err := h1.RequestFraming(&t.req)
	if err != nil {
		return requestBad(err)
	}
	t.up.begin(framing, t.m.requestLimits)
	t.headOK = true
	t.keep = t.cl.vc == nil && h1.RequestKeepAlive(&t.req)
	if ev := t.hookEvent(ReadRequestHead); ev.kind != evNone {
		return ev
	}
	return event{kind: evHeadRead}
}

func (t *Txn) parseRequestHead() event {
	cl := t.cl
	if cl.vc != nil && cl.r == cl.w {
		if b, _ := cl.vc.Peek(); len(b) > 0 {
			if n, err := h1.ParseRequestHead(&t.req, b, t.m.requestLimits); n > 0 && err == nil {
				t.excess = cl.vc.DiscardLeft(n) > 0
				cl.bytesIn += uint64(n)
				return event{kind: evNone}
			}
		}
	}
	if t.inline {
		return event{kind: evWait}
	}
	parse, timed := h1.ParseRequestHead, false
	for {
		if b := cl.buffered(); len(b) > 0 {
			n, err := parse(&t.req, b, t.m.requestLimits)
			if err != nil {
				return requestBad(err)
			}
			if n > 0 {
				cl.discard(n)
				cl.wait(t.now, 0)
				return event{kind: evNone}
			}
			parse = h1.ContinueRequestHead
			if !timed { // from the first byte, not from each
				timed = true
				cl.wait(t.tick(), t.m.cfg.Timeouts.RequestHead)
			}
		}
		if err := cl.fill(); err != nil {
			if isTimeout(err) {
				return event{kind: evHeadTimeout, err: err}
			}
			return event{kind: evClientGone, err: err}
		}
	}
}

// requestBad makes an event of a *h1.ProtocolError.
func requestBad(err error) event {
	status := 400
	var pe *h1.ProtocolError
	if errors.As(err, &pe) {
		status = pe.Status
	}
	return event{kind: evRequestBad, status: status, err: err}
}

// selectOrigin chooses an endpoint, another one for a retry where there is one.
func (t *Txn) selectOrigin() event {
	t.dropOrigin(false)
	if t.group == nil {
		t.ep = t.m.literal.EndpointFor(t.cl.vc.Addr())
	} else {
		t.ep = t.group.Pick(t.tried...)
	}
	if t.ep == nil {
		return event{kind: evNoOrigin, err: errNoOrigin}
	}
	t.rec.Origin = t.ep.Addr()
	if ev := t.hookEvent(OriginSelected); ev.kind != evNone {
		return ev
	}
	return event{kind: evSelected}
}

// connectOrigin gets an exchange: usually a kept-alive connection, at once.
func (t *Txn) connectOrigin() event {
	ex, ev := t.getExchange()
	if ev.kind != evNone {
		return ev
	}
	t.exMu.Lock()
	t.ex = ex
	t.exMu.Unlock()
	info := ex.Info()
	t.rec.OriginConn, t.rec.OriginReused = info.ConnID, info.Reused
	if !info.Reused {
		t.tick()
	}
	t.requestLeft, t.gotBytes, t.originKeep, t.interims = false, false, false, 0
	t.blamed, t.framed, t.respOwn = false, false, false
	t.since, t.sentBytes = time.Time{}, 0
	t.respDir = dirHead
	return event{kind: evConnected}
}

func (t *Txn) getExchange() (origin.Exchange, event) {
	if sh := t.share(); sh != nil {
		t.await = sh
		return sh, event{kind: evNone}
	}
	if t.cl.vc != nil {
		if t.await = t.m.begin(t); t.await != nil {
			return t.await, event{kind: evNone}
		}
	}
	if t.inline {
		return nil, event{kind: evWait}
	}
	t.armConnectWatch()
	t.ctx.lane = t.rec.Session.Lane
	ex, err := t.ep.Get(t.ctx, t.fresh)
	t.disarmConnectWatch()
	if err != nil {
		t.tick()
		ev := connectFailed(err)
		if ev.kind == evConnectResource {
			t.noteShortage(err)
		}
		return nil, ev
	}
	return ex, event{kind: evNone}
}

func connectFailed(err error) event {
	var oe *origin.Error
	ev := event{kind: evConnectFailed, err: err}
	if !errors.As(err, &oe) {
		return ev
	}
	switch oe.Kind {
	case origin.KindRefused:
		ev.kind = evConnectRefused
	case origin.KindTimeout:
		ev.kind = evConnectTimeout
	case origin.KindTLS:
		ev.kind = evConnectTLS
	case origin.KindLimit:
		ev.kind = evConnectLimit
	case origin.KindResource:
		ev.kind = evConnectResource
	case origin.KindClosed:
		ev.kind = evNoOrigin
	case origin.KindCanceled: // the context ends when the client leaves
		ev.kind = evClientGone
	}
	return ev
}

// sendRequestHead writes the head, and what is there of the body, in one write.
// For a retry the same bytes are written again.
func (t *Txn) sendRequestHead() event {
	if !t.built {
		if ev := t.buildRequest(); ev.kind != evNone {
			return ev
		}
	}
	if t.shared != nil && !shareable(&t.oreq) {
		return t.unshare()
	}
	if t.inline && !t.up.readAll.Load() {
		return event{kind: evWait}
	}
	t.reached.Store(true)
	if t.killed.Load() {
		return event{kind: evShutdown, err: errShutdown}
	}
	n, err := t.writeOrigin(t.reqOut[t.sentBytes:])
	t.sentBytes += n
	t.requestLeft = t.sentBytes > 0
	if err == nil && t.sentBytes < len(t.reqOut) {
		return event{kind: evWait}
	}
	if err != nil {
		t.tick()
		if isTimeout(err) {
			return event{kind: evResponseTimeout, err: err}
		}
		return event{kind: evSendFailed, err: err}
	}
	if t.up.readAll.Load() {
		t.up.sent.Store(true)
	} else {
		t.startUpload()
	}
	return event{kind: evSent}
}

// writeOrigin writes as much of p as the origin takes at once; all of it, or it
// fails, where the transaction may wait.
func (t *Txn) writeOrigin(p []byte) (int, error) {
	if t.inline {
		if t.shared != nil {
			return t.shared.TryWriteLater(p, t.later)
		}
		return t.await.TryWrite(p)
	}
	t.ex.SetWriteDeadline(t.writeDeadline(t.tick())) // hooks may have blocked
	return t.ex.Write(p)
}

func (t *Txn) noteRetry(reason string, err error) {
	t.rec.Retries++
	t.tried = append(t.tried, t.ep)
	t.m.countRetry(&t.rec, reason)
	// The access line and a counter tell it, too: an outage is not to fill the log.
	t.identify(t.m.cfg.Log.Debug()).
		Str("origin", t.rec.Origin).Str("reason", reason).Int("retries", t.rec.Retries).
		AnErr("error", err).Msg("httpsm: the request is sent again")
}

// abortOrigin unblocks everything that waits for the origin. It may be called
// from any goroutine.
func (t *Txn) abortOrigin() {
	t.exMu.Lock()
	defer t.exMu.Unlock()
	t.abortLocked()
}

func (t *Txn) abortLocked() {
	if t.ex != nil {
		if tn := t.tun.Load(); tn != nil {
			resetOnClose(tn.origin)
		}
		t.ex.Abort()
	}
}

// dropOrigin ends the exchange if there is one; a connection that carried
// nothing stays good.
func (t *Txn) dropOrigin(reusable bool) {
	if t.up.running {
		t.stopUpload()
	}
	if t.ex == nil {
		return
	}
	t.exMu.Lock()
	ex := t.ex
	t.ex = nil
	t.exMu.Unlock()
	t.await = nil
	if sh := t.shared; sh != nil {
		t.shared = nil
		t.endTurn(sh, reusable)
		return
	}
	ex.Release(reusable || !t.requestLeft)
}

// leave: the client is gone. It may be called from any goroutine.
func (t *Txn) leave() {
	t.gone.Store(true)
	t.ctx.cancel()
	t.abortOrigin()
}

// kill: the machine ends all that is left. It may be called from any goroutine.
// It returns the code to reset a virtual connection with: while nothing has
// reached an origin the client may safely try elsewhere. The transaction looks
// at killed between setting reached and writing, so that this stays true.
func (t *Txn) kill() (code uint32) {
	t.exMu.Lock()
	defer t.exMu.Unlock()
	return t.killLocked()
}

func (t *Txn) killLocked() (code uint32) {
	t.killed.Store(true)
	t.ctx.cancel()
	t.abortLocked()
	if t.reached.Load() {
		return codeCancel
	}
	return codeRefusedStream
}

// abortClient ends the client's side without a complete message.
func (t *Txn) abortClient() event {
	t.stopWatch()
	t.dropOrigin(false)
	t.keep = false
	if t.cl.vc != nil {
		t.cl.vc.Reset(t.action.code)
	} else {
		t.cl.breakOff()
	}
	if t.rec.Outcome == ClientAbort && !t.headSent {
		t.rec.Status = 499
	}
	return event{kind: evAborted}
}

// finish is the last thing that is done on the transaction's goroutine.
func (t *Txn) finish() {
	t.stopWatch()
	t.dropOrigin(false)
	if t.inline {
		t.point = TxnClose
	} else {
		t.closeHooks()
	}
	t.rec.BytesIn = t.up.total
	t.logEnd()
}

func (t *Txn) closeHooks() {
	defer func() {
		if p := recover(); p != nil {
			t.panicked(p)
		}
	}()
	t.runHooks(TxnClose)
}

// logEnd says how a transaction ended that did not end well, and how it came to
// that: a fault of ours as an error, others for those who look for them.
func (t *Txn) logEnd() {
	level := zerolog.DebugLevel
	switch t.rec.Outcome {
	case "", ProxyInternalResponse:
		return
	case ProxyInternalError:
		level = zerolog.ErrorLevel
	}
	line := t.m.cfg.Log.WithLevel(level)
	if t.m.cfg.Log.GetLevel() > level || line == nil {
		return
	}
	t.identify(line).AnErr("error", t.rec.Err).Str("history", t.hist.text()).
		Msg("httpsm: a transaction did not complete")
}

// identify adds what finds the access line of the transaction.
func (t *Txn) identify(line *zerolog.Event) *zerolog.Event {
	id := t.Identity()
	return line.Str("pitag", id.TagText()).Uint64("piid", id.ID).
		Uint32("stream", t.rec.Stream).Uint64("txn", t.rec.Txn)
}
