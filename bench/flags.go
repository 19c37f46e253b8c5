package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/h2gw/h2gw/bench/load"
	"github.com/h2gw/h2gw/bench/peers"
)

// options are what the command line asks for.
type options struct {
	quick     bool
	scale     bool
	soak      time.Duration // 0: no
	profiles  string        // folder; "" is no
	pgo       string        // file; "" is no
	rounds    int
	timing    load.Timing
	idle      []int
	workers   int
	accessLog bool
	syscalls  bool
	workloads []load.Workload
	// gateways by name; empty is all that are installed.
	gateways          []string
	json, html, table string
	h2gw, beside      string
	render            string
	set               []string
	variants          []variant
}

// mostIdle is how many idle connections are opened at most: client ports and
// descriptors are what runs out, here before the gateway's memory.
const mostIdle = 25000

// names of the gateways a -gateways may choose.
const (
	ours       = "h2gw"
	oursBeside = "h2gw-beside"
)

// parseFlags reads the command line. What it does not say comes from -quick or
// from the defaults of a full measurement.
func parseFlags(args []string, usage io.Writer) (options, error) {
	var o options
	var workloads, gateways, accessLog, idle string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.BoolVar(&o.quick, "quick", false, "one short round, under two minutes: good for a first look only")
	fs.BoolVar(&o.scale, "scale", false, "instead of the usual workloads: how costs change with the number of streams, connections and processors")
	fs.DurationVar(&o.soak, "soak", 0, "instead of the usual workloads: all at once for so long (10m), against h2gw alone; does it grow?")
	fs.StringVar(&o.profiles, "profiles", "", "instead of measuring: write processor, mutex and block profiles of h2gw under -workloads (small) into this folder, and print their heads")
	fs.StringVar(&o.pgo, "pgo", "", "instead of measuring: write a processor profile of h2gw under -workloads ("+pgoWorkloads+") into this file, for go build -pgo")
	fs.IntVar(&o.rounds, "rounds", 0, "how often each workload is run on each gateway (3; 1 with -quick)")
	fs.DurationVar(&o.timing.Window, "window", 0, "how long a run is measured (2.5s; 750ms with -quick), or a profile taken (8s)")
	fs.StringVar(&workloads, "workloads", "", "comma-separated, of: "+strings.Join(chooseable(load.Workloads()), " ")+" (all; with -quick without resumed); with -scale of: "+strings.Join(chooseable(load.Scale()), " "))
	fs.StringVar(&gateways, "gateways", "", "comma-separated, of: "+strings.Join(gatewayNames(), " ")+" (all that are installed)")
	fs.StringVar(&idle, "idle", "", "numbers of idle connections, comma-separated, each measured on its own (2000; 500 with -quick)")
	fs.IntVar(&o.workers, "workers", 2, "worker threads or processes of each gateway")
	fs.StringVar(&accessLog, "access-log", "off", "everyone's access log, written to a file: on or off")
	fs.BoolVar(&o.syscalls, "syscalls", false, "count system calls per request in a run of its own (needs perf and root)")
	fs.StringVar(&o.json, "json", "", "write the result to this file as JSON")
	fs.StringVar(&o.html, "html", "", "write the result to this file as a page with charts")
	fs.StringVar(&o.table, "markdown", "", "write the result to this file as Markdown tables")
	fs.StringVar(&o.render, "render", "", "measure nothing: read a result written with -json, and write it again")
	fs.StringVar(&o.h2gw, "h2gw", "", "measure this binary of h2gw instead of building one")
	fs.StringVar(&o.beside, "beside", "", "measure this other binary of h2gw too, as "+oursBeside)
	fs.Func("set", "a setting for h2gw, name=value; may be repeated", func(v string) error {
		o.set = append(o.set, v)
		return nil
	})
	fs.Func("also", "h2gw once more, told something else: NAME:ITEM,ITEM, of access-log=on|off, gomaxprocs=N, and settings; may be repeated", func(text string) error {
		v, err := parseVariant(text)
		o.variants = append(o.variants, v)
		return err
	})
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected %q: everything is a flag", fs.Arg(0))
	}
	o.defaults()
	switch {
	case workloads != "":
	case o.profiles != "":
		workloads = "small"
	case o.pgo != "":
		workloads = pgoWorkloads
	}
	return o, errors.Join(o.checkNumbers(idle), o.chooseLog(accessLog), o.chooseWorkloads(workloads), o.chooseGateways(gateways))
}

// defaults fills in what was not said.
func (o *options) defaults() {
	rounds, warmUp, window, idle := 3, 700*time.Millisecond, 2500*time.Millisecond, 2000
	if o.quick {
		rounds, warmUp, window, idle = 1, 300*time.Millisecond, 750*time.Millisecond, 500
	}
	o.timing.WarmUp = warmUp
	o.idle = []int{idle}
	if o.scale {
		o.idle = []int{1000, 5000, 15000}
		// In the usual workloads there are as many as workers.
		o.variants = append(o.variants, variant{name: "p1", workers: 1, only: []string{"small"}}, variant{name: "p4", workers: 4, only: []string{"small"}})
	}
	if o.rounds == 0 {
		o.rounds = rounds
	}
	if o.profiled() && o.timing.Window == 0 {
		o.timing.Window = profileFor
	}
	if o.timing.Window == 0 {
		o.timing.Window = window
	}
}

func (o *options) checkNumbers(idle string) error {
	if o.rounds < 1 || o.rounds > 100 {
		return fmt.Errorf("-rounds %d: want 1 to 100", o.rounds)
	}
	if o.timing.Window < 200*time.Millisecond || o.timing.Window > time.Minute {
		return fmt.Errorf("-window %v: want 200ms to 1m", o.timing.Window)
	}
	if o.soak != 0 && (o.soak < 20*time.Second || o.soak > 24*time.Hour) {
		return fmt.Errorf("-soak %v: want 20s to 24h", o.soak)
	}
	if o.workers < 1 || o.workers > 256 {
		return fmt.Errorf("-workers %d: want 1 to 256", o.workers)
	}
	if idle == "" {
		return nil
	}
	o.idle = nil
	for _, s := range split(idle) {
		var n int
		if _, err := fmt.Sscanf(s, "%d", &n); err != nil || n < 10 || n > mostIdle {
			return fmt.Errorf("-idle %q: want numbers from 10 to %d", s, mostIdle)
		}
		o.idle = append(o.idle, n)
	}
	return nil
}

func (o *options) chooseLog(v string) error {
	if v != "on" && v != "off" {
		return fmt.Errorf("-access-log %q: want on or off", v)
	}
	o.accessLog = v == "on"
	return nil
}

func (o *options) chooseWorkloads(list string) error {
	names, all := split(list), load.Workloads()
	if o.scale {
		all = load.Scale()
	}
	for _, n := range names {
		if !slices.ContainsFunc(all, func(w load.Workload) bool { return w.Name == n || w.Curve == n }) {
			return fmt.Errorf("-workloads: no workload %q; there are: %s", n, strings.Join(chooseable(all), " "))
		}
	}
	for _, w := range all {
		wanted := slices.Contains(names, w.Name) || slices.Contains(names, w.Curve)
		if len(names) == 0 {
			// Left out of the two minutes.
			wanted = !o.quick || w.Kind != load.Resumed
		}
		if wanted {
			o.workloads = append(o.workloads, w)
		}
	}
	return nil
}

func (o *options) chooseGateways(list string) error {
	o.gateways = split(list)
	for _, n := range o.gateways {
		if !slices.Contains(gatewayNames(), n) {
			return fmt.Errorf("-gateways: no gateway %q; there are: %s", n, strings.Join(gatewayNames(), " "))
		}
	}
	if slices.Contains(o.gateways, oursBeside) && o.beside == "" {
		return fmt.Errorf("-gateways %s: say which binary with -beside FILE", oursBeside)
	}
	return nil
}

// profiled reports whether h2gw is to serve profiles.
func (o *options) profiled() bool { return o.profiles != "" || o.pgo != "" }

// alone reports whether h2gw is run without others beside it.
func (o *options) alone() bool { return o.profiled() || o.soak > 0 }

// pgoWorkloads are what the compiler is to make fast.
const pgoWorkloads = "small,single,conns,10k,1m,upload,newconn"

// wants reports whether a gateway was chosen.
func (o *options) wants(name string) bool {
	return len(o.gateways) == 0 || slices.Contains(o.gateways, name)
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// chooseable are the names -workloads takes: a curve goes by one name.
func chooseable(all []load.Workload) []string {
	var out []string
	for _, w := range all {
		name := w.Name
		if w.Curve != "" {
			name = w.Curve
		}
		out = append(out, name)
	}
	return slices.Compact(out)
}

func gatewayNames() []string {
	out := []string{ours, oursBeside}
	for _, p := range peers.List() {
		out = append(out, p.Name)
	}
	return out
}
