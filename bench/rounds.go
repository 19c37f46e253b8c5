package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/h2gw/h2gw/bench/load"
	"github.com/h2gw/h2gw/bench/report"
)

// measure runs all rounds of all workloads and fills the report's tables.
// Idle memory comes last, with the other gateways stopped.
func measure(ctx context.Context, f *field, r *runner, rep *report.Report, progress io.Writer) error {
	tables := makeTables(f.opts, rep)
	if err := f.startAll(ctx); err != nil {
		return err
	}
	for _, w := range f.opts.workloads {
		for _, t := range tables[w.Name] {
			// Now, so that all tables have one order, whoever's turn is first.
			for _, g := range f.running(w) {
				t.Row(g.Name, g.ours)
			}
		}
	}
	for round := range f.opts.rounds {
		for i, w := range f.opts.workloads {
			if w.Kind.AtRest() {
				continue
			}
			first := round + i
			if err := oneRound(ctx, f, r, w, tables[w.Name][0], round, first, progress); err != nil {
				return err
			}
		}
	}
	if f.opts.syscalls {
		if err := syscallRound(ctx, f, r, tables, progress); err != nil {
			return err
		}
	}
	f.stopGateways()
	for _, w := range f.opts.workloads {
		if w.Kind.AtRest() {
			if err := restRounds(ctx, f, w, tables[w.Name], progress); err != nil {
				return err
			}
		}
	}
	return nil
}

// rotated is all in the order of one turn, from another first each time: no
// gateway always comes when the machine has just been idle.
func rotated[T any](all []T, first int) []T {
	if len(all) == 0 {
		return nil
	}
	n := first % len(all)
	return append(append([]T{}, all[n:]...), all[:n]...)
}

func oneRound(ctx context.Context, f *field, r *runner, w load.Workload, t *report.Table, round, first int, progress io.Writer) error {
	for _, g := range rotated(f.running(w), first) {
		s, err := r.sample(ctx, w, g)
		if err != nil {
			return err
		}
		keep(t, g, s)
		say(progress, fmt.Sprintf("round %d/%d", round+1, f.opts.rounds), t, g, s)
	}
	return nil
}

func syscallRound(ctx context.Context, f *field, r *runner, tables map[string][]*report.Table, progress io.Writer) error {
	for _, w := range f.opts.workloads {
		if w.Kind != load.Steady {
			continue
		}
		for _, g := range f.running(w) {
			s, err := r.countSyscalls(ctx, w, g)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t := tables[w.Name][0]
			if err != nil {
				// The other figures stand without this one.
				fmt.Fprintf(progress, "%s, %s: system calls not counted: %v\n", w.Name, g.Name, err)
				continue
			}
			keep(t, g, s)
			say(progress, "syscalls", t, g, s)
		}
	}
	return nil
}

// leastRest is how long it takes at least until what rests is measured: those that
// give memory back do so after a second or two.
const leastRest = 3 * time.Second

// restRounds measures what connections or streams cost that do nothing, for
// each number of them.
func restRounds(ctx context.Context, f *field, w load.Workload, tables []*report.Table, progress io.Writer) error {
	rest := max(f.opts.timing.Window+f.opts.timing.WarmUp, leastRest)
	for _, t := range tables {
		for round := range f.opts.rounds {
			for _, g := range rotated(f.running(w), round) {
				var s report.Sample
				var err error
				if w.Kind == load.Holding {
					s, err = heldSample(ctx, f, w.Hold, g, w.X, rest)
				} else {
					s, err = idleSample(ctx, f, w, g, t.X, rest)
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err != nil {
					s.Why = err.Error()
				}
				keep(t, g, s)
				say(progress, fmt.Sprintf("round %d/%d", round+1, f.opts.rounds), t, g, s)
			}
		}
	}
	return nil
}

func keep(t *report.Table, g *gateway, s report.Sample) {
	row := t.Row(g.Name, g.ours)
	row.Samples = append(row.Samples, s)
}

// say prints one line of progress.
func say(w io.Writer, what string, t *report.Table, g *gateway, s report.Sample) {
	text := s.Why
	if text == "" {
		for _, c := range append([]report.Column{report.Syscalls}, t.Columns...) {
			if v, ok := s.Values[c]; ok {
				text = c.Format(v) + " " + c.Title()
				break
			}
		}
	}
	fmt.Fprintf(w, "%s  %-10s %-8s %-12s %s\n", time.Now().Format("15:04:05"), what, t.Workload, g.Name, text)
}

// makeTables makes an empty table for each workload, or for each number of idle
// connections.
func makeTables(o options, rep *report.Report) map[string][]*report.Table {
	byName := map[string][]*report.Table{}
	add := func(w load.Workload, columns ...report.Column) *report.Table {
		t := &report.Table{Workload: w.Name, About: w.About, Curve: w.Curve, X: w.X, Columns: columns}
		rep.Tables = append(rep.Tables, t)
		byName[w.Name] = append(byName[w.Name], t)
		return t
	}
	for _, w := range o.workloads {
		switch w.Kind {
		case load.Steady:
			add(w, report.CPU, report.System, report.Syscalls, report.Rate, report.Memory)
		case load.Latency:
			add(w, report.P99, report.P50, report.P999, report.CPU)
		case load.Holding:
			add(w, report.StreamKiB, report.Memory)
		case load.Idle:
			for _, n := range o.idle {
				t := add(w, report.IdleKiB, report.Memory)
				t.Workload, t.X = fmt.Sprintf("%s %d", w.Name, n), n
				if len(o.idle) > 1 {
					t.Curve = w.Name
				} else {
					t.About = fmt.Sprintf("%d %s", n, w.About)
				}
			}
		default:
			add(w, report.CPU, report.System, report.Memory)
		}
	}
	return byName
}
