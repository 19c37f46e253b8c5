package httpsm

// usually is decide for what nearly always happens, where no fact and no clock
// matters: then what is looked at, and what else an action can hold, need not be
// put together. A test holds it to decide.
func usually(s State, k eventKind) (next State, ok bool) {
	switch s {
	case StateReadRequestHead:
		return StateRoute, k == evHeadRead
	case StateRoute:
		return StateSelectOrigin, k == evRouted
	case StateSelectOrigin:
		return StateConnectOrigin, k == evSelected
	case StateConnectOrigin:
		return StateSendRequestHead, k == evConnected
	case StateSendRequestHead:
		return StateExchange, k == evSent
	case StateExchange:
		if k == evDone {
			return StateFinish, true
		}
		return StateExchange, k == evResponseHead
	}
	return s, false
}
