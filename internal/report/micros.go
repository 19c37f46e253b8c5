package report

import (
	"math"
	"strconv"
	"time"
)

// micros returns a number of milliseconds as whole microseconds, rounded.
func micros(n number, text []byte) (us uint64, ok bool) {
	if n.odd || n.scale > 15 || n.digits > math.MaxUint64/1000 {
		ms, err := strconv.ParseFloat(string(text), 64)
		if err != nil || ms < 0 || ms > maxMicros/1000 {
			return maxMicros, err == nil && ms >= 0
		}
		return uint64(math.Round(ms * 1000)), true
	}
	us = n.digits * 1000
	if n.scale > 0 {
		p := pow10[n.scale]
		us = (us + p/2) / p
	}
	return min(us, maxMicros), true
}

// maxMicros bounds durations at 100 days, the range of the histograms: a client
// connection may live that long, and a nonsense value cannot spoil a sum.
const maxMicros = 100 * 24 * 3600 * 1e6

var pow10 = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// A clock reads times. It remembers the last day: nearly all lines share it.
type clock struct {
	day   [10]byte
	since int64 // microseconds from the epoch to that day
}

// read returns the microseconds since the epoch of an RFC 3339 time.
func (c *clock) read(b []byte) (int64, bool) {
	const layout = "2006-01-02T15:04:05.000000Z"
	if len(b) != len(layout) || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[19] != '.' || b[26] != 'Z' {
		return readSlowly(b)
	}
	h, ok1 := decimal(b[11:13])
	m, ok2 := decimal(b[14:16])
	s, ok3 := decimal(b[17:19])
	us, ok4 := decimal(b[20:26])
	if !ok1 || !ok2 || !ok3 || !ok4 || h > 23 || m > 59 || s > 59 {
		return 0, false
	}
	if string(b[:10]) != string(c.day[:]) {
		day, err := time.Parse(time.DateOnly, string(b[:10]))
		if err != nil {
			return 0, false
		}
		copy(c.day[:], b)
		c.since = day.UnixMicro()
	}
	return c.since + ((h*60+m)*60+s)*1e6 + us, true
}

func readSlowly(b []byte) (int64, bool) {
	t, err := time.Parse(time.RFC3339Nano, string(b))
	return t.UnixMicro(), err == nil
}

func decimal(b []byte) (v int64, ok bool) {
	for _, c := range b {
		if c -= '0'; c > 9 {
			return 0, false
		}
		v = v*10 + int64(c)
	}
	return v, true
}
