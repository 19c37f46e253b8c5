// Package hostile holds no code, only tests: every denial of service published
// against HTTP/2 from 2019 on, played over real sockets against a gateway
// composed in process, while a well-behaved client on a connection of its own
// keeps getting right answers in bounded time and memory stays bounded; and the
// odd but honest clients that none of this may cut off.
package hostile
