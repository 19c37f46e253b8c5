package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// asJSON is a Summary in a form that can be compared.
func asJSON(t testing.TB, s *Summary) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestCountsAreThoseWritten compares with what the generator counted, and the
// percentiles with the exact ones of the sorted values.
func TestCountsAreThoseWritten(t *testing.T) {
	g, log := generate(11, 100, 8<<20)
	s := summarize(t, Options{}, string(log))
	if int(s.Lines.Access) != g.want.access || int(s.Lines.Session) != g.want.sessions || s.Lines.Total != s.Lines.Access+s.Lines.Session {
		t.Errorf("lines %+v, want %d access and %d session", s.Lines, g.want.access, g.want.sessions)
	}
	if s.Connections.Open != 0 || int(s.Connections.Closed) != g.want.sessions {
		t.Errorf("connections %+v", s.Connections)
	}
	if !s.Streams.Complete || s.Streams.AccessLines != s.Streams.InSessions || s.Streams.InOpenConnections != 0 {
		t.Errorf("streams %+v: access lines and sessions must agree", s.Streams)
	}
	for _, p := range s.Protocols {
		tag := p.Name
		if tag == "*" {
			tag = ""
		}
		if int(p.Connections.Closed) != g.want.closed[tag] || int(p.InSessions) != g.want.streams[tag] || p.InSessions != p.AccessLines {
			t.Errorf("%s: %+v, %d streams", p.Name, p.Connections, p.InSessions)
		}
		if values := g.want.latencies[tag]; len(values) > 0 {
			checkPercentiles(t, p.Name, p.LatencyMS, values)
		}
	}
}

// checkPercentiles compares d with the exact distribution of values.
func checkPercentiles(t *testing.T, name string, d Distribution, values []float64) {
	t.Helper()
	slices.Sort(values)
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	exact := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-9*want+1e-6 {
			t.Errorf("%s %s: %v, want exactly %v", name, what, got, want)
		}
	}
	exact("count", float64(d.Count), float64(len(values)))
	exact("min", d.Min, values[0])
	exact("max", d.Max, values[len(values)-1])
	exact("mean", d.Mean, sum/float64(len(values)))
	for _, q := range []struct{ q, got float64 }{{50, d.P50}, {90, d.P90}, {99, d.P99}, {99.9, d.P999}} {
		rank := max(1, int(q.q/100*float64(len(values))+0.5)) // nearest rank
		want := values[rank-1]
		if q.got < want*(1-1e-12) || q.got > want*(1+PercentileError) {
			t.Errorf("%s p%v: %v, want %v and at most %.2f %% more", name, q.q, q.got, want, 100*PercentileError)
		}
	}
}

func TestPercentileErrorIsBounded(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() float64{
		"uniform":   func() float64 { return 1 + rnd.Float64()*1e6 },
		"lognormal": func() float64 { return math.Exp(rnd.NormFloat64()*3 + 8) },
		"bimodal":   func() float64 { return 300 + float64(rnd.IntN(2))*6e7 + rnd.Float64() },
		"small":     func() float64 { return float64(rnd.IntN(200)) },
	} {
		h := newHist()
		var values []float64
		for range 50_000 {
			v := math.Trunc(draw())
			values = append(values, v)
			h.add(uint64(v), 1)
		}
		checkPercentiles(t, name, h.distribution(1), values)
	}
	if got := newHist().counts().ByteSize(); got > 38_000 {
		t.Errorf("a histogram takes %d bytes", got)
	}
}

// TestEverySplitGivesTheSameSummary reads a log in chunks of every size, so
// that every position is a boundary, with two workers.
func TestEverySplitGivesTheSameSummary(t *testing.T) {
	text, err := os.ReadFile("testdata/access.log")
	if err != nil {
		t.Fatal(err)
	}
	want := asJSON(t, summarize(t, Options{Workers: 1}, string(text)))
	step := 1
	if raceDetector {
		step = 7
	}
	for size := 1; size <= len(text)+1; size += step {
		if got := asJSON(t, summarize(t, Options{Workers: 2, chunk: size}, string(text))); got != want {
			t.Fatalf("chunks of %d bytes:\n%s\nwant\n%s", size, got, want)
		}
	}
}

func TestWorkersDoNotChangeTheSummary(t *testing.T) {
	g := newGenerator(21, 50)
	for g.buf.Len() < 3<<20 {
		g.step()
	}
	log := g.buf.String()
	want := asJSON(t, summarize(t, Options{Workers: 1}, log))
	for _, workers := range []int{2, 7} {
		for _, size := range []int{700, 4096, 100_000} {
			if asJSON(t, summarize(t, Options{Workers: workers, chunk: size}, log)) != want {
				t.Errorf("%d workers, chunks of %d: another summary", workers, size)
			}
		}
	}
}

// access and session write short lines of h2.
func access(id string) string { return `{"event":"access","pitag":"h2","piid":` + id + "}\n" }
func session(id, streams string) string {
	return `{"event":"session","pitag":"h2","piid":` + id + `,"streams":` + streams + "}\n"
}

func TestConnectionsOverRestartsAndLateLines(t *testing.T) {
	for _, c := range []struct {
		name                  string
		log                   string
		closed, open          uint64
		inOpen, missing       uint64
		busiest, busiestCount uint64
	}{
		{"closed", access("1") + access("1") + session("1", "2"), 1, 0, 0, 0, 2, 1},
		{"open", access("1") + access("1"), 0, 1, 2, 0, 2, 1},
		{"no streams", session("1", "0"), 1, 0, 0, 0, 0, 0},
		{"line after its session's", access("1") + session("1", "2") + access("1"), 1, 0, 0, 0, 2, 1},
		{"session first", session("1", "2") + access("1") + access("1"), 1, 0, 0, 0, 2, 1},
		{"restart, both closed", access("1") + session("1", "1") + access("1") + access("1") + session("1", "2"), 2, 0, 0, 0, 2, 2},
		{"restart, second open", access("1") + session("1", "1") + access("1") + access("1"), 1, 1, 2, 0, 2, 2},
		{"files in the wrong order", access("1") + session("1", "2") + access("2") + access("1") + access("2") + session("2", "2"), 2, 0, 0, 0, 2, 2},
		{"lines lost", access("1") + session("1", "5"), 1, 0, 0, 4, 5, 1},
		{"lines lost of one, another open", session("1", "5") + access("2"), 1, 1, 1, 5, 5, 2},
		{"same id, another protocol", access("1") + `{"event":"access","pitag":"h2c","piid":1}` + "\n" + session("1", "1"), 1, 1, 1, 0, 1, 2},
	} {
		s := summarize(t, Options{}, c.log)
		if s.Connections != (Connections{Closed: c.closed, Open: c.open}) || s.Streams.InOpenConnections != c.inOpen || s.Streams.Missing != c.missing {
			t.Errorf("%s: connections %+v, streams %+v", c.name, s.Connections, s.Streams)
		}
		if s.Streams.Complete != (c.missing == 0) {
			t.Errorf("%s: complete %v", c.name, s.Streams.Complete)
		}
		if st := s.Streams; st.AccessLines != st.InSessions+st.InOpenConnections-st.Missing {
			t.Errorf("%s: %+v does not add up", c.name, st)
		}
		if len(s.Busiest) != int(c.busiestCount) || c.busiestCount > 0 && s.Busiest[0].Streams != c.busiest {
			t.Errorf("%s: busiest %+v", c.name, s.Busiest)
		}
	}
}

func TestLinesWithoutPiidAreNoConnection(t *testing.T) {
	s := summarize(t, Options{}, `{"event":"access","status":400}`+"\n"+`{"event":"session","cause":"handshake_failed"}`+"\n")
	if s.Connections != (Connections{Closed: 1}) || s.Streams.Unidentified != 1 || !s.Streams.Complete {
		t.Errorf("%+v %+v", s.Connections, s.Streams)
	}
	if s.Protocols[0].Name != "*" || s.Protocols[0].Statuses["400"] != 1 || s.Protocols[0].Causes["handshake_failed"] != 1 {
		t.Errorf("%+v", s.Protocols)
	}
}

func TestBusiestAreTheLargestInTotalOrder(t *testing.T) {
	var lines []string
	for i, n := range []string{"5", "9", "1", "9", "7", "3"} {
		lines = append(lines, session(string(rune('1'+i)), n))
	}
	want := ""
	for range 20 {
		rand.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		s := summarize(t, Options{Top: 3}, strings.Join(lines, ""))
		got, _ := json.Marshal(s.Busiest)
		if want == "" {
			want = string(got)
		}
		if string(got) != want || len(s.Busiest) != 3 || s.Busiest[0].ID != 2 || s.Busiest[1].ID != 4 || s.Busiest[2].ID != 5 {
			t.Fatalf("%s, before %s", got, want)
		}
	}
	if s := summarize(t, Options{Top: -1}, lines[0]); len(s.Busiest) != 0 {
		t.Errorf("none wanted: %+v", s.Busiest)
	}
}

func TestNamesAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		n := "10.0." + string(rune('0'+i/100)) + "." + string(rune('0'+i/10%10)) + string(rune('0'+i%10))
		b.WriteString(`{"event":"access","pitag":"p` + n + `","piid":1,"origin":"` + n + `","outcome":"o` + n + `"}` + "\n")
	}
	b.WriteString(`{"event":"access","origin":"` + strings.Repeat("x", 300) + `"}`)
	s := summarize(t, Options{}, b.String())
	if len(s.Origins) != maxOrigins+1 || len(s.Protocols) != maxTags+1 {
		t.Errorf("%d origins, %d protocols", len(s.Origins), len(s.Protocols))
	}
	var requests, lines uint64
	for _, o := range s.Origins {
		requests += o.Requests
	}
	for _, p := range s.Protocols {
		lines += p.AccessLines
	}
	if s.Origins[0].Name != otherName || requests != 1001 || lines != 1001 {
		t.Errorf("%q first, %d requests, %d lines", s.Origins[0].Name, requests, lines)
	}
	if out := render(t, s, Style{}); !strings.Contains(out, "more origins: see --json") {
		t.Error("the origins left out are not mentioned")
	}
}

// A read that blocks, as of a pipe nobody writes to, does not hold up the end.
func TestContextEndsABlockedRead(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close() // lets the goroutine in Read go
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.WriteString(w, access("1"))
		cancel()
	}()
	if s, err := Summarize(ctx, Options{Stdin: r}); s != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", s, err)
	}
}

func TestContextEndsReading(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s, err := Summarize(ctx, Options{Stdin: strings.NewReader(access("1"))})
	if s != nil || err == nil || !strings.Contains(err.Error(), "stopped before the end") {
		t.Errorf("%v, %v", s, err)
	}
}
