package metrics

import (
	"math"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// latencyBuckets go from what a gateway beside its origin takes to where most
// timeouts are.
var latencyBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// latencyBounds are the same as durations.
var latencyBounds = func() (t [16]time.Duration) {
	if len(t) != len(latencyBuckets) {
		panic("metrics: latencyBounds has another length than latencyBuckets")
	}
	for i, b := range latencyBuckets {
		t[i] = time.Duration(math.Round(b * 1e9))
	}
	return t
}()

// A timing is a histogram of durations, with classic buckets and native ones eight
// to each doubling (schema 3, a tenth apart). It is what a prometheus.Histogram
// would hold, without atomics: it belongs to whoever holds the lock of its shard.
type timing struct {
	count          uint64
	seconds, nanos uint64 // the sum; nanos may be many seconds
	classic        [len(latencyBounds) + 1]uint64
	zero           uint64
	native         [maxNativeKey - minNativeKey + 1]uint64
}

const (
	nativeSchema     = 3
	nativePerDouble  = 1 << nativeSchema
	minNativeKey     = -30 * nativePerDouble // 1 ns is more than 2^-30 s
	maxNativeKey     = 34 * nativePerDouble  // the longest Duration is less than 2^34 s
	maxNativeBuckets = 160                   // more are joined when they are shown
)

// nativeBounds divide [0.5, 1): the mantissas of 2^(i/8), as bits.
var nativeBounds = func() (t [nativePerDouble]uint64) {
	for i := range t {
		t[i] = math.Float64bits(math.Exp2(float64(i)/nativePerDouble-1)) & mantissa
	}
	return t
}()

const mantissa = 1<<52 - 1

// nativeKey returns the key of the native bucket that v > 0 is in: its upper bound
// is 2^(key/8) (Prometheus' native histograms, schema 3).
func nativeKey(v float64) int {
	b := math.Float64bits(v)
	exp, frac := int(b>>52)-1022, b&mantissa
	below := 0
	for _, bound := range &nativeBounds {
		if bound < frac {
			below++
		}
	}
	return below + (exp-1)*nativePerDouble
}

// observe counts d, which is not negative.
func (t *timing) observe(d time.Duration) {
	t.count++
	if t.nanos += uint64(d); t.nanos >= 1<<62 {
		t.seconds += t.nanos / 1e9
		t.nanos %= 1e9
	}
	i := 0
	for i < len(latencyBounds) && d > latencyBounds[i] {
		i++
	}
	t.classic[i]++
	if d == 0 {
		t.zero++
	} else {
		t.native[nativeKey(d.Seconds())-minNativeKey]++
	}
}

// add adds what o has counted.
func (t *timing) add(o *timing) {
	t.count += o.count
	t.seconds += o.seconds + o.nanos/1e9
	t.nanos += o.nanos % 1e9
	for i, n := range o.classic {
		t.classic[i] += n
	}
	t.zero += o.zero
	for i, n := range o.native {
		t.native[i] += n
	}
}

// sum returns the sum in seconds.
func (t *timing) sum() float64 { return float64(t.seconds) + float64(t.nanos)/1e9 }

// buckets returns the classic buckets, as they count: each with those below.
func (t *timing) buckets() map[float64]uint64 {
	m, sum := make(map[float64]uint64, len(latencyBuckets)), uint64(0)
	for i, bound := range latencyBuckets {
		sum += t.classic[i]
		m[bound] = sum
	}
	return m
}

// writeNative adds the native buckets to h.
func (t *timing) writeNative(h *dto.Histogram) {
	keys, counts, schema := t.sparse()
	h.Schema, h.ZeroThreshold, h.ZeroCount = new(schema), new(math.Ldexp(1, -128)), new(t.zero)
	next, last := 0, int64(0)
	put := func(n int64) {
		*h.PositiveSpan[len(h.PositiveSpan)-1].Length++
		h.PositiveDelta = append(h.PositiveDelta, n-last)
		last = n
	}
	for i, key := range keys {
		if gap := key - next; i == 0 || gap > 2 {
			h.PositiveSpan = append(h.PositiveSpan, &dto.BucketSpan{Offset: new(int32(gap)), Length: new(uint32(0))})
		} else {
			for range gap { // shorter than a new span
				put(0)
			}
		}
		put(int64(counts[i]))
		next = key + 1
	}
}

// sparse returns the native buckets that hold something. Where those are too many,
// neighbours are joined, which halves the resolution each time.
func (t *timing) sparse() (keys []int, counts []uint64, schema int32) {
	for i, n := range t.native {
		if n > 0 {
			keys, counts = append(keys, i+minNativeKey), append(counts, n)
		}
	}
	schema = nativeSchema
	for ; len(keys) > maxNativeBuckets; schema-- {
		kept := 0
		for i, key := range keys {
			key = (key + 1) >> 1
			if kept > 0 && keys[kept-1] == key {
				counts[kept-1] += counts[i]
				continue
			}
			keys[kept], counts[kept] = key, counts[i]
			kept++
		}
		keys, counts = keys[:kept], counts[:kept]
	}
	return keys, counts, schema
}
