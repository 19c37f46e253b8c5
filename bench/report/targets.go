package report

import (
	"fmt"
	"strings"
)

// A Target is what h2gw sets itself for the first figure of a workload.
type Target struct {
	// Workload is its name, or the first word of it.
	Workload string
	// Row is which h2gw: "h2gw", or "h2gw+NAME" with other settings.
	Row string
	// Must and Aim are the largest values allowed and wished for.
	Must, Aim float64
	// Of says what the value is.
	Of Measure
}

// A Measure is how a target's value is made of a figure.
type Measure int

const (
	// ToBest is the ratio to the cheapest peer of the same run.
	ToBest Measure = iota
	// Absolute is the figure itself.
	Absolute
	// Extra is how much the figure is above that of plain h2gw.
	Extra
)

// Targets of h2gw, as docs/performance.md has them. Rows with a "+" are there
// if the benchmark was run with -also pipe:origin.pipeline=N or
// -also log:access-log=on.
var Targets = []Target{
	{"small", "h2gw", 1, 0.85, ToBest},
	{"single", "h2gw", 1, 0.85, ToBest},
	{"10k", "h2gw", 1, 0.85, ToBest},
	{"conns", "h2gw", 1, 0.85, ToBest},
	{"1m", "h2gw", 1, 0.90, ToBest},
	{"upload", "h2gw", 1, 0.90, ToBest},
	{"newconn", "h2gw", 1.1, 1, ToBest},
	{"resumed", "h2gw", 1.1, 1, ToBest},
	{"latency", "h2gw", 1, 1, ToBest},
	{"idle", "h2gw", 18, 14, Absolute},
	{"small", "h2gw+pipe", 0.6, 0.45, ToBest},
	{"single", "h2gw+pipe", 0.6, 0.45, ToBest},
	{"conns", "h2gw+pipe", 0.8, 0.8, ToBest},
	{"small", "h2gw+log", 1.5, 1, Extra},
}

// Reached lays out which targets the measurement has reached; nil if it says
// nothing about any.
func (r *Report) Reached() [][]string {
	var out [][]string
	for _, t := range Targets {
		for _, table := range r.Tables {
			name, _, _ := strings.Cut(table.Workload, " ")
			if name != t.Workload || table.Curve != "" && t.Of != Absolute {
				continue
			}
			if line := t.line(table); line != nil {
				out = append(out, line)
			}
		}
	}
	if out == nil {
		return nil
	}
	return append([][]string{{"target", "what", "must", "aim", "is", ""}}, out...)
}

func (t Target) line(table *Table) []string {
	c := table.Columns[0]
	v, ok := t.value(table, c)
	if !ok {
		return nil
	}
	number := func(v float64) string {
		switch t.Of {
		case Absolute:
			return c.Format(v)
		case Extra:
			return fmt.Sprintf("%+.1f", v)
		}
		return fmt.Sprintf("%.2f", v)
	}
	what := map[Measure]string{ToBest: "to best peer", Absolute: c.Title(), Extra: c.Title() + ", more"}[t.Of]
	if t.Of == ToBest && c != CPU {
		what = c.Title() + ", " + what
	}
	verdict := "missed"
	switch {
	case v <= t.Aim:
		verdict = "aim"
	case v <= t.Must:
		verdict = "met"
	}
	return []string{strings.TrimSpace(table.Workload + strings.TrimPrefix(t.Row, ours)), what, number(t.Must), number(t.Aim), number(v), verdict}
}

// ours is the row of h2gw with its defaults.
const ours = "h2gw"

func (t Target) value(table *Table, c Column) (float64, bool) {
	figure := func(name string) (float64, bool) {
		for _, r := range table.Rows {
			if r.Gateway == name {
				f, ok := r.Figure(c)
				return f.Median, ok
			}
		}
		return 0, false
	}
	v, ok := figure(t.Row)
	switch t.Of {
	case Extra:
		plain, found := figure(ours)
		return v - plain, ok && found
	case ToBest:
		best, found := table.Best(c)
		if !found || best <= 0 {
			return 0, false
		}
		return v / best, ok
	}
	return v, ok
}
