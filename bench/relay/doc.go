// Command relay copies bytes between pairs of sockets and says what that cost, for
// bench's question how much of what a gateway pays for many connections is the
// kernel's.
//
//	go run ./bench/relay -from 127.0.0.1:8600 -to 127.0.0.1:9000
//	h2load --h1 -c 2000 -m 1 -D 10 http://127.0.0.1:8600/
//
// The first seconds are not to be counted: connections are opened in them.
// Each connection it accepts gets a connection of its own to the address of -to.
// There is no TLS, no HTTP, and nothing of Go's scheduler or poller: each worker is a
// process of one thread with an epoll instance, as in nginx.
package main
