package metrics

import (
	"testing"
	"time"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/pitag"
)

func TestCountingATransactionAllocatesNothing(t *testing.T) {
	m, _ := setup(t)
	s := session(pitag.TagH2, 1)
	r := record(s, "GET", 200, "completed")
	refused := &h2session.Refusal{Session: s, Outcome: "gateway_draining"}
	spread := time.Duration(0)
	run := func() {
		// Durations from 1 µs to 10 s: native buckets of all kinds.
		spread = spread*3/2 + time.Microsecond
		if spread > 10*time.Second {
			spread = 0
		}
		r.End = r.Start.Add(spread)
		m.Record(r)
		m.Refused(refused)
	}
	for range 200 {
		run() // makes the buckets
	}
	if n := testing.AllocsPerRun(500, run); n > 0 {
		t.Errorf("%v allocations per transaction, want 0", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	m, _ := setup(b)
	r := record(session(pitag.TagH2, 1), "GET", 200, "completed")
	b.ReportAllocs()
	for b.Loop() {
		m.Record(r)
	}
}

// Four endpoints in turn, and now and then another status.
func BenchmarkRecordMixed(b *testing.B) {
	m, _ := setup(b)
	var mix []*httpsm.Record
	origins := [...]string{"10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080", "10.0.0.4:8080"}
	for i := range 16 {
		r := record(session(pitag.TagH2, 1), "GET", 200, "completed")
		r.Origin = origins[i%4]
		if i > 12 {
			r.Status, r.OriginStatus = 304, 304
		}
		mix = append(mix, r)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.Record(mix[i%len(mix)])
	}
}

func BenchmarkRecordParallel(b *testing.B) {
	m, _ := setup(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := record(session(pitag.TagH2, 1), "GET", 200, "completed")
		for pb.Next() {
			m.Record(r)
		}
	})
}

func BenchmarkSession(b *testing.B) {
	m, _ := setup(b)
	s := session(pitag.TagH2, 1)
	r := closed(s, 3, pitag.CauseClientClosed)
	b.ReportAllocs()
	for b.Loop() {
		m.SessionOpened(s)
		m.SessionClosed(r)
	}
}

func BenchmarkScrape(b *testing.B) {
	m, reg := setup(b)
	traffic(m)
	for b.Loop() {
		if _, err := reg.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
