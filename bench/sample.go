package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/h2gw/h2gw/bench/load"
	"github.com/h2gw/h2gw/bench/peers"
	"github.com/h2gw/h2gw/bench/report"
	"github.com/h2gw/h2gw/bench/usage"
)

// fewest is the smallest number of requests a figure is made from.
const fewest = 20

// settle is how long a gateway may still work after its last connection closed.
const settle = 150 * time.Millisecond

// A runner makes samples with one h2load.
type runner struct {
	h2load load.H2load
	timing load.Timing
}

// A reading is what was read of a gateway around one window.
type reading struct {
	window load.Window
	cpu    usage.CPU
	pss    int64
}

// sample makes one run of a workload on a gateway. What goes wrong is in the
// sample (Why), so that the other gateways' turns still come; the error is only
// for the end of ctx.
func (r *runner) sample(ctx context.Context, w load.Workload, g *gateway) (report.Sample, error) {
	var s report.Sample
	var err error
	if w.Kind == load.Resumed {
		s, err = r.resumed(ctx, w, g)
	} else {
		s, err = r.loaded(ctx, w, g)
	}
	if ctx.Err() != nil {
		return s, ctx.Err()
	}
	if err != nil {
		s.Why = err.Error()
	}
	if g.proc.Dead() {
		s.Why = "the gateway has ended"
	}
	if s.Why != "" {
		s.Values = nil
	}
	return s, nil
}

// loaded is a run with h2load.
func (r *runner) loaded(ctx context.Context, w load.Workload, g *gateway) (report.Sample, error) {
	before, err := usage.ReadCPU(g.pids)
	if err != nil {
		return report.Sample{}, err
	}
	run, err := r.h2load.Start(ctx, w, r.timing, g.proc.Addr)
	if err != nil {
		return report.Sample{}, err
	}
	var rd reading
	var readErr error
	if w.Kind != load.NewConn {
		rd, readErr = r.watch(ctx, g, w.Warm(r.timing))
	}
	sum, err := run.Wait()
	if err != nil {
		return report.Sample{}, err
	}
	if w.Kind == load.NewConn {
		time.Sleep(settle)
		rd, readErr = readSince(before, g)
		rd.window = load.Window{To: time.Now()}
	}
	if readErr != nil {
		return report.Sample{}, readErr
	}
	return r.evaluate(w, run, sum, rd)
}

// watch reads the gateway's clocks at both ends of the window while h2load runs.
func (r *runner) watch(ctx context.Context, g *gateway, warm time.Duration) (reading, error) {
	pause(ctx, warm)
	before, err := usage.ReadCPU(g.pids)
	from := time.Now()
	if err != nil {
		return reading{}, err
	}
	pause(ctx, r.timing.Window)
	// The clock right before the window's end, memory after it: reading it takes longer.
	rd, err := readSince(before, g)
	rd.window.From = from
	return rd, err
}

func readSince(before usage.CPU, g *gateway) (reading, error) {
	after, err := usage.ReadCPU(g.pids)
	rd := reading{window: load.Window{To: time.Now()}, cpu: after.Sub(before)}
	if err != nil {
		return rd, err
	}
	rd.pss, err = usage.PSS(g.pids)
	return rd, err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// evaluate turns a finished run into a sample, or says why it has no figures.
func (r *runner) evaluate(w load.Workload, run *load.Run, sum load.Summary, rd reading) (report.Sample, error) {
	var took []time.Duration
	s := report.Sample{Failed: sum.Bad()}
	err := run.Rows(func(row load.Row) {
		inside := rd.window.Ended(row)
		if w.Kind == load.Latency {
			// By their start: those that take long must not drop out at the end.
			inside = rd.window.Started(row)
		}
		if inside {
			s.Requests++
			took = append(took, row.Took)
		}
	})
	if err != nil {
		return s, err
	}
	if s.Why = refusal(w, sum, s.Requests, rd.window); s.Why == "" {
		s.Values = values(w, took, rd)
	}
	return s, nil
}

// refusal says why a run must not have a figure; "" if it may. Failed requests
// come first: a gateway that does less work is cheaper.
func refusal(w load.Workload, sum load.Summary, counted int, win load.Window) string {
	switch {
	case sum.Bad() > 0:
		return fmt.Sprintf("%d of %d requests failed (%d bad answers, %d without one, %d too late, %d not 2xx)",
			sum.Bad(), sum.Done+sum.Errored+sum.TimedOut, sum.Failed, sum.Errored, sum.TimedOut, sum.Succeeded-sum.OK)
	case sum.Protocol != "h2":
		return fmt.Sprintf("the client got %q, not HTTP/2", sum.Protocol)
	case sum.TLS != "TLSv1.3":
		return fmt.Sprintf("the client got %q; all are compared on TLSv1.3", sum.TLS)
	case counted < fewest:
		return fmt.Sprintf("only %d requests within the window, want %d", counted, fewest)
	}
	if w.Kind == load.Latency {
		if rate := float64(counted) / win.To.Sub(win.From).Seconds(); rate < 0.98*float64(w.Rate) {
			return fmt.Sprintf("%.0f requests/s were made instead of %d: the machine does not keep up", rate, w.Rate)
		}
	}
	return ""
}

// values are the figures of a good run.
func values(w load.Workload, took []time.Duration, rd reading) map[report.Column]float64 {
	n := float64(len(took))
	v := map[report.Column]float64{
		report.CPU:    float64(rd.cpu.Total.Nanoseconds()) / 1000 / n,
		report.Memory: float64(rd.pss) / (1 << 20),
	}
	if t := rd.cpu.User + rd.cpu.System; t > 0 {
		v[report.System] = 100 * float64(rd.cpu.System) / float64(t)
	}
	switch w.Kind {
	case load.Steady:
		v[report.Rate] = n / rd.window.To.Sub(rd.window.From).Seconds()
	case load.Latency:
		slices.Sort(took)
		for c, p := range map[report.Column]float64{report.P50: 50, report.P99: 99, report.P999: 99.9} {
			v[c] = float64(report.Percentile(took, p).Microseconds())
		}
	}
	return v
}

// resumed is a run of connections that resume a TLS session, with the client of
// this program: h2load always makes a full handshake.
func (r *runner) resumed(ctx context.Context, w load.Workload, g *gateway) (report.Sample, error) {
	var s report.Sample
	size := peers.Sizes[w.Path]
	c := load.NewClient(true)
	if err := c.Prime(ctx, g.proc.Addr, w.Path, size); err != nil {
		return s, err
	}
	before, err := usage.ReadCPU(g.pids)
	if err != nil {
		return s, err
	}
	n := w.Connections(r.timing)
	s.Requests = n
	if s.Failed, err = c.Cycle(ctx, g.proc.Addr, w.Path, size, n, w.Rate); err != nil {
		s.Why = fmt.Sprintf("%d of %d connections failed or were not resumed: %v", s.Failed, n, err)
		return s, nil
	}
	time.Sleep(settle)
	rd, err := readSince(before, g)
	if err != nil {
		return s, err
	}
	s.Values = values(w, make([]time.Duration, n), rd)
	return s, nil
}

// countSyscalls is a run of its own: counting slows a gateway down a little.
func (r *runner) countSyscalls(ctx context.Context, w load.Workload, g *gateway) (report.Sample, error) {
	t := r.timing
	// perf takes a while to attach and to let go.
	t.Window += time.Second
	run, err := r.h2load.Start(ctx, w, t, g.proc.Addr)
	if err != nil {
		return report.Sample{}, err
	}
	pause(ctx, w.Warm(t))
	calls, perfErr := usage.Syscalls(ctx, g.pids, r.timing.Window)
	sum, err := run.Wait()
	if err = errors.Join(err, perfErr); err != nil {
		return report.Sample{}, err
	}
	s, err := r.evaluate(w, run, sum, reading{window: load.Window{From: calls.From, To: calls.To}})
	if err == nil && s.Why == "" {
		s.Values = map[report.Column]float64{report.Syscalls: float64(calls.N) / float64(s.Requests)}
		s.Calls = map[string]float64{}
		for name, n := range calls.ByName {
			s.Calls[name] = float64(n) / float64(s.Requests)
		}
	}
	// The requests that were measured are those of the other samples.
	s.Requests = 0
	return s, err
}
