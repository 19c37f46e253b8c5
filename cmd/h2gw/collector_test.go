package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestSmallHeapsHaveHeadroom(t *testing.T) {
	for _, tt := range []struct {
		last, live uint64
		want       int
	}{
		{0, 0, 1600}, {1 << 20, 1 << 20, 1600}, {4 << 20, 4 << 20, 400}, {8 << 20, 8 << 20, 200},
		{16 << 20, 16 << 20, 100}, {1 << 30, 1 << 30, 100}, {1 << 44, 1 << 44, 100},
		// It grows: the first collection, connections that come, large heaps.
		{0, 2 << 20, 100}, {2 << 20, 3 << 20, 100}, {8 << 20, 9 << 20, 100},
		// It moves a little, or shrinks.
		{4<<20 - 300<<10, 4 << 20, 400}, {8<<20 - 900<<10, 8 << 20, 200}, {12 << 20, 4 << 20, 400},
	} {
		if got := percentFor(tt.last, tt.live); got != tt.want {
			t.Errorf("%d bytes alive, %d before: %d %%, want %d", tt.live, tt.last, got, tt.want)
		}
	}
}

// What is alive grows, and shrinks: the percentage follows, by the collections
// alone.
func TestTheCollectorIsPacedByWhatIsAlive(t *testing.T) {
	if os.Getenv("GOGC") != "" {
		t.Skip("GOGC is set")
	}
	defer debug.SetGCPercent(100)
	paceCollector()
	current := func() int { // without setting it, which the pacer may be doing just now
		s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(s)
		return int(s[0].Value.Uint64())
	}
	until := func(what string, ok func(percent int) bool) {
		t.Helper()
		eventually(t, what, func() bool { runtime.GC(); return ok(current()) })
	}
	until("a small heap", func(n int) bool { return n > 200 })
	ballast := make([]byte, 64<<20)
	until("a heap of 64 MiB", func(n int) bool { return n == 100 })
	runtime.KeepAlive(ballast)
	until("a small heap again", func(n int) bool { return n > 200 })
}
