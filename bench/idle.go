package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"github.com/h2gw/h2gw/bench/load"
	"github.com/h2gw/h2gw/bench/peers"
	"github.com/h2gw/h2gw/bench/report"
	"github.com/h2gw/h2gw/bench/usage"
)

// openers is how many idle connections are being opened at once.
const openers = 8

// idleSample starts a gateway afresh (what it kept from earlier load would hide
// the cost), opens n connections with one request each, and reads how much its
// memory has grown once they have been idle for a while.
func idleSample(ctx context.Context, f *field, w load.Workload, g *gateway, n int, rest time.Duration) (report.Sample, error) {
	s := report.Sample{Requests: n}
	if err := f.start(ctx, g); err != nil {
		return s, err
	}
	defer g.stop()
	before, err := usage.PSS(g.pids)
	if err != nil {
		return s, err
	}
	conns, bad, err := openIdle(ctx, g.proc.Addr, w.Path, n)
	defer func() {
		for _, c := range conns {
			_ = c.NetConn().Close()
		}
	}()
	if bad > 0 {
		s.Failed = bad
		s.Why = fmt.Sprintf("%d of %d connections failed: %v", bad, n, err)
		return s, ctx.Err()
	}
	pause(ctx, rest)
	after, err := usage.PSS(g.pids)
	if err != nil {
		return s, err
	}
	s.Values = map[report.Column]float64{
		report.IdleKiB: float64(after-before) / 1024 / float64(n),
		report.Memory:  float64(after) / (1 << 20),
	}
	return s, ctx.Err()
}

// openIdle opens n connections, several at a time.
func openIdle(ctx context.Context, addr, path string, n int) (conns []*tls.Conn, bad int, err error) {
	var mu sync.Mutex // guards the results
	var wg sync.WaitGroup
	client := load.NewClient(false)
	for i := range openers {
		wg.Go(func() {
			for range (n + openers - 1 - i) / openers {
				c, e := client.Open(ctx, addr, path, peers.Sizes[path])
				mu.Lock()
				if e != nil {
					bad++
					err = e
				} else {
					conns = append(conns, c)
				}
				mu.Unlock()
				if e != nil && ctx.Err() != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return conns, bad, err
}
