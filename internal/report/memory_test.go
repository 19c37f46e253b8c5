package report

import (
	"context"
	"io"
	"math"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
)

// A lineReader makes lines 1 to n as they are read: a log of any size, without
// its memory. peak is the largest heap that was seen while reading.
type lineReader struct {
	n, last uint64
	line    func(b []byte, i uint64) []byte
	rest    []byte
	peak    atomic.Uint64
}

func (r *lineReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(r.rest) == 0 {
			if r.last == r.n {
				return n, io.EOF
			}
			r.rest = r.rest[:0]
			for i := 0; i < 100 && r.last < r.n; i++ {
				r.last++
				r.rest = r.line(r.rest, r.last)
			}
			if r.last%1_000_000 == 0 {
				r.peak.Store(max(r.peak.Load(), heap()))
			}
		}
		m := copy(p[n:], r.rest)
		n += m
		r.rest = r.rest[m:]
	}
	return n, nil
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func appendAccess(b []byte, id uint64) []byte {
	b = append(b, `{"event":"access","pitag":"h2","piid":`...)
	b = strconv.AppendUint(b, id, 10)
	return append(b, `,"client":"203.0.113.9:50123"}`+"\n"...)
}

// memoryBound is the promise of DefaultFollowed.
const memoryBound = 64 << 20

// TestMemoryIsBounded reads ten million connections of which none closes, the
// worst a log can hold, and then as many that all do.
func TestMemoryIsBounded(t *testing.T) {
	conns := uint64(10_000_000)
	if testing.Short() || raceDetector {
		conns = 1_000_000
	}
	before := heap()
	r := &lineReader{n: conns, line: appendAccess}
	s, err := Summarize(context.Background(), Options{Stdin: r})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("heap grew by %d KiB at most; %+v, open %d", (max(r.peak.Load(), before)-before)>>10, s.Followed, s.Connections.Open)
	if grown := max(r.peak.Load(), before) - before; grown > memoryBound {
		t.Errorf("heap grew by %d MiB, want at most %d", grown>>20, memoryBound>>20)
	}
	if s.Followed.Exact || s.Lines.Access != conns || s.Lines.Broken != 0 || s.Streams.InOpenConnections != conns {
		t.Errorf("followed %+v, lines %+v, streams %+v", s.Followed, s.Lines, s.Streams)
	}
	if off := math.Abs(float64(s.Connections.Open)/float64(conns) - 1); off > 2*s.Followed.RelativeError || s.Followed.RelativeError > 0.01 {
		t.Errorf("estimated %d open connections: off by %.3f %%, said %.3f %%", s.Connections.Open, 100*off, 100*s.Followed.RelativeError)
	}
}

// TestClosedConnectionsNeedNoMemory: however many there were, with two open at
// a time nothing is sampled, even with a table of four.
func TestClosedConnectionsNeedNoMemory(t *testing.T) {
	const conns = 200_000
	r := &lineReader{n: 3 * conns, line: func(b []byte, i uint64) []byte {
		id := (i + 2) / 3
		if i%3 != 0 {
			return appendAccess(b, id)
		}
		b = append(b, `{"event":"session","pitag":"h2","piid":`...)
		return append(strconv.AppendUint(b, id, 10), `,"streams":2}`+"\n"...)
	}}
	s, err := Summarize(context.Background(), Options{Stdin: r, Followed: 4})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Followed.Exact || s.Connections != (Connections{Closed: conns}) || !s.Streams.Complete {
		t.Errorf("%+v %+v %+v", s.Followed, s.Connections, s.Streams)
	}
}

// TestSampleIsFairAndSaysSo: past the bound, what is exact stays exact and what
// is estimated is near and marked.
func TestSampleIsFairAndSaysSo(t *testing.T) {
	const conns = 100_000
	r := &lineReader{n: 3 * conns, line: func(b []byte, i uint64) []byte { // three lines each, far apart
		return appendAccess(b, 1+i%conns)
	}}
	s, err := Summarize(context.Background(), Options{Stdin: r, Followed: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	p := s.Protocols[0]
	if s.Followed.Exact || p.AccessLines != 3*conns || s.Streams.InOpenConnections != 3*conns {
		t.Errorf("%+v %+v", s.Followed, s.Streams)
	}
	if d := p.StreamsPerOpen; d.Min != 3 || d.Max != 3 || d.Mean != 3 {
		t.Errorf("a connection of the sample is followed from its first line on: %+v", d)
	}
	if off := math.Abs(float64(p.Connections.Open)/conns - 1); off > 2*s.Followed.RelativeError {
		t.Errorf("%d open, said to be within %.2f %%", p.Connections.Open, 100*s.Followed.RelativeError)
	}
	golden(t, "sampled.txt", []byte(render(t, s, Style{})))
}
