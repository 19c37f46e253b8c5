package accesslog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/pitag"
)

// wantSum holds the log to its promise after Close.
func wantSum(t *testing.T, l *Log, out *sink, offered int) Stats {
	t.Helper()
	st := l.Stats()
	if st.Lines+st.Dropped != uint64(offered) {
		t.Errorf("%d written + %d dropped, want %d in all", st.Lines, st.Dropped, offered)
	}
	if n := strings.Count(out.String(), "\n"); uint64(n) != st.Lines {
		t.Errorf("output has %d lines, counted %d", n, st.Lines)
	}
	if n := len(out.String()); uint64(n) != st.Bytes {
		t.Errorf("output has %d bytes, counted %d", n, st.Bytes)
	}
	return st
}

func wantWholeLines(t *testing.T, text string) {
	t.Helper()
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if !json.Valid([]byte(line)) {
			t.Fatalf("line %d is broken: %q", i+1, line)
		}
	}
}

func TestLinesWaitTheFlushIntervalForOthersThenGoInOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		l := open(t, Config{Output: out})
		// Two connections, most likely in two shards.
		for id := range uint64(2) {
			s := sampleSession()
			s.Identity.ID = id
			l.Record(sampleRecord(s))
		}
		time.Sleep(DefaultFlushInterval - time.Millisecond)
		synctest.Wait()
		if out.calls() != 0 {
			t.Fatalf("written before the flush interval was over")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if n := strings.Count(out.String(), "\n"); n != 2 || out.calls() != 1 {
			t.Fatalf("%d lines in %d writes, want 2 in 1", n, out.calls())
		}
		// Nothing more to write: nothing more happens until there is.
		time.Sleep(time.Hour)
		l.Record(sampleRecord(sampleSession()))
		time.Sleep(DefaultFlushInterval)
		synctest.Wait()
		if out.calls() != 2 {
			t.Fatalf("%d writes, want 2", out.calls())
		}
		closeLog(t, l)
	})
}

func TestMuchDoesNotWaitForTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		l := open(t, Config{Output: out})
		r := sampleRecord(sampleSession())
		for range 2 * maxChunk / 300 {
			l.Record(r)
		}
		synctest.Wait() // no time passes
		if out.calls() != 0 {
			t.Fatalf("%d writes of what can wait for more", out.calls())
		}
		for range 2 * maxMuch / 300 {
			l.Record(r)
		}
		synctest.Wait()
		if got := out.String(); len(got) < maxMuch {
			t.Fatalf("%d bytes written, want %d", len(got), maxMuch)
		}
		closeLog(t, l)
	})
}

func TestCloseWritesEverything(t *testing.T) {
	out := &sink{}
	l := open(t, Config{Output: out, FlushInterval: time.Hour})
	for range 1000 {
		l.Record(sampleRecord(sampleSession()))
	}
	closeLog(t, l)
	if st := wantSum(t, l, out, 1000); st.Dropped != 0 {
		t.Errorf("%d dropped, want none", st.Dropped)
	}
	l.Record(sampleRecord(sampleSession()))
	wantSum(t, l, out, 1001)
	if err := l.Flush(context.Background()); err == nil {
		t.Error("flush of a closed log succeeds")
	}
	if err := l.Close(context.Background()); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestAnOutputThatCannotKeepUpDropsLinesAndHoldsUpNobody(t *testing.T) {
	out := &sink{hold: make(chan struct{}), entered: make(chan struct{}, 1)}
	l := open(t, Config{Output: out, MaxBytes: 20_000, FlushInterval: time.Millisecond})
	const offered = 500 // about 230 KB
	l.Record(sampleRecord(sampleSession()))
	<-out.entered // stuck now
	for range offered - 1 {
		l.Record(sampleRecord(sampleSession())) // would hang here
	}
	if l.w.held > 20_000 {
		t.Errorf("%d bytes held, want at most 20000", l.w.held)
	}
	before := l.Stats().Dropped
	if before == 0 {
		t.Error("nothing dropped yet")
	}
	close(out.hold)
	closeLog(t, l)
	if st := wantSum(t, l, out, offered); st.Dropped != before || st.Lines < 20 {
		t.Errorf("%d dropped, was %d; %d lines written", st.Dropped, before, st.Lines)
	}
	wantWholeLines(t, out.String())
	if l.w.held != 0 {
		t.Errorf("%d bytes held after close", l.w.held)
	}
}

func TestAStuckOutputDoesNotHoldUpClose(t *testing.T) {
	out := &sink{hold: make(chan struct{}), entered: make(chan struct{}, 1)}
	l := open(t, Config{Output: out, FlushInterval: time.Millisecond})
	l.Record(sampleRecord(sampleSession()))
	<-out.entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("flush: %v, want context canceled", err)
	}
	if err := l.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v, want context canceled", err)
	}
	close(out.hold)
	<-l.w.done // goes on where it was, and ends
	wantSum(t, l, out, 1)
}

func TestManyWritersLoseNothingAndKeepTheOrderOfEachConnection(t *testing.T) {
	out := &sink{}
	l := open(t, Config{Output: out, MaxBytes: 64 << 20, FlushInterval: time.Millisecond})
	const writers, each = 8, 500
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			s := sampleSession()
			s.Identity = pitag.Identity{Tag: pitag.TagH2, ID: uint64(w + 1)}
			for i := range each {
				r := sampleRecord(s)
				r.Txn = uint64(i + 1)
				l.Record(r)
				if i == each/2 {
					_ = l.Flush(context.Background())
				}
			}
			l.Session(sampleClosed(s))
		})
	}
	wg.Wait()
	closeLog(t, l)
	wantSum(t, l, out, writers*(each+1))
	last := map[uint64]uint64{}
	for line := range strings.Lines(out.String()) {
		var got struct {
			Event     string
			Piid, Txn uint64
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		want := last[got.Piid] + 1
		if got.Event == EventSession {
			got.Txn = each + 1
		}
		if got.Txn != want {
			t.Fatalf("connection %d: transaction %d comes after %d", got.Piid, got.Txn, want-1)
		}
		last[got.Piid] = got.Txn
	}
}

func TestAShortWriteIsGoneOnWith(t *testing.T) {
	out := &sink{take: func(n int) (int, error) { return min(n, 7), nil }}
	l := open(t, Config{Output: out})
	for range 20 {
		l.Record(sampleRecord(sampleSession()))
	}
	closeLog(t, l)
	wantSum(t, l, out, 20)
	wantWholeLines(t, out.String())
}

func TestAFullDiskIsReportedOnceAndLosesNothingWhenItHasRoomAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room, full := 700, true // one line and a half
		var reported []error
		out := &sink{}
		out.take = func(n int) (int, error) {
			if !full {
				return n, nil
			}
			n = min(n, room)
			room -= n
			return n, syscall.ENOSPC
		}
		l := open(t, Config{Output: out, OnError: func(err error) { reported = append(reported, err) }})
		for range 5 {
			l.Record(sampleRecord(sampleSession()))
		}
		if err := l.Flush(context.Background()); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("flush: %v, want no space", err)
		}
		time.Sleep(10 * time.Second) // attempts that fail
		synctest.Wait()
		out.mu.Lock()
		full = false
		out.mu.Unlock()
		time.Sleep(2 * retryAfter)
		synctest.Wait()
		if n := strings.Count(out.String(), "\n"); n != 5 {
			t.Errorf("%d lines written, want 5", n)
		}
		wantWholeLines(t, out.String())
		closeLog(t, l)
		st := wantSum(t, l, out, 5)
		if len(reported) != 1 || st.Errors < 5 || st.Errors > 20 {
			t.Errorf("%d errors reported and %d counted, want 1 and about 10", len(reported), st.Errors)
		}
	})
}

func TestWhatTheOutputRefusesUntilCloseIsCountedAsDropped(t *testing.T) {
	taken := false
	out := &sink{take: func(n int) (int, error) {
		if taken {
			return 0, io.ErrClosedPipe
		}
		taken = true
		return n * 3 / 4, io.ErrClosedPipe // in the middle of the third of four lines
	}}
	l := open(t, Config{Output: out, FlushInterval: time.Hour})
	for range 4 {
		l.Record(sampleRecord(sampleSession()))
	}
	if err := l.Close(context.Background()); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("close: %v, want the write error", err)
	}
	if st := wantSum(t, l, out, 4); st.Lines != 3 && st.Lines != 2 {
		t.Errorf("%d lines written, want 2 or 3", st.Lines)
	}
}

func TestALineLongerThanAChunkGoesWhole(t *testing.T) {
	out := &sink{}
	l := open(t, Config{Output: out})
	r := sampleRecord(sampleSession())
	l.Record(r)
	r.Path = "/" + strings.Repeat("\x01", maxChunk) // six bytes each
	l.Record(r)
	l.Record(sampleRecord(sampleSession()))
	closeLog(t, l)
	wantSum(t, l, out, 3)
	wantWholeLines(t, out.String())
}

func TestWithNoLogNothingHappens(t *testing.T) {
	var l *Log
	ctx := context.Background()
	l.Record(sampleRecord(sampleSession()))
	l.Session(sampleClosed(sampleSession()))
	if err := errors.Join(l.Flush(ctx), l.Reopen(ctx, "x"), l.Close(ctx)); err != nil || l.Stats() != (Stats{}) {
		t.Errorf("a nil log does something: %v %v", err, l.Stats())
	}
}

func TestFormatsHaveNames(t *testing.T) {
	for name, want := range map[string]Format{"json": JSON, "": JSON, "combined": Combined} {
		if got, err := ParseFormat(name); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", name, got, err, want)
		}
	}
	if _, err := ParseFormat("common"); err == nil || !strings.Contains(err.Error(), "want json or combined") {
		t.Errorf("an unknown format gives %v", err)
	}
}

func ExampleLog() {
	l, err := Open(Config{Path: "-"})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := sampleSession()
	s.TLS, s.Listener = nil, ""
	r := sampleRecord(s)
	r.UserAgent, r.RequestID, r.Route = "", "", ""
	l.Record(r)
	_ = l.Close(context.Background())
	// Output:
	// {"event":"access","ts":"2026-03-04T05:06:07.125802Z","pitag":"h2","piid":17,"stream":5,"txn":3,"client":"203.0.113.9:50123","method":"GET","host":"www.example.org","path":"/articles/42?page=2","status":200,"outcome":"completed","bytes_in":0,"bytes_out":5120,"duration_ms":2.345,"ttfb_ms":1.500,"origin":"10.0.0.7:8080","origin_conn":11,"origin_reused":true,"retries":0}
}
