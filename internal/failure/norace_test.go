//go:build !race

package failure

// scaled leaves numbers of requests as they are; see race_test.go.
func scaled(n int) int { return n }
