// Package respond answers requests in the gateway itself, without an origin:
// health checks, robots.txt, redirects, maintenance pages.
//
// Rules are tried in order at PreRoute, after request heads were read and
// rewritten by other plugins and before an origin is chosen; the first that
// matches answers. The transaction is otherwise a usual one: response hooks
// run, and it is in the log with the outcome proxy_internal_response.
//
// Paths are compared as received, byte for byte, without the query: nothing is
// decoded and no "." or ".." is resolved. That makes rules predictable, and
// unfit for deciding who may see what.
package respond
