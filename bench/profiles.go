package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/h2gw/h2gw/bench/load"
	"github.com/h2gw/h2gw/bench/profile"
)

// profileFor is how long each profile is taken unless -window says otherwise; the
// load goes on a little longer.
const profileFor = 8 * time.Second

// takeProfiles runs workloads against h2gw and takes profiles of it meanwhile:
// with -profiles of the processor, of locks and of waiting, each in a run of its
// own, because the last two slow the program down; with -pgo of the processor
// alone, all in one file for the compiler.
func takeProfiles(ctx context.Context, f *field, r *runner, o options, out, progress io.Writer) error {
	g := f.gateways[0]
	if err := f.start(ctx, g); err != nil {
		return err
	}
	defer g.stop()
	kinds, dir := []string{profile.CPU, profile.Mutex, profile.Block}, o.profiles
	if o.pgo != "" {
		kinds, dir = kinds[:1], f.dir
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var files []string
	for _, w := range o.workloads {
		for _, kind := range kinds {
			fmt.Fprintf(progress, "%s  %s of %s\n", time.Now().Format("15:04:05"), kind, w.Name)
			data, err := r.profiled(ctx, w, g, kind)
			if err != nil {
				return fmt.Errorf("%s: %w", w.Name, err)
			}
			file := filepath.Join(dir, w.Name+"."+kind+".pprof")
			if err := os.WriteFile(file, data, 0o644); err != nil {
				return err
			}
			files = append(files, file)
		}
	}
	if o.pgo != "" {
		return writePGO(ctx, files, o.pgo, out)
	}
	return tops(ctx, files, out)
}

// profiled takes one profile under one load, without what names this machine.
func (r *runner) profiled(ctx context.Context, w load.Workload, g *gateway, kind string) ([]byte, error) {
	seconds := max(1, int(r.timing.Window.Seconds()))
	t := load.Timing{WarmUp: r.timing.WarmUp, Window: time.Duration(seconds+1) * time.Second}
	run, err := r.h2load.Start(ctx, w, t, g.proc.Addr)
	if err != nil {
		return nil, err
	}
	if w.Kind != load.NewConn {
		pause(ctx, w.Warm(t))
	}
	data, err := profile.Fetch(ctx, g.admin, kind, seconds)
	sum, waitErr := run.Wait()
	switch {
	case err != nil:
		return nil, err
	case waitErr != nil:
		return nil, waitErr
	case sum.Bad() > 0:
		return nil, fmt.Errorf("%d requests failed", sum.Bad())
	}
	return profile.Anonymous(data)
}

func writePGO(ctx context.Context, files []string, to string, out io.Writer) error {
	merged, err := profile.Merge(ctx, files)
	if err != nil {
		return err
	}
	// Merging writes the folders of the files into it.
	if merged, err = profile.Anonymous(merged); err != nil {
		return err
	}
	if err := os.WriteFile(to, merged, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d KiB, from %d profiles\n", to, len(merged)>>10, len(files))
	return nil
}

// tops prints the head of each profile.
func tops(ctx context.Context, files []string, out io.Writer) error {
	for _, file := range files {
		fmt.Fprintf(out, "\n%s\n", file)
		if err := profile.Top(ctx, out, file, "flat", 25); err != nil {
			return err
		}
		if err := profile.Top(ctx, out, file, "cum", 40); err != nil {
			return err
		}
	}
	return nil
}
