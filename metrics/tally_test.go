package metrics

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/h2gw/h2gw/pitag"
)

// both observes durations in a timing and in a histogram of client_golang that is
// made as ours is said to be, and returns what each tells.
func both(t *testing.T, durations []time.Duration) (ours, theirs *dto.Histogram) {
	t.Helper()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "h", Buckets: latencyBuckets, NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: math.Ldexp(1, -128),
	})
	var a, b timing
	for i, d := range durations {
		h.Observe(d.Seconds())
		if i%3 == 0 {
			a.observe(d)
		} else {
			b.observe(d)
		}
	}
	a.add(&b)
	var out dto.Metric
	if err := h.Write(&out); err != nil {
		t.Fatal(err)
	}
	ours = &dto.Histogram{SampleCount: new(a.count), SampleSum: new(a.sum())}
	a.writeNative(ours)
	for _, bound := range latencyBuckets {
		ours.Bucket = append(ours.Bucket, &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(a.buckets()[bound])})
	}
	return ours, out.Histogram
}

func sameHistogram(t *testing.T, ours, theirs *dto.Histogram) {
	t.Helper()
	if d := math.Abs(ours.GetSampleSum() - theirs.GetSampleSum()); d > 1e-9*theirs.GetSampleSum() {
		t.Errorf("sum %v, want %v", ours.GetSampleSum(), theirs.GetSampleSum())
	}
	ours.SampleSum, theirs.SampleSum, theirs.CreatedTimestamp = nil, nil, nil
	if a, b := ours.String(), theirs.String(); a != b {
		t.Errorf("\n got %s\nwant %s", a, b)
	}
}

// The histograms are Prometheus' own, whatever is put into them.
func TestATimingTellsWhatAPrometheusHistogramWould(t *testing.T) {
	var edges []time.Duration
	for _, bound := range latencyBounds {
		edges = append(edges, bound-1, bound, bound+1)
	}
	for i := range 63 {
		edges = append(edges, 1<<i-1, 1<<i, 1<<i+1)
	}
	edges = append(edges, math.MaxInt64, time.Second, time.Second/2, time.Second/4)
	for _, d := range edges {
		ours, theirs := both(t, []time.Duration{d})
		sameHistogram(t, ours, theirs)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for size := range 200 {
		var some []time.Duration
		for range size {
			some = append(some, time.Duration(rnd.Int64N(1<<rnd.IntN(40))))
		}
		ours, theirs := both(t, some)
		sameHistogram(t, ours, theirs)
	}
}

func TestManyNativeBucketsAreJoined(t *testing.T) {
	var a timing
	for d := time.Duration(1); d < time.Hour; d += d/20 + 1 {
		a.observe(d)
	}
	full, _, _ := (&a).sparse()
	var h dto.Histogram
	a.writeNative(&h)
	if len(full) > maxNativeBuckets || h.GetSchema() >= nativeSchema {
		t.Errorf("%d buckets at schema %d", len(full), h.GetSchema())
	}
	n, at := int64(0), int64(0)
	for _, d := range h.GetPositiveDelta() {
		at += d
		n += at
	}
	if n+int64(h.GetZeroCount()) != int64(a.count) {
		t.Errorf("%d observations are in buckets, %d were made", n, a.count)
	}
}

func TestTheSumOfATimingDoesNotOverflow(t *testing.T) {
	var a timing
	for range 40 {
		a.observe(math.MaxInt64)
	}
	var b timing
	b.add(&a)
	if want := 40 * time.Duration(math.MaxInt64).Seconds(); math.Abs(b.sum()-want) > 1 {
		t.Errorf("the sum is %v, want %v", b.sum(), want)
	}
}

// A scrape in the middle of traffic sees each transaction whole or not at all.
func TestEachScrapeAddsUp(t *testing.T) {
	m, reg := setup(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s := session(pitag.TagH2, uint64(i+1))
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				m.Record(record(s, "GET", 200+n%40, "completed"))
			}
		})
	}
	for range 20 {
		got := gather(t, reg)
		streams := total(got["h2gw_streams_total"])
		durations := 0.0
		for _, series := range got["h2gw_request_duration_seconds"].GetMetric() {
			durations += float64(series.GetHistogram().GetSampleCount())
		}
		for what, n := range map[string]float64{
			"requests": total(got["h2gw_requests_total"]), "outcomes": total(got["h2gw_outcomes_total"]),
			"answers": total(got["h2gw_origin_requests_total"]), "durations": durations,
		} {
			if n != streams && (what != "answers" || got["h2gw_origin_requests_total"] != nil) {
				t.Errorf("%v streams, %v %s", streams, n, what)
			}
		}
	}
	close(stop)
	wg.Wait()
}
