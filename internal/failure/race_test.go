//go:build race

package failure

// scaled makes numbers of requests smaller where each costs much more.
func scaled(n int) int { return n / 4 }
