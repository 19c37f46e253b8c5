package accesslog

import (
	"context"
	"io"
	"testing"

	"github.com/h2gw/h2gw/pitag"
)

func benchLog(b *testing.B, cfg Config) *Log {
	b.Helper()
	cfg.Output = io.Discard
	l, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			b.Error(err)
		}
		st := l.Stats()
		b.ReportMetric(float64(st.Lines)/float64(max(st.Writes, 1)), "lines/write")
		b.ReportMetric(float64(st.Dropped), "dropped")
	})
	b.ReportAllocs()
	return l
}

func BenchmarkAccessLine(b *testing.B) {
	l, r := benchLog(b, Config{}), sampleRecord(sampleSession())
	for b.Loop() {
		l.Record(r)
	}
}

func BenchmarkAccessLineCombined(b *testing.B) {
	l, r := benchLog(b, Config{Format: Combined}), sampleRecord(sampleSession())
	for b.Loop() {
		l.Record(r)
	}
}

func BenchmarkAccessLineParallel(b *testing.B) {
	l := benchLog(b, Config{})
	seq := pitag.NewSequence(pitag.TagH2)
	b.RunParallel(func(pb *testing.PB) {
		s := sampleSession()
		s.Identity = seq.Next()
		r := sampleRecord(s)
		for pb.Next() {
			l.Record(r)
		}
	})
}
