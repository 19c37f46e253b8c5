package gateway

import (
	"context"
	"time"
)

// What the last steps of a shutdown may take beyond timeouts.drain.
const (
	abortWait = 5 * time.Second // for aborted connections to come to their end
	flushWait = 5 * time.Second // for the last log lines
	adminWait = time.Second     // for a scrape under way
)

// Shutdown drains the gateway, in this order: /readyz fails, nothing more is
// accepted, clients are told (GOAWAY in two steps, Connection: close), what is
// running finishes, what has not after timeouts.drain is aborted, the last log
// lines are written, the admin address closes. When ctx ends, aborting comes at
// once. Shutdown returns when all is over; a second call waits for the first.
//
// The result is nil when everything that was running could finish, and says how
// many connections could not otherwise.
func (g *Gateway) Shutdown(ctx context.Context) error {
	if g.stopping.Swap(true) {
		<-g.stopped
		return nil
	}
	defer close(g.stopped)
	if !g.started.Load() {
		g.front.Close()
		g.discard()
		return nil
	}
	g.beginDrain()
	err := g.finish(ctx)
	g.group.Close()
	g.closeSinks()
	return err
}

// beginDrain stops new work and lets running work know. The servers drain
// sessions that are handed to them later as well: those whose handshake was
// under way.
func (g *Gateway) beginDrain() {
	if g.admin != nil {
		g.admin.SetDraining()
	}
	g.sinks.metrics.SetDraining(true)
	g.log.Info().Int("connections", g.front.Open()).Stringer("timeout", g.cfg.Settings.Timeouts.Drain).Msg("draining")
	g.front.Close()
	g.h2.Drain()
	g.h2c.Drain()
	g.machine.Drain()
}

// finish waits for the connections to end, and ends those that do not.
func (g *Gateway) finish(ctx context.Context) error {
	drain, cancel := context.WithTimeout(ctx, g.cfg.Settings.Timeouts.Drain)
	defer cancel()
	var left *abortedError
	if g.front.Wait(drain) != nil {
		left = &abortedError{g.front.Open()}
		g.log.Warn().Int("connections", left.n).Msg("drain: time is up, aborting what is left")
		g.abort()
	}
	// Connections have ended, and with them their transactions, but for the
	// last steps of those whose client is gone.
	wait, cancel := context.WithTimeout(context.Background(), abortWait)
	defer cancel()
	if err := g.machine.Shutdown(wait); err != nil {
		g.log.Warn().Err(err).Msg("drain: transactions did not end")
	}
	if left != nil {
		return left
	}
	return nil
}

// abort ends every connection: first in the words of its protocol, then by
// closing the socket.
func (g *Gateway) abort() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = g.h2.Shutdown(now)
	_ = g.h2c.Shutdown(now)
	_ = g.machine.Shutdown(now)
	wait, cancel := context.WithTimeout(context.Background(), abortWait)
	defer cancel()
	soon, cancel := context.WithTimeout(wait, abortWait/5)
	defer cancel()
	if g.front.Wait(soon) == nil {
		return
	}
	g.front.Abort()
	if err := g.front.Wait(wait); err != nil {
		g.log.Error().Int("connections", g.front.Open()).Msg("drain: connections did not end after their sockets were closed")
	}
}

// closeSinks writes what is left to write. The admin address goes last, so that
// the drain can be watched to its end.
func (g *Gateway) closeSinks() {
	flush, cancel := context.WithTimeout(context.Background(), flushWait)
	defer cancel()
	if err := g.sinks.log.Close(flush); err != nil {
		g.log.Error().Err(err).Msg("access log: the last lines could not be written")
	}
	if dropped := g.sinks.log.Stats().Dropped; dropped > 0 {
		g.log.Warn().Uint64("lines", dropped).Msg("access log: lines were lost because the output could not keep up")
	}
	if g.admin != nil {
		wait, cancel := context.WithTimeout(context.Background(), adminWait)
		defer cancel()
		g.admin.Close(wait)
	}
	g.log.Info().Msg("stopped")
}
