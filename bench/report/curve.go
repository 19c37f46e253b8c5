package report

import (
	"fmt"
	"strconv"
)

// A Curve is the tables of one workload at different numbers of something.
type Curve struct {
	Name, About string
	Tables      []*Table // by ascending X
}

// A Part of a report is a table alone, or a curve.
type Part struct {
	*Table
	*Curve
}

// Parts returns the tables with those that make a curve put together.
func (r *Report) Parts() []Part {
	var out []Part
	curves := map[string]*Curve{}
	for _, t := range r.Tables {
		switch c := curves[t.Curve]; {
		case t.Curve == "":
			out = append(out, Part{Table: t})
		case c == nil:
			c = &Curve{Name: t.Curve, About: t.About, Tables: []*Table{t}}
			curves[t.Curve] = c
			out = append(out, Part{Curve: c})
		default:
			c.Tables = append(c.Tables, t)
		}
	}
	return out
}

// Column is the figure the curve is of.
func (c *Curve) Column() Column { return c.Tables[0].Columns[0] }

// gateways are those of any of the tables, in their order.
func (c *Curve) gateways() []*Row {
	var rows []*Row
	seen := map[string]bool{}
	for _, t := range c.Tables {
		for _, r := range t.Rows {
			if !seen[r.Gateway] {
				seen[r.Gateway] = true
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// series are the gateways' lines; a point without a figure is left out.
func (c *Curve) series() []series {
	var all []series
	for _, g := range c.gateways() {
		s := series{name: g.Gateway, ours: g.Ours}
		for _, t := range c.Tables {
			if f, ok := t.Row(g.Gateway, g.Ours).Figure(c.Column()); ok {
				s.points = append(s.points, point{float64(t.X), f})
			}
		}
		all = append(all, s)
	}
	return all
}

// Rise is by how much a line rises above any point left of it, at most: 1 is
// not at all. A cost that grows with the number of things shows here; one that
// falls, because more is done at a time, does not.
func (s series) Rise() float64 {
	rise, least := 1.0, 0.0
	for i, p := range s.points {
		v := p.figure.Median
		if i == 0 || v < least {
			least = v
		}
		if least > 0 {
			rise = max(rise, v/least)
		}
	}
	return rise
}

// cells lays the curve out: a line for each gateway, a column for each number.
func (c *Curve) cells() [][]string {
	head := []string{c.Column().Title()}
	for _, t := range c.Tables {
		head = append(head, strconv.Itoa(t.X))
	}
	out := [][]string{append(head, "rises by")}
	for _, s := range c.series() {
		line := []string{s.name}
		for _, t := range c.Tables {
			line = append(line, t.Row(s.name, s.ours).text(c.Column()))
		}
		out = append(out, append(line, fmt.Sprintf("%.0f%%", 100*(s.Rise()-1))))
	}
	return out
}

// Notes are the reasons for figures that are not shown.
func (c *Curve) Notes() []string {
	var out []string
	for _, t := range c.Tables {
		for _, n := range t.Notes() {
			out = append(out, fmt.Sprintf("at %d: %s", t.X, n))
		}
	}
	return out
}

// chart draws the curve with a logarithmic axis.
func (c *Curve) chart() lineChart {
	x := axis{title: c.Name, log: true}
	for _, t := range c.Tables {
		x.ticks = append(x.ticks, float64(t.X))
	}
	return newLines(c.Column().Title(), x, c.series())
}
