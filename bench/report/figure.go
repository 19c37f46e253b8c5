package report

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// A Column names a figure; it is also its key in JSON.
type Column string

// The figures, with their units.
const (
	CPU      Column = "cpu_us"     // processor time per request (or connection), µs
	System   Column = "system_pct" // part of it spent in the kernel, %
	Rate     Column = "rps"        // requests per second
	Memory   Column = "pss_mib"    // proportional set size at the end of the run, MiB
	Syscalls Column = "syscalls"   // system calls per request
	P50      Column = "p50_us"     // time from request to end of response, µs
	P99      Column = "p99_us"     //
	P999     Column = "p999_us"    //
	IdleKiB  Column = "idle_kib"   // PSS per idle connection, KiB
	// PSS per open stream, KiB
	StreamKiB Column = "stream_kib"
)

var columns = map[Column]struct {
	title  string
	digits int
}{
	CPU: {"CPU µs/request", 1}, System: {"in kernel %", 0}, Rate: {"requests/s", 0}, Memory: {"memory MiB", 1},
	Syscalls: {"syscalls/request", 2}, P50: {"p50 µs", 0}, P99: {"p99 µs", 0}, P999: {"p99.9 µs", 0},
	IdleKiB: {"KiB/connection", 1}, StreamKiB: {"KiB/stream", 1},
}

// Title is the column's heading, with its unit.
func (c Column) Title() string { return columns[c].title }

// Format writes a value as the column's figures are written.
func (c Column) Format(v float64) string {
	digits := columns[c].digits
	if v >= 1000 {
		digits = 0
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

// A Figure is the median of some runs, with the range they fell in.
type Figure struct{ Median, Min, Max float64 }

// NewFigure makes a figure of at least one value.
func NewFigure(v []float64) (Figure, bool) {
	if len(v) == 0 {
		return Figure{}, false
	}
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return Figure{Median: (s[(n-1)/2] + s[n/2]) / 2, Min: s[0], Max: s[n-1]}, true
}

// Text is "median (min–max)", or the median alone where there was one run.
func (f Figure) Text(c Column) string {
	if f.Min == f.Max {
		return c.Format(f.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", c.Format(f.Median), c.Format(f.Min), c.Format(f.Max))
}

// Percentile returns the smallest value that at least p percent of sorted are
// not above (nearest rank). It is 0 for an empty slice.
func Percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	// The small term keeps 99.9 % of 1000 at rank 999, where floating point says a little more.
	rank := int(p/100*float64(len(sorted)) + 1 - 1e-9)
	return sorted[min(max(rank, 1), len(sorted))-1]
}
