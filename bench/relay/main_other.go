//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "relay: runs on Linux only: it waits with epoll")
	os.Exit(1)
}
