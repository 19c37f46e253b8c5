// Package load makes requests: with h2load, whose output and per-request log
// it reads, and with a small HTTP/2 client of its own for what h2load cannot
// do (connections that stay idle, connections that resume a TLS session).
package load
