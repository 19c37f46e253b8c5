package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/h2gw/h2gw/bench/peers"
	"github.com/h2gw/h2gw/bench/report"
	"github.com/h2gw/h2gw/bench/usage"
)

// errSoak is a run that found something to be wrong; what, was printed.
var errSoak = errors.New("something that must be so is not: see the findings")

const (
	// returnWithin is how long after the load everything may take to be back as
	// it was: origin connections are kept for 60 s when nobody uses them.
	returnWithin = 150 * time.Second
	backEvery    = 2 * time.Second
)

// sampleEvery is how often the gateway is looked at.
func sampleEvery(d time.Duration) time.Duration {
	return min(max(d/300, 200*time.Millisecond), 2*time.Second)
}

// soak runs all loads at once against h2gw for as long as asked, watches what
// it holds, and writes what was found. The error is errSoak if that is bad.
func soak(ctx context.Context, f *field, o options, out, progress io.Writer) error {
	g := f.gateways[0]
	if err := f.start(ctx, g); err != nil {
		return err
	}
	defer g.stop()
	s := &report.Soak{Date: time.Now().UTC().Format("2006-01-02 15:04"), Machine: thisMachine(), Versions: f.versions,
		H2GW: o.set, Seconds: o.soak.Seconds()}
	// What start has asked for has come and gone.
	pause(ctx, time.Second)
	begin := time.Now().Add(time.Second)
	var err error
	if s.Before, err = look(ctx, g, begin); err != nil {
		return err
	}
	loads, err := newLoads(f, g)
	if err != nil {
		return err
	}
	pause(ctx, time.Until(begin))
	s.Samples, err = watchLoads(ctx, g, loads, begin, o.soak, progress)
	for _, l := range loads {
		s.Add(l.result())
	}
	if err != nil {
		return err
	}
	if s.After, err = untilBack(ctx, g, s.Before, begin, progress); err != nil {
		return err
	}
	if err := write(s, o, out); err != nil {
		return err
	}
	if !s.Passed() {
		return errSoak
	}
	return nil
}

// watchLoads runs the loads and samples the gateway until they have ended.
func watchLoads(ctx context.Context, g *gateway, loads []*soakLoad, begin time.Time, d time.Duration, progress io.Writer) ([]report.SoakSample, error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := runLoads(ctx, loads, begin.Add(d))
	// In this order: the loads must have ended before the gateway is stopped.
	defer func() { cancel(); <-ended }()
	var all []report.SoakSample
	var said time.Time
	tick := time.NewTicker(sampleEvery(d))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return all, ctx.Err()
		case <-ended:
			return all, nil
		case <-tick.C:
		}
		if g.proc.Dead() {
			return all, errors.New("the gateway has ended")
		}
		x, err := look(ctx, g, begin)
		if err != nil {
			return all, err
		}
		if x.Second <= d.Seconds() {
			all = append(all, x)
		}
		if time.Since(said) >= 10*time.Second {
			said = time.Now()
			sayHeld(progress, "under load", x)
		}
	}
}

// untilBack waits for what the load has opened to be closed.
func untilBack(ctx context.Context, g *gateway, before report.SoakSample, begin time.Time, progress io.Writer) ([]report.SoakSample, error) {
	var all []report.SoakSample
	for end := time.Now().Add(returnWithin); ; pause(ctx, backEvery) {
		x, err := look(ctx, g, begin)
		if err != nil || ctx.Err() != nil {
			return all, errors.Join(err, ctx.Err())
		}
		all = append(all, x)
		if len(all)%5 == 1 {
			sayHeld(progress, "afterwards", x)
		}
		if x.Goroutines <= before.Goroutines && x.Descriptors <= before.Descriptors || time.Now().After(end) {
			return all, nil
		}
	}
}

// look reads what the gateway holds now.
func look(ctx context.Context, g *gateway, begin time.Time) (x report.SoakSample, err error) {
	x.Second = time.Since(begin).Seconds()
	if x.PSS, err = usage.PSS(g.pids); err != nil {
		return x, err
	}
	if x.Descriptors, err = usage.Descriptors(g.pids); err != nil {
		return x, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	rt, err := usage.ReadRuntime(ctx, g.admin)
	x.Goroutines, x.Heap, x.Live = rt.Goroutines, rt.Heap, rt.Live
	return x, err
}

func sayHeld(w io.Writer, when string, x report.SoakSample) {
	fmt.Fprintf(w, "%s  %-10s %5.0f s  %6.1f MiB, %5.1f MiB live, %d goroutines, %d descriptors\n", time.Now().Format("15:04:05"),
		when, x.Second, float64(x.PSS)/(1<<20), float64(x.Live)/(1<<20), x.Goroutines, x.Descriptors)
}

// sizeOf is the body of a path.
func sizeOf(path string) int { return peers.Sizes[path] }
