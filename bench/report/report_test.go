package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFigureIsTheMedianWithItsRange(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want Figure
	}{
		{[]float64{7}, Figure{7, 7, 7}},
		{[]float64{9, 1, 4}, Figure{4, 1, 9}},
		{[]float64{4, 1, 9, 5}, Figure{4.5, 1, 9}},
	} {
		if got, ok := NewFigure(c.in); !ok || got != c.want {
			t.Errorf("%v: %v, want %v", c.in, got, c.want)
		}
	}
	if _, ok := NewFigure(nil); ok {
		t.Error("a figure of nothing")
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	var v []time.Duration
	for i := range 1000 {
		v = append(v, time.Duration(i+1))
	}
	for p, want := range map[float64]time.Duration{50: 500, 99: 990, 99.9: 999, 100: 1000, 0: 1} {
		if got := Percentile(v, p); got != want {
			t.Errorf("p%v of 1..1000 is %d, want %d", p, got, want)
		}
	}
	if got := Percentile(v[:3], 99.9); got != 3 {
		t.Errorf("p99.9 of 1..3 is %d, want the largest", got)
	}
	if Percentile(nil, 50) != 0 {
		t.Error("a percentile of nothing")
	}
}

// example has two rounds, in one of which nginx failed two requests.
func example() *Report {
	good := func(us float64) Sample { return Sample{Requests: 100, Values: map[Column]float64{CPU: us, Rate: 1000}} }
	return &Report{
		Date: "2026-01-02 03:04", Machine: Machine{"CPU <model>", 2, 4, "6.1"}, Versions: map[string]string{"nginx": "1.2"},
		Settings: Settings{Rounds: 2, WindowSeconds: 1, Workers: 2},
		Missing:  []string{`ats: "traffic_server" is not on PATH`},
		Tables: []*Table{{Workload: "small", About: "small bodies", Columns: []Column{CPU, Rate, Syscalls}, Rows: []*Row{
			{Gateway: "h2gw", Ours: true, Samples: []Sample{good(15), good(16)}},
			{Gateway: "haproxy", Samples: []Sample{good(20), good(30)}},
			{Gateway: "nginx", Samples: []Sample{good(5), {Requests: 90, Failed: 2, Why: "2 of 92 requests failed"}}},
			{Gateway: "caddy"},
		}}},
	}
}

func TestOneRunWithFailedRequestsTakesAwayTheFigure(t *testing.T) {
	table := example().Tables[0]
	nginx := table.Row("nginx", false)
	if f, ok := nginx.Figure(CPU); ok {
		t.Errorf("nginx failed requests and has the figure %v", f)
	}
	if nginx.Failed() != 2 || nginx.Refused() == "" {
		t.Errorf("failed %d, refused %q", nginx.Failed(), nginx.Refused())
	}
	if best, ok := table.Best(CPU); !ok || best != 25 {
		t.Errorf("the best peer has %v: a refused figure (5) and our own (15.5) are none", best)
	}
	if why := table.Row("caddy", false).Refused(); why == "" {
		t.Error("a gateway that was not run has a figure")
	}
}

func TestTextShowsFiguresRatiosAndReasons(t *testing.T) {
	var b strings.Builder
	if err := example().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"15.5 (15.0–16.0)", "0.62", "25.0 (20.0–30.0)", "nginx: no figure: 2 of 92 requests failed",
		"caddy: no figure: not run", "left out: ats", "2026-01-02 03:04 UTC"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), Syscalls.Title()) {
		t.Error("a column that was not measured is shown")
	}
}

func TestSystemCallsAreListedByHowManyThereAre(t *testing.T) {
	r := example()
	row := r.Tables[0].Row("haproxy", false)
	row.Samples = append(row.Samples, Sample{Calls: map[string]float64{"epoll_wait": 0.2, "write": 1.5, "close": 0.001, "read": 0.2}})
	if got := r.Tables[0].Calls(); len(got) != 1 || got[0] != "haproxy: write 1.50, epoll_wait 0.20, read 0.20" {
		t.Errorf("%q", got)
	}
	var text, md, page strings.Builder
	for _, err := range []error{r.WriteText(&text), r.WriteMarkdown(&md), r.WriteHTML(&page)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, form := range []string{text.String(), md.String(), page.String()} {
		if !strings.Contains(form, "write 1.50") {
			t.Errorf("they are missing in\n%s", form)
		}
	}
}

func TestOursAreComparedRoundByRound(t *testing.T) {
	table := example().Tables[0]
	if first := table.reference(); first != nil {
		t.Errorf("%s is to be compared with, and there is no other of ours", first.Gateway)
	}
	at := func(us float64) Sample { return Sample{Requests: 1, Values: map[Column]float64{CPU: us}} }
	table.Rows = append(table.Rows, &Row{Gateway: "h2gw-beside", Ours: true, Samples: []Sample{at(30), at(16), {Values: map[Column]float64{Syscalls: 3}}}})
	got := table.cells()
	if got[0][3] != "to h2gw, by round" || got[1][3] != "—" || got[5][3] != "1.50 (1.00–2.00)" || got[3][3] != "—" {
		t.Errorf("%q", got)
	}
}

func TestSummaryHasTheFirstFigureOfEveryWorkload(t *testing.T) {
	r := example()
	r.Tables = append(r.Tables, &Table{Workload: "idle", Columns: []Column{IdleKiB},
		Rows: []*Row{{Gateway: "late", Samples: []Sample{{Values: map[Column]float64{IdleKiB: 14}}}}}})
	got := pad(r.Summary())
	want := [][]string{{"gateway", "small", "idle"}, {"", CPU.Title(), IdleKiB.Title()},
		{"h2gw", "15.5", "—"}, {"haproxy", "25.0", "—"}, {"nginx", "—", "—"}, {"caddy", "—", "—"}, {"late", "—", "14.0"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestMarkdownRowsAllHaveAsManyCellsAsTheirHeading(t *testing.T) {
	var b strings.Builder
	if err := example().WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	bars := 0
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "|") {
			bars = 0
			continue
		}
		if n := strings.Count(line, "|"); bars != 0 && n != bars {
			t.Errorf("%d bars, want %d: %s", n, bars, line)
		} else {
			bars = n
		}
	}
}

func TestJSONIsReadBackAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	want := example()
	writeFile(t, path, want.WriteJSON)
	got, err := Read(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
}

func TestPageIsWholeAndNeedsNoNetwork(t *testing.T) {
	var b bytes.Buffer
	if err := example().WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"CPU &lt;model&gt;", "<svg", `class="range"`, "no figure", "15.5 (15.0–16.0)"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, bad := range []string{"http:", "https:", "<script", "src=", "@import", "NaN", "Inf"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	// The charts are XML of their own.
	for part := range strings.SplitSeq(text, "<svg") {
		inner, _, ok := strings.Cut(part, "</svg>")
		if !ok {
			continue
		}
		d := xml.NewDecoder(strings.NewReader("<svg" + inner + "</svg>"))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, inner)
			}
		}
	}
}

func TestBarsAreInOrderOfTheirFigureAndWithinTheChart(t *testing.T) {
	ch := newChart(example().Tables[0], CPU)
	var names []string
	for _, b := range ch.Bars {
		names = append(names, b.Name)
		if b.High > barsTo+0.001 || b.Width < 0 {
			t.Errorf("%s leaves the chart: %+v", b.Name, b)
		}
	}
	if got := strings.Join(names, " "); got != "h2gw haproxy nginx caddy" {
		t.Errorf("order: %s", got)
	}
}

func TestAChartWithoutAnyFigureIsStillDrawn(t *testing.T) {
	ch := newChart(&Table{Rows: []*Row{{Gateway: "h2gw"}}}, CPU)
	if len(ch.Bars) != 1 || !ch.Bars[0].Refused || len(ch.Ticks) > 10 {
		t.Errorf("%+v", ch)
	}
}

// writeFile has write fill a new file.
func writeFile(t *testing.T, path string, write func(io.Writer) error) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := write(f); err != nil {
		t.Fatal(err)
	}
}
