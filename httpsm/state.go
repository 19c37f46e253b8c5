package httpsm

import (
	"fmt"
	"strings"
	"time"
)

// A State is where a transaction is. The zero State is the first.
type State uint8

// The states, in the order a transaction that goes well passes them; see
// docs/hooks.md for the diagram. ReplyLocally and Abort are the side exits.
const (
	StateReadRequestHead State = iota
	StateRoute
	StateSelectOrigin
	StateConnectOrigin
	StateSendRequestHead
	StateExchange
	StateTunnel // the origin switched protocols
	StateReplyLocally
	StateAbort
	StateFinish
	numStates
)

var stateNames = [numStates]string{
	"readRequestHead", "route", "selectOrigin", "connectOrigin", "sendRequestHead",
	"exchange", "tunnel", "replyLocally", "abort", "finish",
}

// String returns the name used in architecture and logs.
func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// A direction is how far one of the two messages of an exchange has come.
type direction uint8

const (
	dirHead direction = iota
	dirBody
	dirTrailers
	dirDone
	dirFailed
	numDirections
)

var directionNames = [numDirections]string{"head", "body", "trailers", "done", "failed"}

func (d direction) String() string {
	if d < numDirections {
		return directionNames[d]
	}
	return fmt.Sprintf("direction(%d)", uint8(d))
}

// An eventKind is what came of the work of a state.
type eventKind uint8

const (
	evHeadRead       eventKind = iota // the request head is complete and valid
	evHeadTimeout                     // ... did not come in time
	evRequestBad                      // the request is malformed or too large; event.status
	evRequestRefused                  // the request is not one we serve; event.status
	evRequestTimeout                  // the request body stopped coming
	evClientGone                      // the client left
	evClientStalled                   // the client does not read
	evRouted                          // a group is chosen
	evNoOrigin                        // there is no group, or no endpoint in it
	evSelected                        // an endpoint is chosen
	evConnected                       // an exchange is had
	evConnectRefused                  // none could be had, because ...
	evConnectTimeout
	evConnectTLS
	evConnectLimit
	evConnectResource
	evConnectFailed
	evSent             // the request head has left
	evSendFailed       // the connection broke while it was written
	evResponseHead     // the final response head is read
	evResponseBad      // the response is malformed
	evResponseTimeout  // the origin sends nothing
	evOriginClosed     // the origin closed before the first byte of a response
	evOriginIncomplete // the origin closed within its response
	evUnshared         // the request cannot share the connection it has after all
	evOriginBehind     // others on the connection took too long for the response to come
	evOriginLast       // the origin ends the connection before it comes to this request
	evSwitched         // the origin has switched protocols, as it was asked to
	evTunnelIdle       // nothing passed the tunnel for too long
	evDone             // the response has been written to the client whole
	evReplied          // our own response has
	evAborted          // the client side has been reset
	evHookReply        // a hook wants to answer
	evHookAbort        // a hook wants nobody to answer
	evFault            // a fault of ours: a panic
	evShutdown         // the machine ends all transactions
	numEvents
	evNone // internal: nothing to decide yet
	evWait // internal: to go on would be to wait; see inline.go
)

var eventNames = [numEvents]string{
	"headRead", "headTimeout", "requestBad", "requestRefused", "requestTimeout", "clientGone",
	"clientStalled", "routed", "noOrigin", "selected", "connected", "connectRefused",
	"connectTimeout", "connectTLS", "connectLimit", "connectResource", "connectFailed", "sent", "sendFailed",
	"responseHead", "responseBad", "responseTimeout", "originClosed", "originIncomplete",
	"unshared", "originBehind", "originLast", "switched", "tunnelIdle", "done",
	"replied", "aborted", "hookReply", "hookAbort", "fault", "shutdown",
}

func (k eventKind) String() string {
	if k < numEvents {
		return eventNames[k]
	}
	return fmt.Sprintf("event(%d)", uint8(k))
}

// An event is an eventKind with what a decision or the log needs beside it.
type event struct {
	kind   eventKind
	status int   // of the reply, where the kind leaves it open
	err    error // detail for the log
}

// A history is a ring of a transaction's last decisions. Adding costs no clock
// reading and no allocation; it is printed only when a transaction ends badly
// (ATS: include/tscore/History.h).
type history struct {
	n     uint32
	steps [32]step
}

type step struct {
	at    time.Duration // from the transaction's start to its last look at the clock
	state State
	event eventKind
}

func (h *history) reset() { h.n = 0 }

func (h *history) add(s State, k eventKind, at time.Duration) {
	h.steps[h.n%uint32(len(h.steps))] = step{at, s, k}
	h.n++
}

// endedIn reports whether the last decision was made in state s.
func (h *history) endedIn(s State) bool {
	return h.n > 0 && h.steps[(h.n-1)%uint32(len(h.steps))].state == s
}

// text lists the steps as "state+event@offset", oldest first.
func (h *history) text() string {
	var b strings.Builder
	size := uint32(len(h.steps))
	first := uint32(0)
	if h.n > size {
		first = h.n - size
		fmt.Fprintf(&b, "(%d earlier) ", first)
	}
	for i := first; i < h.n; i++ {
		s := h.steps[i%size]
		if i > first {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s+%s@%s", s.state, s.event, s.at.Round(time.Microsecond))
	}
	return b.String()
}
