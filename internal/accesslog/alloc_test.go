//go:build !race

package accesslog

import (
	"io"
	"testing"
	"time"
)

// Not under the race detector, where a sync.Pool drops what it is given at
// random: lines are made in buffers from one.
func TestAccessLineAllocatesNothing(t *testing.T) {
	for _, format := range []Format{JSON, Combined} {
		// Room for all lines, in one chunk that a first line has made: what is
		// counted is the line.
		l := open(t, Config{Output: io.Discard, Format: format, FlushInterval: time.Hour})
		r := sampleRecord(sampleSession())
		l.Record(r)
		if n := testing.AllocsPerRun(50, func() { l.Record(r) }); n > 0 {
			t.Errorf("format %d: %v allocations per line, want 0", format, n)
		}
		closeLog(t, l)
	}
}
