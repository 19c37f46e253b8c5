package accesslog

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAFileIsAppendedTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	for range 2 {
		l := open(t, Config{Path: path})
		l.Record(sampleRecord(sampleSession()))
		closeLog(t, l)
	}
	if n := strings.Count(read(t, path), "\n"); n != 2 {
		t.Errorf("%d lines, want 2", n)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if m := st.Mode().Perm(); m&^0o640 != 0 {
		t.Errorf("mode %o, want at most 640", m)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none", "access.log")} {
		if _, err := Open(Config{Path: path}); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "want a file") {
			t.Errorf("%s: error %v, want one with the path and what would be right", path, err)
		}
	}
}

func TestRotationLosesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	l := open(t, Config{Path: path, FlushInterval: time.Millisecond, MaxBytes: 64 << 20})
	const each = 2000
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range each {
				l.Record(sampleRecord(sampleSession()))
			}
		})
	}
	const rotations = 5
	for i := range rotations {
		old := filepath.Join(dir, "access.log."+string(rune('0'+i)))
		if err := os.Rename(path, old); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(context.Background(), ""); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	closeLog(t, l)
	lines := 0
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		text := read(t, f)
		lines += strings.Count(text, "\n")
		if text != "" {
			wantWholeLines(t, text)
		}
	}
	if len(files) != rotations+1 || lines != 4*each {
		t.Errorf("%d lines in %d files, want %d in %d", lines, len(files), 4*each, rotations+1)
	}
}

func TestReopenWritesWhatCameBeforeToTheOldFile(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	l := open(t, Config{Path: a, FlushInterval: time.Hour})
	l.Record(sampleRecord(sampleSession()))
	if err := l.Reopen(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	l.Record(sampleRecord(sampleSession()))
	if err := l.Reopen(context.Background(), dir); err == nil {
		t.Error("a directory can be reopened")
	}
	l.Record(sampleRecord(sampleSession())) // still b
	closeLog(t, l)
	if x, y := strings.Count(read(t, a), "\n"), strings.Count(read(t, b), "\n"); x != 1 || y != 2 {
		t.Errorf("%d and %d lines, want 1 and 2", x, y)
	}
	if err := l.Reopen(context.Background(), b); err == nil {
		t.Error("a closed log can be reopened")
	}
}

func TestWhatTheOldFileRefusedGoesWholeToTheNewOne(t *testing.T) {
	out := &sink{take: func(n int) (int, error) { return n / 2, syscall.ENOSPC }} // in the middle of the second line of three
	l := open(t, Config{Output: out, FlushInterval: time.Hour})
	for range 3 {
		l.Record(sampleRecord(sampleSession()))
	}
	flushErr := l.Flush(context.Background())
	path := filepath.Join(t.TempDir(), "new")
	if err := l.Reopen(context.Background(), path); err != nil || flushErr == nil {
		t.Fatalf("flush %v, reopen %v: want an error, then none", flushErr, err)
	}
	closeLog(t, l)
	text := read(t, path)
	wantWholeLines(t, text)
	if whole := strings.Count(out.String(), "\n"); whole+strings.Count(text, "\n") != 3 {
		t.Errorf("%d whole lines in the old output, %d in the new, want 3 in all", whole, strings.Count(text, "\n"))
	}
}

func TestStandardOutputIsNotReopened(t *testing.T) {
	l := open(t, Config{Path: "-"})
	if err := l.Reopen(context.Background(), ""); err != nil {
		t.Error(err)
	}
}
