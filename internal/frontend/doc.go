// Package frontend is the client side of the socket: listeners, TLS, the choice
// of protocol and the limits on client connections. Each connection that gets
// as far as speaking a known protocol is handed, with what is known about it,
// to one injected [Handler]; each one that does not is reported to the same
// Handler with the reason, so that no accepted connection goes uncounted.
//
// Two kinds of listener exist. A TLS listener offers ALPN "h2" and "http/1.1".
// A cleartext listener takes HTTP/2 with prior knowledge (RFC 9113, 3.3) and
// HTTP/1.1 on the same port and tells them apart by their first bytes.
//
// The package knows nothing of sessions, transactions or logs and imports, but
// for how sockets are read, the standard library only.
package frontend
