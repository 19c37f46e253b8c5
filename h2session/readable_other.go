//go:build !unix

package h2session

// readable says yes where nobody knows how to ask: the read that follows waits.
func readable(uintptr) bool { return true }
