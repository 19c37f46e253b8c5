package vconn

import (
	"testing"
	"unsafe"
)

// There is a pair for every request: one byte more than this and the runtime
// takes it from the next larger class, in another way.
func TestAPairIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(pair{}); n > 512 {
		t.Errorf("a pair has %d bytes", n)
	}
}
