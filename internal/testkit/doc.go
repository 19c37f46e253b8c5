// Package testkit is what the tests drive the gateway with: an HTTP/2 client that
// speaks in frames, a scripted HTTP/1.1 origin, and network connections in memory
// that wait in a way testing/synctest understands.
package testkit
