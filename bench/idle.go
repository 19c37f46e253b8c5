package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/h2gw/h2gw/bench/load"
	"github.com/h2gw/h2gw/bench/peers"
	"github.com/h2gw/h2gw/bench/report"
	"github.com/h2gw/h2gw/bench/usage"
)

// openers is how many connections are being opened at once.
const openers = 8

// fresh starts a gateway (what it kept from earlier load would hide the cost),
// has open fill it with something, and reads how much its memory has grown once
// that has rested, per thing of n.
func fresh(ctx context.Context, f *field, g *gateway, n int, rest time.Duration, c report.Column, open func() (check func() error, release func(), err error)) (report.Sample, error) {
	s := report.Sample{Requests: n}
	if err := f.start(ctx, g); err != nil {
		return s, err
	}
	defer g.stop()
	before, err := usage.PSS(g.pids)
	if err != nil {
		return s, err
	}
	check, release, err := open()
	defer release()
	if err != nil {
		return s, err
	}
	pause(ctx, rest)
	after, err := usage.PSS(g.pids)
	if err == nil {
		err = check()
	}
	if err != nil {
		return s, err
	}
	s.Values = map[report.Column]float64{
		c:             float64(after-before) / 1024 / float64(n),
		report.Memory: float64(after) / (1 << 20),
	}
	return s, ctx.Err()
}

// idleSample opens n connections with one request each.
func idleSample(ctx context.Context, f *field, w load.Workload, g *gateway, n int, rest time.Duration) (report.Sample, error) {
	return fresh(ctx, f, g, n, rest, report.IdleKiB, func() (func() error, func(), error) {
		client, addr := load.NewClient(false), g.proc.Addr
		if w.Plain {
			client, addr = load.NewPlainClient(), g.plain
		}
		conns, bad, err := many(n, func() (net.Conn, error) { return client.Open(ctx, addr, w.Path, peers.Sizes[w.Path]) })
		if bad > 0 {
			err = fmt.Errorf("%d of %d connections failed: %w", bad, n, err)
		}
		return func() error { return nil }, func() { each(conns, load.Abandon) }, err
	})
}

// heldSample opens n streams that stay open.
func heldSample(ctx context.Context, f *field, h load.Hold, g *gateway, n int, rest time.Duration) (report.Sample, error) {
	return fresh(ctx, f, g, n, rest, report.StreamKiB, func() (func() error, func(), error) {
		client := load.NewClient(false)
		all, bad, err := many(n/h.Streams, func() (*load.Held, error) { return client.Hold(ctx, g.proc.Addr, h) })
		if bad > 0 {
			err = fmt.Errorf("%d of %d connections failed: %w", bad, n/h.Streams, err)
		}
		check := func() (err error) {
			each(all, func(held *load.Held) { err = errors.Join(err, held.Check(h)) })
			return err
		}
		return check, func() { each(all, (*load.Held).Close) }, err
	})
}

// many opens n of something, several at a time, and says how many failed.
func many[T any](n int, open func() (T, error)) (all []T, bad int, err error) {
	var mu sync.Mutex // guards the results
	var wg sync.WaitGroup
	for i := range openers {
		wg.Go(func() {
			for range (n + openers - 1 - i) / openers {
				c, e := open()
				mu.Lock()
				if e != nil {
					bad, err = bad+1, e
				} else {
					all = append(all, c)
				}
				mu.Unlock()
				if errors.Is(e, context.Canceled) {
					return
				}
			}
		})
	}
	wg.Wait()
	return all, bad, err
}

func each[T any](all []T, f func(T)) {
	for _, x := range all {
		f(x)
	}
}
