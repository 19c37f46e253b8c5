package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/h2gw/h2gw/bench/load"
	"github.com/h2gw/h2gw/bench/report"
)

// A soakLoad does something over and over until a time, and counts.
type soakLoad struct {
	// once does it once, for not much longer than most; it returns how many
	// requests that were and how many failed.
	once func(ctx context.Context, most time.Duration) (done, failed int, err error)

	mu  sync.Mutex
	sum report.SoakLoad
}

func newSoakLoad(name, about string, once func(context.Context, time.Duration) (int, int, error)) *soakLoad {
	return &soakLoad{once: once, sum: report.SoakLoad{Name: name, About: about}}
}

// run goes on until the time given. A failure does not end it, but slows it
// down: what is wrong once may be so a thousand times.
func (l *soakLoad) run(ctx context.Context, until time.Time) {
	for {
		left := time.Until(until)
		if left < time.Second || ctx.Err() != nil {
			return
		}
		done, failed, err := l.once(ctx, left)
		if ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		l.sum.Done, l.sum.Failed = l.sum.Done+done, l.sum.Failed+failed
		if err != nil {
			l.sum.Why = err.Error()
			if failed == 0 {
				l.sum.Failed++
			}
		}
		l.mu.Unlock()
		if err != nil {
			pause(ctx, time.Second)
		}
	}
}

func (l *soakLoad) result() report.SoakLoad {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sum
}

// runLoads starts all loads; the channel is closed when the last has ended.
func runLoads(ctx context.Context, loads []*soakLoad, until time.Time) <-chan struct{} {
	var wg sync.WaitGroup
	for _, l := range loads {
		wg.Go(func() { l.run(ctx, until) })
	}
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(ended)
	}()
	return ended
}

// newLoads makes the loads: h2load with each of the steady workloads at a
// moderate rate, coming back with new connections every few seconds, and
// clients of this program that come, stay and go, or misbehave.
func newLoads(f *field, g *gateway) ([]*soakLoad, error) {
	var all []*soakLoad
	for i, w := range load.Soak() {
		dir := filepath.Join(f.dir, fmt.Sprintf("soak-%d", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
		l := load.H2load{Path: f.h2load, Dir: dir}
		// Different times, so that they do not come and go together.
		stay := time.Duration(4000+670*i) * time.Millisecond
		all = append(all, newSoakLoad(w.Name, w.About+", at a moderate rate, coming back every few seconds", steady(l, w, g.proc.Addr, stay)))
	}
	for _, v := range []struct {
		name, about string
		client      *load.Client
		every, stay time.Duration
	}{
		{"visits", "a new TLS connection 40 times a second, one request, stays for 5 s", load.NewClient(false), 25 * time.Millisecond, 5 * time.Second},
		{"returns", "the same, the TLS session resumed", load.NewClient(true), 25 * time.Millisecond, 5 * time.Second},
	} {
		if v.name == "returns" {
			// The session that is resumed; start has made sure that this works.
			_ = v.client.Prime(context.Background(), g.proc.Addr, "/small", sizeOf("/small"))
		}
		all = append(all, newSoakLoad(v.name, v.about, crowd(v.every, 250, v.stay, func(ctx context.Context) error {
			return v.client.Visit(ctx, g.proc.Addr, "/small", sizeOf("/small"), v.stay)
		})))
	}
	for _, r := range load.Rudes() {
		client := load.NewClient(false)
		all = append(all, newSoakLoad("rude", r.Name+", 5 times a second", crowd(200*time.Millisecond, 20, time.Second, func(ctx context.Context) error {
			return r.Do(ctx, client, g.proc.Addr)
		})))
	}
	return all, nil
}

// steady is a run of h2load.
func steady(l load.H2load, w load.Workload, addr string, stay time.Duration) func(context.Context, time.Duration) (int, int, error) {
	return func(ctx context.Context, most time.Duration) (int, int, error) {
		run, err := l.Start(ctx, w, load.Timing{Window: min(stay, most)}, addr)
		if err != nil {
			return 0, 0, err
		}
		sum, err := run.Wait()
		if err == nil && sum.Bad() > 0 {
			err = fmt.Errorf("%d of %d requests failed", sum.Bad(), sum.Done+sum.Errored+sum.TimedOut)
		}
		return sum.Done, sum.Bad(), err
	}
}

// crowd is n clients, one after the other in a rhythm, each for itself, of
// which none takes much longer than stay.
func crowd(every time.Duration, n int, stay time.Duration, client func(context.Context) error) func(context.Context, time.Duration) (int, int, error) {
	return func(ctx context.Context, most time.Duration) (done, failed int, err error) {
		var mu sync.Mutex // guards the results
		var wg sync.WaitGroup
		tick := time.NewTicker(every)
		defer tick.Stop()
		for end := time.Now().Add(most - stay); done < n && time.Now().Before(end) && ctx.Err() == nil; done++ {
			<-tick.C
			wg.Go(func() {
				if e := client(ctx); e != nil {
					mu.Lock()
					failed, err = failed+1, e
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if done == 0 {
			pause(ctx, most) // no time is left for another
		}
		return done, failed, err
	}
}
