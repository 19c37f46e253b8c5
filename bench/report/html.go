package report

import (
	"embed"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
)

//go:embed *.html.tmpl
var pageSources embed.FS

var page = template.Must(template.ParseFS(pageSources, "*.html.tmpl"))

// WriteHTML writes one page with everything in it: charts are inline SVG.
func (r *Report) WriteHTML(w io.Writer) error {
	v := view{Report: r, Facts: r.Facts(), Summary: pad(r.Summary()), Reached: r.Reached()}
	for _, p := range r.Parts() {
		var s section
		s.Name, s.About, s.Cells, s.Notes = p.text()
		s.Calls = p.calls()
		if p.Curve != nil {
			s.Lines = []lineChart{p.Curve.chart()}
		} else {
			for _, c := range p.Shown() {
				if charted[c] {
					s.Charts = append(s.Charts, newChart(p.Table, c))
				}
			}
		}
		v.Sections = append(v.Sections, s)
	}
	return page.ExecuteTemplate(w, "page.html.tmpl", v)
}

type view struct {
	*Report
	Facts    []string
	Summary  [][]string
	Reached  [][]string
	Sections []section
}

type section struct {
	Name, About string
	Charts      []chart
	Lines       []lineChart
	Cells       [][]string
	Notes       []string
	Calls       []string
}

// charted are the figures that get a chart; the others are in the table.
var charted = map[Column]bool{CPU: true, P50: true, P99: true, P999: true, IdleKiB: true, StreamKiB: true, Syscalls: true}

// Measures of a chart, in SVG units (CSS pixels at full size).
const (
	chartWidth = 560
	barsFrom   = 92
	barsTo     = 430
	rowHeight  = 26
	barHeight  = 16
	axisHeight = 26
)

// A chart is horizontal bars, one for each gateway, shortest first, with a
// whisker from the smallest to the largest run.
type chart struct {
	Title         string
	Width, Height int
	Bars          []bar
	Ticks         []mark
	PlotHeight    int
}

type bar struct {
	Name, Text string
	Ours       bool
	Refused    bool
	// Y is the bar's upper edge, Middle its middle; the rest are along X.
	Y, Middle, Left, Width, Low, High, TextAt float64
	Range                                     bool
}

type mark struct {
	X     float64
	Label string
}

func newChart(t *Table, c Column) chart {
	rows, top := order(t, c)
	step := niceStep(top / 5)
	scale := func(v float64) float64 { return barsFrom + v/top*(barsTo-barsFrom) }
	ch := chart{Title: c.Title(), Width: chartWidth, PlotHeight: len(rows) * rowHeight, Height: len(rows)*rowHeight + axisHeight}
	for v := 0.0; v <= top; v += step {
		ch.Ticks = append(ch.Ticks, mark{scale(v), strconv.FormatFloat(v, 'g', -1, 64)})
	}
	for i, r := range rows {
		y := float64(i*rowHeight) + (rowHeight-barHeight)/2.0
		b := bar{Name: r.Gateway, Ours: r.Ours, Y: y, Middle: y + barHeight/2.0, Left: barsFrom}
		if f, ok := r.Figure(c); ok {
			b.Text, b.Range = f.Text(c), f.Min < f.Max
			b.Width = scale(f.Median) - barsFrom
			b.Low, b.High = scale(f.Min), scale(f.Max)
			b.TextAt = b.High + 8
		} else {
			b.Refused, b.Text, b.TextAt = true, "no figure", barsFrom+6
		}
		ch.Bars = append(ch.Bars, b)
	}
	return ch
}

// order returns the rows by figure, those without one last, and the largest
// value to be drawn.
func order(t *Table, c Column) ([]*Row, float64) {
	rows := slices.Clone(t.Rows)
	top := 0.0
	key := func(r *Row) float64 {
		f, ok := r.Figure(c)
		if !ok {
			return math.Inf(1)
		}
		top = max(top, f.Max)
		return f.Median
	}
	slices.SortStableFunc(rows, func(a, b *Row) int {
		x, y := key(a), key(b)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	if top <= 0 {
		top = 1 // nothing to draw; the axis still needs a length
	}
	return rows, top
}

// niceStep rounds up to 1, 2, 2.5 or 5 times a power of ten.
func niceStep(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*p >= v {
			return m * p
		}
	}
	return 10 * p
}
