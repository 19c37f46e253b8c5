package report

import (
	"math"
	"math/bits"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Two significant digits: a percentile is at most 1/128 above the exact value.
// A histogram then takes 38 kB whatever it has counted; three digits would take
// 280 kB, and there is one per origin and worker.
const (
	histDigits = 2
	// PercentileError bounds how far a percentile may be above the exact one,
	// as a share of it. Values below 256 (microseconds, streams) are exact, and
	// so are count, smallest, mean and largest.
	PercentileError = 1.0 / 128
)

// A hist is a distribution of whole numbers from 0 to maxMicros.
type hist struct {
	h           *hdrhistogram.Histogram
	n, sum      uint64
	least, most uint64
	powers      [maxPower + 1]uint64 // by bits.Len64: 0, 1, 2-3, 4-7, …
}

const maxPower = 43 // bits.Len64(maxMicros)

func newHist() *hist {
	return &hist{}
}

// counts returns the histogram, made when there is something to count.
func (h *hist) counts() *hdrhistogram.Histogram {
	if h.h == nil {
		h.h = hdrhistogram.New(1, maxMicros, histDigits)
	}
	return h.h
}

// add counts v, n times.
func (h *hist) add(v, n uint64) {
	v = min(v, maxMicros)
	// It cannot fail: v is in range, and n counts lines that were really read.
	_ = h.counts().RecordValues(int64(v), int64(n))
	if h.n == 0 || v < h.least {
		h.least = v
	}
	h.most = max(h.most, v)
	h.n += n
	h.sum += v * n
	h.powers[bits.Len64(v)] += n
}

func (h *hist) merge(o *hist) {
	if o == nil || o.n == 0 {
		return
	}
	h.counts().Merge(o.h)
	if h.n == 0 || o.least < h.least {
		h.least = o.least
	}
	h.most = max(h.most, o.most)
	h.n += o.n
	h.sum += o.sum
	for i, n := range o.powers {
		h.powers[i] += n
	}
}

// quantile returns the value that q percent of all values do not exceed.
func (h *hist) quantile(q float64) uint64 {
	return min(max(uint64(h.h.ValueAtQuantile(q)), h.least), h.most)
}

// distribution returns what the report says of h, each value times unit.
func (h *hist) distribution(unit float64) Distribution {
	if h == nil || h.n == 0 {
		return Distribution{}
	}
	at := func(q float64) float64 { return float64(h.quantile(q)) / unit }
	return Distribution{
		Count: h.n, Min: float64(h.least) / unit, Mean: rounded(float64(h.sum) / float64(h.n) / unit),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.most) / unit,
	}
}

// rounded cuts v to six decimals: 1.3614 and not 1.3614000000000002.
func rounded(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// buckets returns the distribution by powers of two, without the empty ends.
func (h *hist) buckets() []Bucket {
	if h == nil || h.n == 0 {
		return nil
	}
	var bs []Bucket
	for i := bits.Len64(h.least); i <= bits.Len64(h.most); i++ {
		b := Bucket{Count: h.powers[i]}
		if i > 0 {
			b.From, b.To = 1<<(i-1), 1<<i-1
		}
		bs = append(bs, b)
	}
	return bs
}
