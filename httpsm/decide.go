package httpsm

import "github.com/h2gw/h2gw/vconn"

// A view is what a decision may look at: facts, no handles.
type view struct {
	headSent    bool // a final response head has begun to go to the client
	lastResort  bool // our own reply is being written, without hooks
	idempotent  bool // RFC 9110 section 9.2.2
	requestLeft bool // at least one byte of the request was accepted by the connection
	replayable  bool // all that was sent of the request is still held
	reused      bool // the origin connection had carried a request before
	shared      bool // it carries others at the same time; only what may be sent twice does
	retriesLeft int
	gone        vconn.Reason // evClientGone: what the client's end says of it

	requestDone     bool // the whole request has been written to the origin
	responseDone    bool // the whole response has been read, to an end that framing marks
	originKeepAlive bool // the response allows another request
}

// An action is what follows: the next state, and for a side exit how the
// transaction ends.
type action struct {
	next    State
	status  int // reply: to the client
	outcome Outcome
	source  Source
	code    uint32 // abort: HTTP/2 error code
	retry   string // reason, when the request is tried again
	fresh   bool   // retry: only on a new connection
	alone   bool   // on a connection that no other request shares
	refused bool   // no such event in this state: a fault of ours
}

// Reasons of retries: a closed set, used as a metric label.
const (
	retryConnect = "connect_failed" // no connection was had; nothing was sent
	retryNotSent = "not_sent"       // the connection broke before it took a byte
	retryReused  = "reused_closed"  // a kept-alive connection was closed as it was used (RFC 9110 9.2.2)

	// Of requests that shared a connection:
	retryPipelineBroken = "pipeline_broken" // it broke before it answered this one
	retryPipelineClosed = "pipeline_closed" // the origin ended it with an earlier response
	retryPipelineSlow   = "pipeline_slow"   // earlier responses took too long
)

// decide says what follows from an event in a state. It has no side effects and
// looks at no clock: every row is a test.
func decide(s State, v view, ev event) action {
	if a, ok := decideAnywhere(s, v, ev); ok {
		return a
	}
	switch s {
	case StateReadRequestHead:
		switch ev.kind {
		case evHeadRead:
			return action{next: StateRoute}
		case evRequestBad:
			return reply(ev.status, HTTPRequestError, SourceClient)
		case evHeadTimeout:
			return reply(408, ClientTimeout, SourceClient)
		}
	case StateRoute:
		switch ev.kind {
		case evRouted:
			return action{next: StateSelectOrigin}
		case evRequestBad:
			return reply(ev.status, HTTPRequestError, SourceClient)
		case evRequestRefused:
			return reply(ev.status, HTTPRequestDenied, SourceClient)
		case evNoOrigin:
			return reply(503, DestinationUnavailable, SourceGateway)
		}
	case StateSelectOrigin:
		switch ev.kind {
		case evSelected:
			return action{next: StateConnectOrigin}
		case evNoOrigin:
			return reply(503, DestinationUnavailable, SourceOrigin)
		}
	case StateConnectOrigin:
		return decideConnect(v, ev)
	case StateSendRequestHead:
		return decideSend(v, ev)
	case StateExchange:
		return decideExchange(v, ev)
	case StateTunnel:
		return decideTunnel(ev)
	case StateReplyLocally:
		switch ev.kind {
		case evReplied:
			return action{next: StateFinish}
		case evClientStalled:
			return abort(codeCancel, ClientTimeout, SourceClient)
		}
	case StateAbort:
		if ev.kind == evAborted {
			return action{next: StateFinish}
		}
	}
	return refuse()
}

// decideAnywhere holds what means the same in every state that can still lead
// somewhere.
func decideAnywhere(s State, v view, ev event) (action, bool) {
	if s >= StateAbort {
		return action{}, false
	}
	switch ev.kind {
	case evClientGone:
		o, src := outcomeOfLeaving(v.gone)
		return abort(codeCancel, o, src), true
	case evHookReply:
		// A hook may answer until the final head has gone; a hook of the
		// reply itself replaces it there (see reply.go), not through here.
		if v.headSent || s == StateReplyLocally {
			return abort(codeInternalError, ProxyInternalError, SourceGateway), true
		}
		return reply(ev.status, ProxyInternalResponse, SourceGateway), true
	case evHookAbort:
		return abort(codeCancel, HTTPRequestDenied, SourceGateway), true
	case evFault:
		if v.headSent || v.lastResort {
			return abort(codeInternalError, ProxyInternalError, SourceGateway), true
		}
		return reply(500, ProxyInternalError, SourceGateway), true
	case evShutdown:
		if v.requestLeft {
			return abort(codeCancel, GatewayDraining, SourceGateway), true
		}
		// Nothing reached an origin: the client may safely try elsewhere.
		return abort(codeRefusedStream, GatewayDraining, SourceGateway), true
	}
	return action{}, false
}

// outcomeOfLeaving: a client's side that ended early has not always left.
func outcomeOfLeaving(why vconn.Reason) (Outcome, Source) {
	switch why {
	case vconn.ReasonFault:
		return HTTPRequestError, SourceClient
	case vconn.ReasonSlow:
		return ClientTimeout, SourceClient
	case vconn.ReasonShutdown:
		return GatewayDraining, SourceGateway
	case vconn.ReasonInternal:
		return ProxyInternalError, SourceGateway
	}
	return ClientAbort, SourceClient
}

func decideConnect(v view, ev event) action {
	again := action{next: StateSelectOrigin, retry: retryConnect}
	switch ev.kind {
	case evConnected:
		return action{next: StateSendRequestHead}
	case evConnectRefused:
		return retryOr(again, v, reply(502, ConnectionRefused, SourceOrigin))
	case evConnectTimeout:
		return retryOr(again, v, reply(504, ConnectionTimeout, SourceOrigin))
	case evConnectTLS:
		return retryOr(again, v, reply(502, TLSProtocolError, SourceOrigin))
	case evConnectFailed:
		return retryOr(again, v, reply(503, DestinationUnavailable, SourceOrigin))
	case evConnectLimit:
		// The request has already waited as long as it may.
		return reply(503, ConnectionLimitReached, SourceOrigin)
	case evConnectResource:
		// Another endpoint would need the same, which others are waiting for.
		return reply(503, GatewayOverloaded, SourceGateway)
	case evNoOrigin:
		return reply(503, DestinationUnavailable, SourceOrigin)
	}
	return refuse()
}

func decideSend(v view, ev event) action {
	switch ev.kind {
	case evSent:
		return action{next: StateExchange}
	case evRequestBad:
		return reply(ev.status, HTTPRequestError, SourceClient)
	case evUnshared:
		return action{next: StateConnectOrigin, alone: true}
	case evSendFailed:
		return decideBroken(v)
	case evResponseTimeout: // it does not read
		return reply(504, HTTPResponseTimeout, SourceOrigin)
	}
	return refuse()
}

func decideExchange(v view, ev event) action {
	switch ev.kind {
	case evResponseHead:
		return action{next: StateExchange}
	case evSwitched:
		return action{next: StateTunnel}
	case evDone:
		return action{next: StateFinish}
	case evOriginClosed:
		return decideBroken(v)
	case evOriginBehind:
		return retryOr(alone(retryPipelineSlow), v, reply(504, HTTPResponseTimeout, SourceOrigin))
	case evOriginLast:
		return retryOr(alone(retryPipelineClosed), v, reply(502, ConnectionTerminated, SourceOrigin))
	case evOriginIncomplete:
		return endOrigin(v, 502, HTTPResponseIncomplete)
	case evResponseBad:
		return endOrigin(v, 502, HTTPProtocolError)
	case evResponseTimeout:
		return endOrigin(v, 504, HTTPResponseTimeout)
	case evRequestBad:
		if v.headSent {
			return abort(codeProtocolError, HTTPRequestError, SourceClient)
		}
		return reply(ev.status, HTTPRequestError, SourceClient)
	case evRequestTimeout:
		if v.headSent {
			return abort(codeCancel, ClientTimeout, SourceClient)
		}
		return reply(408, ClientTimeout, SourceClient)
	case evClientStalled:
		return abort(codeCancel, ClientTimeout, SourceClient)
	}
	return refuse()
}

// decideTunnel: what is not an end in order is CANCEL to an HTTP/2 client, which
// is its TCP reset (RFC 8441 section 5).
func decideTunnel(ev event) action {
	switch ev.kind {
	case evDone:
		return action{next: StateFinish}
	case evOriginIncomplete:
		return abort(codeCancel, ConnectionTerminated, SourceOrigin)
	case evClientStalled:
		return abort(codeCancel, ClientTimeout, SourceClient)
	case evTunnelIdle:
		return abort(codeCancel, ConnectionReadTimeout, SourceGateway)
	}
	return refuse()
}

// decideBroken: the origin connection broke before a byte of a response. Safe
// to try again if nothing of the request left; or if the origin closed a
// connection it was tired of just as we used it and doing the request twice
// means doing it once (RFC 9110 section 9.2.2), and all of it is still held.
func decideBroken(v view) action {
	failed := reply(502, ConnectionTerminated, SourceOrigin)
	switch {
	case v.shared:
		again := alone(retryPipelineBroken)
		again.fresh = true
		return retryOr(again, v, failed)
	case !v.replayable:
		return failed
	case !v.requestLeft:
		return retryOr(action{next: StateSelectOrigin, retry: retryNotSent, fresh: true}, v, failed)
	case v.reused && v.idempotent:
		return retryOr(action{next: StateSelectOrigin, retry: retryReused, fresh: true}, v, failed)
	}
	return failed
}

// alone: what a shared connection did not answer is sent again once, on one of
// its own.
func alone(reason string) action {
	return action{next: StateSelectOrigin, retry: reason, alone: true}
}

// keepOrigin: the connection goes back to the pool only if both messages ended
// exactly (RFC 9112 section 9.3, protocol.md 14).
func keepOrigin(v view) bool { return v.requestDone && v.responseDone && v.originKeepAlive }

func retryOr(again action, v view, otherwise action) action {
	if v.retriesLeft > 0 {
		return again
	}
	return otherwise
}

func reply(status int, o Outcome, src Source) action {
	return action{next: StateReplyLocally, status: status, outcome: o, source: src}
}

func abort(code uint32, o Outcome, src Source) action {
	return action{next: StateAbort, code: code, outcome: o, source: src}
}

// endOrigin: after a failure of the origin the client learns the truth: a
// status while that is possible, a broken message when it no longer is.
func endOrigin(v view, status int, o Outcome) action {
	if v.headSent {
		return abort(codeInternalError, o, SourceOrigin)
	}
	return reply(status, o, SourceOrigin)
}

// refuse answers an event that cannot happen in a state.
func refuse() action {
	a := abort(codeInternalError, ProxyInternalError, SourceGateway)
	a.refused = true
	return a
}
