package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/h2gw/h2gw/bench/load"
	"github.com/h2gw/h2gw/bench/peers"
	"github.com/h2gw/h2gw/bench/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "bench: stopped; everything it started has ended")
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the whole program. When it returns, what it started has ended.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parseFlags(args, progress)
	if err != nil {
		return err
	}
	if o.render != "" {
		return again(o, out)
	}
	return benchmark(ctx, o, out, progress)
}

// benchmark measures what o asks for and writes the result.
func benchmark(ctx context.Context, o options, out, progress io.Writer) (err error) {
	h2load, err := exec.LookPath("h2load")
	if err != nil {
		return errors.New("h2load is not on PATH (Debian: apt-get install nghttp2-client nginx-light, and gateways to compare with)")
	}
	raiseFileLimit()
	dir, err := os.MkdirTemp("", "h2gw-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// For a gateway that gives up root; nothing in it is secret.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}

	if o.alone() {
		o.gateways = []string{ours}
	}
	rep := newReport(o)
	f, err := newField(ctx, o, dir)
	if f != nil {
		defer f.stop()
	}
	if err != nil {
		return err
	}
	f.h2load = h2load
	f.noteVersions(ctx, h2load)
	if o.soak > 0 {
		return soak(ctx, f, o, out, progress)
	}
	r := &runner{h2load: load.H2load{Path: h2load, Dir: dir}, timing: o.timing}
	if o.profiled() {
		return takeProfiles(ctx, f, r, o, out, progress)
	}
	if err := measure(ctx, f, r, rep, progress); err != nil {
		return err
	}
	rep.LoadAfter, rep.Versions, rep.Missing = loadAverage(), f.versions, f.missing
	return write(rep, o, out)
}

func newReport(o options) *report.Report {
	return &report.Report{
		Date: time.Now().UTC().Format("2006-01-02 15:04"), Machine: thisMachine(), LoadBefore: loadAverage(),
		Settings: report.Settings{Rounds: o.rounds, WindowSeconds: o.timing.Window.Seconds(), Workers: o.workers,
			AccessLog: o.accessLog, H2GW: o.set},
	}
}

// noteVersions adds the tools' versions to the gateways'.
func (f *field) noteVersions(ctx context.Context, h2load string) {
	f.versions["go"] = runtime.Version()
	_, v, err := peers.Peer{Name: "h2load", Binary: h2load, VersionArgs: []string{"--version"}}.Find(ctx)
	if err == nil {
		f.versions["h2load"] = v
	}
}

// again writes a result of earlier in the forms asked for.
func again(o options, out io.Writer) error {
	if o.soak > 0 {
		s, err := report.ReadSoak(o.render)
		if err != nil {
			return err
		}
		return write(s, o, out)
	}
	rep, err := report.Read(o.render)
	if err != nil {
		return err
	}
	return write(rep, o, out)
}

// A result can be written in all forms.
type result interface {
	WriteText(io.Writer) error
	WriteJSON(io.Writer) error
	WriteHTML(io.Writer) error
	WriteMarkdown(io.Writer) error
}

// write puts the result where it was asked for; text always goes to out.
func write(rep result, o options, out io.Writer) error {
	err := rep.WriteText(out)
	for _, w := range []struct {
		path  string
		write func(io.Writer) error
	}{{o.json, rep.WriteJSON}, {o.html, rep.WriteHTML}, {o.table, rep.WriteMarkdown}} {
		if w.path != "" {
			err = errors.Join(err, toFile(w.path, w.write))
		}
	}
	return err
}

func toFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// raiseFileLimit lets this program and the gateways, which inherit it, hold as
// many connections as the system allows; the usual 1024 is too few for conns.
func raiseFileLimit() {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil {
		l.Cur = l.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
	}
}
