package report

import (
	"math"
	"strings"
	"testing"
)

// curved has one curve of three points for two gateways, one of which failed
// in the middle.
func curved() *Report {
	r := example()
	for _, p := range []struct {
		x            int
		ours, theirs float64
	}{{1, 40, 20}, {10, 20, 0}, {100, 22, 30}} {
		theirs := Sample{Requests: 9, Values: map[Column]float64{CPU: p.theirs}}
		if p.theirs == 0 {
			theirs = Sample{Why: "it failed", Failed: 1}
		}
		r.Tables = append(r.Tables, &Table{Workload: "streams", Curve: "streams", X: p.x, About: "so many", Columns: []Column{CPU}, Rows: []*Row{
			{Gateway: "h2gw", Ours: true, Samples: []Sample{{Requests: 9, Values: map[Column]float64{CPU: p.ours}}}},
			{Gateway: "haproxy", Samples: []Sample{theirs}},
		}})
	}
	return r
}

func TestTablesOfOneCurveArePutTogether(t *testing.T) {
	parts := curved().Parts()
	if len(parts) != 2 || parts[0].Table == nil || parts[1].Curve == nil || len(parts[1].Tables) != 3 {
		t.Fatalf("%+v", parts)
	}
	got := parts[1].Curve.cells()
	for i, want := range []string{"CPU µs/request 1 10 100 rises by", "h2gw 40.0 20.0 22.0 10%", "haproxy 20.0 — 30.0 50%"} {
		if line := strings.Join(got[i], " "); line != want {
			t.Errorf("line %d is %q, want %q", i, line, want)
		}
	}
	if notes := parts[1].Curve.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "at 10: haproxy") {
		t.Errorf("notes: %q", notes)
	}
}

func TestRiseIsAboveTheLeastBefore(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 1},
		{[]float64{5}, 1},
		{[]float64{40, 20, 10}, 1},
		{[]float64{40, 20, 22}, 1.1},
		{[]float64{10, 11, 9, 18}, 2},
	} {
		var s series
		for i, v := range c.values {
			s.points = append(s.points, point{float64(i), Figure{v, v, v}})
		}
		if got := s.Rise(); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v rises by %v, want %v", c.values, got, c.want)
		}
	}
}

func TestLinesStayWithinTheirChartAndNamesApart(t *testing.T) {
	at := func(y float64) []point { return []point{{1, Figure{y, y - 1, y + 1}}, {250, Figure{y, y, y}}} }
	ch := newLines("t", axis{ticks: []float64{1, 250}, log: true},
		[]series{{name: "a", points: at(5)}, {name: "b", points: at(5.01)}, {name: "c", points: at(1)}, {name: "none"}})
	if len(ch.Lines) != 3 {
		t.Fatalf("%d lines, want those with points", len(ch.Lines))
	}
	for i, l := range ch.Lines {
		for _, d := range l.Dots {
			if d.X < ch.Left || d.X > ch.Right || d.High < ch.Top || d.Low > ch.Floor {
				t.Errorf("%s: %+v is outside", l.Name, d)
			}
		}
		for _, m := range ch.Lines[i+1:] {
			if math.Abs(l.LabelY-m.LabelY) < labelApart-1e-9 {
				t.Errorf("the names %s and %s stand on each other", l.Name, m.Name)
			}
		}
	}
	if first, last := ch.Lines[0].Dots[0].X, ch.Lines[0].Dots[1].X; first != ch.Left || last != ch.Right {
		t.Errorf("from %v to %v, want the whole width", first, last)
	}
}

func TestAReportOfCurvesAloneHasNoEmptyMedians(t *testing.T) {
	r := curved()
	r.Tables = r.Tables[1:]
	var text, md, page strings.Builder
	for _, err := range []error{r.WriteText(&text), r.WriteMarkdown(&md), r.WriteHTML(&page)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(strings.ToLower(text.String()+md.String()), "medians\n") || strings.Contains(page.String(), "<h2>Medians") {
		t.Error("a heading over nothing")
	}
	if !strings.Contains(page.String(), "<polyline") || strings.Contains(page.String(), "NaN") {
		t.Error("no line, or one that goes nowhere")
	}
}
