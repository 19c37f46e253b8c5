//go:build !386 && !s390x

package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
)

// workerEnv is set in a worker's environment.
const workerEnv = "RELAY_WORKER"

func main() {
	from := flag.String("from", "127.0.0.1:8600", "accept on this address")
	to := flag.String("to", "127.0.0.1:9000", "copy to and from this address")
	workers := flag.Int("workers", 2, "number of processes")
	flag.Parse()
	var err error
	if os.Getenv(workerEnv) != "" {
		err = work(*from, *to)
	} else {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = lead(ctx, *workers)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

// lead starts this program as workers, with the same arguments, and ends them when
// ctx is done, or as soon as one has ended.
func lead(ctx context.Context, workers int) error {
	if workers < 1 {
		return fmt.Errorf("-workers %d: at least 1", workers)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, workers)
	for i := range workers {
		cmd := exec.CommandContext(ctx, os.Args[0], os.Args[1:]...)
		cmd.Env = append(os.Environ(), workerEnv+"="+strconv.Itoa(i+1), "GOMAXPROCS=1")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		go func() { ended <- cmd.Wait() }()
	}
	var first error
	for i := range workers {
		err := <-ended
		if i == 0 && ctx.Err() == nil {
			first = err
		}
		cancel()
	}
	return first
}

// work relays until the process is ended.
func work(from, to string) error {
	debug.SetGCPercent(-1) // it allocates nothing that grows
	listen, err := netip.ParseAddrPort(from)
	if err != nil {
		return fmt.Errorf("-from: %w", err)
	}
	origin, err := netip.ParseAddrPort(to)
	if err != nil {
		return fmt.Errorf("-to: %w", err)
	}
	if !listen.Addr().Is4() || !origin.Addr().Is4() {
		return fmt.Errorf("-from %s, -to %s: only IPv4 addresses", from, to)
	}
	r, err := newRelay(listen, origin)
	if err != nil {
		return err
	}
	report(r)
	return nil
}

// report says every second what the messages of that second cost, if there were any.
func report(r *relay) {
	cpu, messages := used(), r.messages
	next := time.Now().Add(time.Second)
	for {
		r.turn(100 * time.Millisecond)
		if time.Now().Before(next) {
			continue
		}
		next = time.Now().Add(time.Second)
		nowCPU, now := used(), r.messages
		if n := now - messages; n > 0 {
			fmt.Printf("worker %s: %d messages back and forth, %.1f µs of CPU each pair\n",
				os.Getenv(workerEnv), n, float64((nowCPU-cpu).Microseconds())/(float64(n)/2))
		}
		cpu, messages = nowCPU, now
	}
}

// used is the processor time of this process so far.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
