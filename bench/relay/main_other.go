//go:build !linux || 386 || s390x

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "relay: runs on Linux only, not on 386 and s390x: it waits with epoll and calls recvfrom and sendto")
	os.Exit(1)
}
