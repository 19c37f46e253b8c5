package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/internal/gateway"
)

// serve makes a gateway, runs it until TERM or INT, and drains it. ready, when
// not nil, is called once it is serving.
func serve(cfg gateway.Config, log zerolog.Logger, ready func(*gateway.Gateway)) error {
	// A log reader that goes away must not take the gateway with it: writing
	// fails instead, and is told once.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)

	g, err := gateway.New(cfg)
	if err != nil {
		return &usageError{err}
	}
	paceCollector()
	g.Start()
	if ready != nil {
		ready(g)
	}
	untilTold(signals, nil, g, log)
	told := time.Now()

	ctx, abort := context.WithCancel(context.Background())
	defer abort()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		// What had to be aborted is in the log; the shutdown itself worked.
		_ = g.Shutdown(ctx)
	}()
	for {
		if !untilTold(signals, drained, g, log) {
			return nil
		}
		if time.Since(told) >= sameWish {
			break
		}
	}
	abort()
	select {
	case <-drained:
	case <-time.After(lastWords):
	}
	return errors.New("second signal: exiting at once, requests under way were cut")
}

// sameWish is how close to the first signal another one says the same thing
// again: timeout(1), supervisors and terminals signal a process and its group,
// and both reach it. A person needs longer to become impatient.
const sameWish = 300 * time.Millisecond

// lastWords is how long an exit "at once" may take, so that the requests it
// cuts still get their access lines.
const lastWords = 500 * time.Millisecond

// untilTold handles signals until one asks to end, and then returns true; when
// over is closed first it returns false.
func untilTold(signals <-chan os.Signal, over <-chan struct{}, g *gateway.Gateway, log zerolog.Logger) bool {
	for {
		select {
		case <-over:
			return false
		case s := <-signals:
			switch s {
			case syscall.SIGUSR1:
				reopen(g, log)
			case syscall.SIGHUP:
				log.Info().Msg("HUP: nothing to reload, all configuration is in the flags")
			default:
				log.Info().Stringer("signal", s).Msg("told to end")
				return true
			}
		}
	}
}

func reopen(g *gateway.Gateway, log zerolog.Logger) {
	if err := g.ReopenLogs(context.Background()); err != nil {
		log.Error().Err(err).Msg("USR1: the access log stays with its old file")
		return
	}
	log.Info().Msg("USR1: access log reopened")
}
