package httpsm

import (
	"errors"
	"time"
)

// A slow client is told from a stalled and from an idle one by its pace: how
// much of the body came in the time that we waited for it. Time in which the
// origin did not take what we had is not counted, so that a client held back by
// flow control is never blamed; neither is time after the response has begun,
// when the two ends may be talking in turns.
type pace struct {
	waited time.Duration // for the client, since the count began
	from   int64         // body bytes received when it began
}

const (
	// defaultBodyRate is in bytes a second. Kestrel asks for as much, over 5
	// seconds (MinRequestBodyDataRate); Apache for 500, after 20
	// (RequestReadTimeout body=20,MinRate=500).
	defaultBodyRate = 240
	// defaultPaceSpan is what the pace is an average over when
	// timeouts.request_body_idle is off.
	defaultPaceSpan = 30 * time.Second
)

// tooSlow judges the span that is over, if it is, and begins another.
func (p *pace) tooSlow(total, rate int64, span time.Duration) bool {
	if p.waited < span {
		return false
	}
	slow := float64(total-p.from) < float64(rate)*span.Seconds()
	*p = pace{from: total}
	return slow
}

// readBody waits for more of the client's body.
func (t *Txn) readBody() event {
	u, cl := &t.up, t.cl
	for start, now := time.Now(), time.Now(); ; {
		from, idle, onIdle := t.bodyPatience(start)
		wait := time.Duration(0)
		if idle > 0 {
			if wait = idle - now.Sub(from); wait <= 0 {
				return onIdle
			}
		}
		rate, span := t.bodyRate(onIdle.kind)
		if rate > 0 {
			if u.pace.tooSlow(u.total, rate, span) {
				return event{kind: evRequestTimeout, err: errTooSlow}
			}
			if left := span - u.pace.waited; wait == 0 || left < wait {
				wait = left
			}
		}
		cl.wait(now, wait)
		if u.stopping.Load() { // the deadline just set may have replaced that of stopUpload
			return event{kind: evRequestTimeout, err: errStopped}
		}
		err := cl.await()
		then := now
		now = time.Now()
		if rate > 0 {
			u.pace.waited += now.Sub(then)
		}
		if err == nil {
			return event{kind: evNone}
		}
		if !isTimeout(err) {
			return t.bodyEnded(err)
		}
	}
}

// bodyPatience is how long the client may send nothing, from when on, and what
// it means if it does. One that waits for the origin's 100 Continue is waiting
// itself: silence is then the origin's (RFC 9110 section 10.1.1).
func (t *Txn) bodyPatience(start time.Time) (from time.Time, idle time.Duration, onIdle event) {
	u, limits := &t.up, &t.m.cfg.Timeouts
	if u.expects && u.total == 0 {
		switch at := u.continuedAt.Load(); {
		case at > start.UnixNano():
			start = time.Unix(0, at)
		case at == 0 && limits.ResponseHead > 0:
			return start, limits.ResponseHead, event{kind: evResponseTimeout, err: errNoContinue}
		}
	}
	return start, limits.RequestBodyIdle, event{kind: evRequestTimeout, err: errBodyIdle}
}

// bodyRate is the pace that is asked of the client now, 0 for none, and the
// span over which.
func (t *Txn) bodyRate(onIdle eventKind) (rate int64, span time.Duration) {
	if onIdle != evRequestTimeout || t.up.answered.Load() {
		return 0, 0
	}
	if span = t.m.cfg.Timeouts.RequestBodyIdle; span == 0 {
		span = defaultPaceSpan
	}
	return t.m.cfg.Limits.RequestBodyRate, span
}

// bodyEnded says what it means that the client's side ended within its body.
func (t *Txn) bodyEnded(err error) event {
	if vc := t.cl.vc; vc != nil && !vc.PeerClosed() {
		// It ended its request and still wants an answer.
		return event{kind: evRequestBad, status: 400, err: t.up.body.EOF()}
	}
	return event{kind: evClientGone, err: errors.Join(errTruncatedBody, err)}
}
