package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A lineChart is one or more lines over a common axis, in SVG units. Its
// vertical axis begins at 0.
type lineChart struct {
	Title                   string
	Width, Height           int
	Left, Right, Top, Floor float64
	XTitle                  string
	// Mark is where something happened; 0 is nowhere.
	Mark  float64
	X, Y  []mark
	Lines []line
}

type line struct {
	Name   string
	Ours   bool
	Points string // of a polyline
	Dots   []dot
	// LabelY is where the name stands, right of the last point.
	LabelY float64
}

type dot struct{ X, Y, Low, High float64 }

// series is what a line is drawn from; X ascends.
type series struct {
	name   string
	ours   bool
	points []point
}

type point struct {
	x      float64
	figure Figure
}

// An axis says how x becomes a place: its ticks, and whether it is logarithmic.
type axis struct {
	title string
	ticks []float64
	log   bool
}

// Measures of a line chart, in SVG units.
const (
	linesWidth  = 560
	linesHeight = 250
	linesLeft   = 52
	linesRight  = 462
	linesTop    = 10
	linesFloor  = 204
	labelApart  = 14
)

func newLines(title string, x axis, all []series) lineChart {
	ch := lineChart{Title: title, Width: linesWidth, Height: linesHeight, Left: linesLeft, Right: linesRight,
		Top: linesTop, Floor: linesFloor, XTitle: x.title}
	top := 0.0
	for _, s := range all {
		for _, p := range s.points {
			top = max(top, p.figure.Max)
		}
	}
	if top <= 0 {
		top = 1
	}
	step := niceStep(top / 5)
	top = step * math.Ceil(top/step-1e-9)
	place := x.place()
	height := func(v float64) float64 { return linesFloor - v/top*(linesFloor-linesTop) }
	for i := 0; float64(i)*step <= top*1.001; i++ {
		v := float64(i) * step
		ch.Y = append(ch.Y, mark{height(v), strconv.FormatFloat(v, 'g', 6, 64)})
	}
	for _, v := range x.ticks {
		ch.X = append(ch.X, mark{place(v), strconv.FormatFloat(v, 'g', 6, 64)})
	}
	for _, s := range all {
		if len(s.points) > 0 {
			ch.Lines = append(ch.Lines, s.draw(place, height))
		}
	}
	spread(ch.Lines)
	return ch
}

// place returns where a value stands along the axis.
func (x axis) place() func(float64) float64 {
	scale := func(v float64) float64 { return v }
	if x.log {
		scale = func(v float64) float64 { return math.Log(max(v, 1)) }
	}
	lo, hi := scale(x.ticks[0]), scale(x.ticks[len(x.ticks)-1])
	if hi <= lo {
		hi = lo + 1
	}
	return func(v float64) float64 { return linesLeft + (scale(v)-lo)/(hi-lo)*(linesRight-linesLeft) }
}

func (s series) draw(place, height func(float64) float64) line {
	l := line{Name: s.name, Ours: s.ours}
	var b strings.Builder
	for _, p := range s.points {
		d := dot{place(p.x), height(p.figure.Median), height(p.figure.Min), height(p.figure.Max)}
		fmt.Fprintf(&b, "%.1f,%.1f ", d.X, d.Y)
		l.Dots = append(l.Dots, d)
		l.LabelY = d.Y
	}
	l.Points = strings.TrimSpace(b.String())
	return l
}

// spread moves names apart that would stand on each other.
func spread(lines []line) {
	byHeight := make([]*line, len(lines))
	for i := range lines {
		byHeight[i] = &lines[i]
	}
	slices.SortStableFunc(byHeight, func(a, b *line) int { return int(math.Copysign(1, b.LabelY-a.LabelY)) })
	// From the floor upwards.
	last := linesFloor + labelApart + 0.0
	for _, l := range byHeight {
		l.LabelY = min(l.LabelY, last-labelApart)
		last = l.LabelY
	}
}
