package httpsm

import (
	"testing"

	"github.com/h2gw/h2gw/vconn"
)

// decisions is every (state, event) pair that means something, and what.
var decisions = []struct {
	state State
	event eventKind
	view  view
	want  action
}{
	{StateReadRequestHead, evHeadRead, view{}, action{next: StateRoute}},
	{StateReadRequestHead, evRequestBad, view{}, reply(431, HTTPRequestError, SourceClient)},
	{StateReadRequestHead, evHeadTimeout, view{}, reply(408, ClientTimeout, SourceClient)},

	{StateRoute, evRouted, view{}, action{next: StateSelectOrigin}},
	{StateRoute, evRequestBad, view{}, reply(431, HTTPRequestError, SourceClient)},
	{StateRoute, evRequestRefused, view{}, reply(431, HTTPRequestDenied, SourceClient)},
	{StateRoute, evNoOrigin, view{}, reply(503, DestinationUnavailable, SourceGateway)},

	{StateSelectOrigin, evSelected, view{}, action{next: StateConnectOrigin}},
	{StateSelectOrigin, evNoOrigin, view{}, reply(503, DestinationUnavailable, SourceOrigin)},

	{StateConnectOrigin, evConnected, view{}, action{next: StateSendRequestHead}},
	{StateConnectOrigin, evConnectRefused, view{}, reply(502, ConnectionRefused, SourceOrigin)},
	{StateConnectOrigin, evConnectRefused, view{retriesLeft: 1}, action{next: StateSelectOrigin, retry: retryConnect}},
	{StateConnectOrigin, evConnectTimeout, view{}, reply(504, ConnectionTimeout, SourceOrigin)},
	{StateConnectOrigin, evConnectTimeout, view{retriesLeft: 1}, action{next: StateSelectOrigin, retry: retryConnect}},
	{StateConnectOrigin, evConnectTLS, view{}, reply(502, TLSProtocolError, SourceOrigin)},
	{StateConnectOrigin, evConnectTLS, view{retriesLeft: 2}, action{next: StateSelectOrigin, retry: retryConnect}},
	{StateConnectOrigin, evConnectFailed, view{}, reply(503, DestinationUnavailable, SourceOrigin)},
	{StateConnectOrigin, evConnectFailed, view{retriesLeft: 2}, action{next: StateSelectOrigin, retry: retryConnect}},
	{StateConnectOrigin, evConnectLimit, view{retriesLeft: 2}, reply(503, ConnectionLimitReached, SourceOrigin)},
	{StateConnectOrigin, evConnectResource, view{}, reply(503, GatewayOverloaded, SourceGateway)},
	{StateConnectOrigin, evConnectResource, view{retriesLeft: 2}, reply(503, GatewayOverloaded, SourceGateway)},
	{StateConnectOrigin, evNoOrigin, view{retriesLeft: 2}, reply(503, DestinationUnavailable, SourceOrigin)},

	{StateSendRequestHead, evSent, view{}, action{next: StateExchange}},
	{StateSendRequestHead, evRequestBad, view{}, reply(431, HTTPRequestError, SourceClient)},
	{StateSendRequestHead, evResponseTimeout, view{}, reply(504, HTTPResponseTimeout, SourceOrigin)},
	{StateSendRequestHead, evSendFailed, view{replayable: true, retriesLeft: 1},
		action{next: StateSelectOrigin, retry: retryNotSent, fresh: true}},
	{StateSendRequestHead, evSendFailed, view{replayable: true},
		reply(502, ConnectionTerminated, SourceOrigin)},
	{StateSendRequestHead, evSendFailed, view{replayable: true, requestLeft: true, retriesLeft: 1},
		reply(502, ConnectionTerminated, SourceOrigin)},
	{StateSendRequestHead, evSendFailed, view{replayable: true, requestLeft: true, reused: true, idempotent: true, retriesLeft: 1},
		action{next: StateSelectOrigin, retry: retryReused, fresh: true}},

	// A request that hooks have made one that may not share a connection.
	{StateSendRequestHead, evUnshared, view{shared: true, retriesLeft: 1}, action{next: StateConnectOrigin, alone: true}},
	{StateSendRequestHead, evSendFailed, view{shared: true, replayable: true, retriesLeft: 1},
		action{next: StateSelectOrigin, retry: retryPipelineBroken, fresh: true, alone: true}},

	{StateExchange, evResponseHead, view{}, action{next: StateExchange}},
	{StateExchange, evDone, view{headSent: true}, action{next: StateFinish}},
	{StateExchange, evOriginClosed, view{requestLeft: true, replayable: true, reused: true, idempotent: true, retriesLeft: 1},
		action{next: StateSelectOrigin, retry: retryReused, fresh: true}},
	// Each condition alone is needed.
	{StateExchange, evOriginClosed, view{requestLeft: true, replayable: true, reused: true, idempotent: true},
		reply(502, ConnectionTerminated, SourceOrigin)},
	{StateExchange, evOriginClosed, view{requestLeft: true, replayable: true, reused: true, retriesLeft: 1},
		reply(502, ConnectionTerminated, SourceOrigin)},
	{StateExchange, evOriginClosed, view{requestLeft: true, replayable: true, idempotent: true, retriesLeft: 1},
		reply(502, ConnectionTerminated, SourceOrigin)},
	{StateExchange, evOriginClosed, view{requestLeft: true, reused: true, idempotent: true, retriesLeft: 1},
		reply(502, ConnectionTerminated, SourceOrigin)},
	// On a shared connection every request may be sent twice.
	{StateExchange, evOriginClosed, view{shared: true, requestLeft: true, retriesLeft: 1},
		action{next: StateSelectOrigin, retry: retryPipelineBroken, fresh: true, alone: true}},
	{StateExchange, evOriginClosed, view{shared: true, requestLeft: true}, reply(502, ConnectionTerminated, SourceOrigin)},
	{StateExchange, evOriginLast, view{shared: true, requestLeft: true, retriesLeft: 1},
		action{next: StateSelectOrigin, retry: retryPipelineClosed, alone: true}},
	{StateExchange, evOriginLast, view{shared: true, requestLeft: true}, reply(502, ConnectionTerminated, SourceOrigin)},
	{StateExchange, evOriginBehind, view{shared: true, requestLeft: true, retriesLeft: 1},
		action{next: StateSelectOrigin, retry: retryPipelineSlow, alone: true}},
	{StateExchange, evOriginBehind, view{shared: true, requestLeft: true}, reply(504, HTTPResponseTimeout, SourceOrigin)},
	// But for one whose response has begun.
	{StateExchange, evOriginIncomplete, view{shared: true, requestLeft: true, retriesLeft: 1}, reply(502, HTTPResponseIncomplete, SourceOrigin)},
	{StateExchange, evResponseBad, view{shared: true, requestLeft: true, retriesLeft: 1}, reply(502, HTTPProtocolError, SourceOrigin)},
	{StateExchange, evOriginIncomplete, view{retriesLeft: 1}, reply(502, HTTPResponseIncomplete, SourceOrigin)},
	{StateExchange, evOriginIncomplete, view{headSent: true}, abort(codeInternalError, HTTPResponseIncomplete, SourceOrigin)},
	{StateExchange, evResponseBad, view{retriesLeft: 1}, reply(502, HTTPProtocolError, SourceOrigin)},
	{StateExchange, evResponseBad, view{headSent: true}, abort(codeInternalError, HTTPProtocolError, SourceOrigin)},
	{StateExchange, evResponseTimeout, view{retriesLeft: 1}, reply(504, HTTPResponseTimeout, SourceOrigin)},
	{StateExchange, evResponseTimeout, view{headSent: true}, abort(codeInternalError, HTTPResponseTimeout, SourceOrigin)},
	{StateExchange, evRequestBad, view{}, reply(431, HTTPRequestError, SourceClient)},
	{StateExchange, evRequestBad, view{headSent: true}, abort(codeProtocolError, HTTPRequestError, SourceClient)},
	{StateExchange, evRequestTimeout, view{}, reply(408, ClientTimeout, SourceClient)},
	{StateExchange, evRequestTimeout, view{headSent: true}, abort(codeCancel, ClientTimeout, SourceClient)},
	{StateExchange, evClientStalled, view{headSent: true}, abort(codeCancel, ClientTimeout, SourceClient)},

	{StateExchange, evSwitched, view{}, action{next: StateTunnel}},

	{StateTunnel, evDone, view{headSent: true}, action{next: StateFinish}},
	{StateTunnel, evOriginIncomplete, view{headSent: true}, abort(codeCancel, ConnectionTerminated, SourceOrigin)},
	{StateTunnel, evClientStalled, view{headSent: true}, abort(codeCancel, ClientTimeout, SourceClient)},
	{StateTunnel, evTunnelIdle, view{headSent: true}, abort(codeCancel, ConnectionReadTimeout, SourceGateway)},

	{StateReplyLocally, evReplied, view{headSent: true}, action{next: StateFinish}},
	{StateReplyLocally, evClientStalled, view{headSent: true}, abort(codeCancel, ClientTimeout, SourceClient)},
	{StateReplyLocally, evFault, view{}, reply(500, ProxyInternalError, SourceGateway)},
	{StateReplyLocally, evFault, view{lastResort: true}, abort(codeInternalError, ProxyInternalError, SourceGateway)},

	{StateAbort, evAborted, view{}, action{next: StateFinish}},
}

// anywhere are the events that mean the same in every state before abort.
var anywhere = []struct {
	event eventKind
	view  view
	want  action
}{
	{evClientGone, view{}, abort(codeCancel, ClientAbort, SourceClient)},
	{evClientGone, view{gone: vconn.ReasonFault}, abort(codeCancel, HTTPRequestError, SourceClient)},
	{evClientGone, view{gone: vconn.ReasonSlow}, abort(codeCancel, ClientTimeout, SourceClient)},
	{evClientGone, view{gone: vconn.ReasonShutdown}, abort(codeCancel, GatewayDraining, SourceGateway)},
	{evClientGone, view{gone: vconn.ReasonInternal}, abort(codeCancel, ProxyInternalError, SourceGateway)},
	{evHookAbort, view{}, abort(codeCancel, HTTPRequestDenied, SourceGateway)},
	{evHookReply, view{headSent: true}, abort(codeInternalError, ProxyInternalError, SourceGateway)},
	{evFault, view{headSent: true}, abort(codeInternalError, ProxyInternalError, SourceGateway)},
	{evFault, view{}, reply(500, ProxyInternalError, SourceGateway)},
	{evShutdown, view{}, abort(codeRefusedStream, GatewayDraining, SourceGateway)},
	{evShutdown, view{requestLeft: true}, abort(codeCancel, GatewayDraining, SourceGateway)},
}

func TestDecide(t *testing.T) {
	for _, d := range decisions {
		if got := decide(d.state, d.view, event{kind: d.event, status: 431}); got != d.want {
			t.Errorf("%s + %s %+v:\n got %+v\nwant %+v", d.state, d.event, d.view, got, d.want)
		}
	}
	for s := StateReadRequestHead; s < StateAbort; s++ {
		for _, d := range anywhere {
			if got := decide(s, d.view, event{kind: d.event}); got != d.want {
				t.Errorf("%s + %s %+v:\n got %+v\nwant %+v", s, d.event, d.view, got, d.want)
			}
		}
		if s != StateReplyLocally {
			want := reply(418, ProxyInternalResponse, SourceGateway)
			if got := decide(s, view{}, event{kind: evHookReply, status: 418}); got != want {
				t.Errorf("%s + hookReply: got %+v, want %+v", s, got, want)
			}
		}
	}
}

func TestEveryPairThatIsNotListedIsRefused(t *testing.T) {
	listed := make(map[[2]uint8]bool)
	for _, d := range decisions {
		listed[[2]uint8{uint8(d.state), uint8(d.event)}] = true
	}
	for s := range numStates {
		for _, d := range anywhere {
			if s < StateAbort {
				listed[[2]uint8{uint8(s), uint8(d.event)}] = true
			}
		}
	}
	for s := range numStates {
		for k := range numEvents {
			for _, v := range []view{{}, {headSent: true}, {retriesLeft: 9, replayable: true, idempotent: true, reused: true, requestLeft: true}} {
				got := decide(s, v, event{kind: k, status: 400})
				if want := !listed[[2]uint8{uint8(s), uint8(k)}]; got.refused != want {
					t.Errorf("%s + %s: refused %v, want %v", s, k, got.refused, want)
				}
				if got.refused && (got.next != StateAbort || got.outcome != ProxyInternalError) {
					t.Errorf("%s + %s: refused with %+v", s, k, got)
				}
			}
		}
	}
}

func TestAnOriginConnectionIsKeptOnlyAfterTwoExactEnds(t *testing.T) {
	all := view{requestDone: true, responseDone: true, originKeepAlive: true}
	for name, without := range map[string]func(*view){
		"request not done":  func(v *view) { v.requestDone = false },
		"response not done": func(v *view) { v.responseDone = false },
		"origin closes":     func(v *view) { v.originKeepAlive = false },
	} {
		v := all
		without(&v)
		if keepOrigin(v) {
			t.Errorf("%s: kept", name)
		}
	}
	if !keepOrigin(all) {
		t.Error("not kept after two exact ends")
	}
}

func TestEveryStateEventAndDirectionHasAName(t *testing.T) {
	seen := make(map[string]bool)
	check := func(name string) {
		if name == "" || seen[name] {
			t.Errorf("name %q is empty or there twice", name)
		}
		seen[name] = true
	}
	for s := range numStates {
		check(s.String())
	}
	for k := range numEvents {
		check(k.String())
	}
	seen = make(map[string]bool)
	for d := range numDirections {
		check(d.String())
	}
	for p := range numPoints {
		check(p.String())
	}
	seen = make(map[string]bool)
	for _, o := range Outcomes() {
		check(string(o))
	}
}
