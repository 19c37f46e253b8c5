// Package netio reads and writes TCP sockets with less ceremony than package
// net.
//
// The runtime takes every system call of package syscall for one that may
// block: it lets go of the P around the call, and its monitor gives the P to
// another thread when the call lasts more than about 20 microseconds, as writes
// to a socket on the same machine do. For a gateway that is threads waking each
// other thousands of times a second. Sockets of package net do not block, so
// nothing is lost by calling the kernel directly and letting the goroutine wait
// in the network poller as usual.
//
// Wrap gives a connection that does so, and is otherwise the *net.TCPConn that
// it wraps. On systems other than Linux it changes nothing.
//
// A Poller waits for many sockets in one goroutine, and an Acceptor accepts
// connections that it waits for from the beginning. Both exist on Linux only.
package netio
