package report

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkReport reads a log of 256 MiB from a file, as the command does. The
// target is 300 MB/s on two cores.
func BenchmarkReport(b *testing.B) {
	name := filepath.Join(b.TempDir(), "access.log")
	_, block := generate(1, 200, 256<<20)
	if err := os.WriteFile(name, block, 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(block)))
	b.ReportAllocs()
	for b.Loop() {
		s, err := Summarize(context.Background(), Options{Files: []string{name}})
		if err != nil || s.Lines.Broken > 0 || !s.Streams.Complete {
			b.Fatalf("error %v, lines %+v, streams %+v", err, s.Lines, s.Streams)
		}
	}
}

// BenchmarkParse is one line, on one core.
func BenchmarkParse(b *testing.B) {
	_, log := generate(1, 4, 1<<10)
	text, _, _ := bytes.Cut(log, []byte{'\n'})
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var l line
	for b.Loop() {
		if err := l.parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
