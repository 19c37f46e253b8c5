// Package origin decides which origin a request goes to and over which
// connection: groups, balancing, the pool of kept-alive connections, connecting
// and TLS.
//
// A [Group] is a set of endpoints that serve the same content; an [Endpoint] is
// one address of it. A transaction asks the group for an endpoint
// ([Group.Pick]), the endpoint for an [Exchange] ([Endpoint.Get]), writes its
// request, reads the response and gives the exchange back ([Exchange.Release]).
// Whether an exchange owns its connection alone or takes turns on it is the
// pool's business, which is why Exchange is an interface.
//
// # Kept-alive connections
//
// The connection used last is reused first: few connections stay warm and the
// rest time out. An idle connection holds no buffer. One that the origin closes,
// or on which bytes arrive that nobody asked for, is closed and counted: bytes on
// an idle connection would otherwise be read as the response to the next request
// (RFC 9112, section 9.2; section 11.2 on response splitting).
//
// A plain TCP connection is given to a poller, which notices that when it
// happens, and can be waited for without a goroutine ([Awaitable],
// [Endpoint.TryGet]); polled.go has the whole story. Others, and on systems other
// than Linux all of them, are looked at once before they are used again, without
// waiting; see check.go.
//
// # Ownership
//
//   - the count of open connections and the queue of waiting requests: pool.mu;
//     the idle ones: the shelf that each is on;
//   - a connection's read buffer and framing position: the one goroutine that
//     reads the exchange; its poller, or the timer of the read deadline, from
//     Await to Resume;
//   - a shared connection: pipeline_steps.go and pipeline_write.go say who reads,
//     and who writes;
//   - a connection as a whole: whoever took it from the pool, until Release;
//   - counters: atomics.
//
// Nothing here blocks while a lock is held.
package origin
