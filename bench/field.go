package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/h2gw/h2gw/bench/load"
	"github.com/h2gw/h2gw/bench/peers"
	"github.com/h2gw/h2gw/bench/usage"
)

// A gateway is one that is measured.
type gateway struct {
	peers.Peer
	path    string
	ours    bool
	variant variant // of ours
	// proc is nil while it is not running.
	proc *peers.Process
	pids []int
	// admin and plain are addresses of ours; "" is none.
	admin, plain string
}

// A field is everything that runs: the origin, and the gateways before it.
// It owns the processes and the folder they live in.
type field struct {
	opts     options
	dir      string
	h2load   string // its path
	cert     peers.Certificate
	origin   *peers.Process
	gateways []*gateway
	versions map[string]string
	// missing says which gateways are left out, and why.
	missing    []string
	originPort int
	started    int // names the folders of gateways
}

// newField finds the gateways and starts the origin, in the empty folder dir.
func newField(ctx context.Context, o options, dir string) (*field, error) {
	f := &field{opts: o, dir: dir, versions: map[string]string{}}
	var err error
	if f.cert, err = peers.MakeCertificate(dir); err != nil {
		return nil, err
	}
	if err := f.find(ctx); err != nil {
		return nil, err
	}
	return f, f.startOrigin(ctx)
}

// startOrigin starts the origin, and again on another port, as launch does.
func (f *field) startOrigin(ctx context.Context) error {
	for try := 1; ; try++ {
		s, err := f.setting(&gateway{Peer: peers.Peer{Name: "origin"}})
		if err != nil {
			return err
		}
		f.originPort = s.Port
		f.origin, f.versions["origin: nginx"], err = peers.StartOrigin(ctx, s)
		if err == nil || try == startTries || ctx.Err() != nil {
			return err
		}
	}
}

// find fills in the gateways that were asked for and are installed.
func (f *field) find(ctx context.Context) error {
	if err := f.findOurs(ctx); err != nil {
		return err
	}
	for _, p := range peers.List() {
		if !f.opts.wants(p.Name) {
			continue
		}
		path, version, err := p.Find(ctx)
		if err != nil {
			f.missing = append(f.missing, err.Error())
			continue
		}
		f.gateways = append(f.gateways, &gateway{Peer: p, path: path})
		f.versions[p.Name] = version
	}
	if len(f.gateways) == 0 {
		return errors.New("none of the gateways asked for is installed")
	}
	return nil
}

// findOurs builds h2gw unless a binary was given.
func (f *field) findOurs(ctx context.Context) error {
	if f.opts.wants(ours) {
		binary := f.opts.h2gw
		if binary == "" {
			var err error
			if binary, err = peers.Build(ctx, f.dir); err != nil {
				return err
			}
		}
		if err := f.addOurs(ctx, ours, binary, variant{}); err != nil {
			return err
		}
		for _, v := range f.opts.variants {
			if err := f.addOurs(ctx, ours+"+"+v.name, binary, v); err != nil {
				return err
			}
		}
	}
	if f.opts.beside == "" || !f.opts.wants(oursBeside) {
		return nil
	}
	return f.addOurs(ctx, oursBeside, f.opts.beside, variant{})
}

func (f *field) addOurs(ctx context.Context, name, binary string, v variant) error {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	p := peers.H2GW(name, binary)
	path, version, err := p.Find(ctx)
	if err != nil {
		return err
	}
	f.gateways = append(f.gateways, &gateway{Peer: p, path: path, ours: true, variant: v})
	if v.name == "" {
		f.versions[p.Name] = version
	}
	return nil
}

// setting makes a folder and ports for one start.
func (f *field) setting(g *gateway) (peers.Setting, error) {
	f.started++
	dir := filepath.Join(f.dir, fmt.Sprintf("%s-%d", g.Name, f.started))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return peers.Setting{}, err
	}
	if root() {
		// For a gateway that gives up root.
		if err := os.Chmod(dir, 0o777); err != nil {
			return peers.Setting{}, err
		}
	}
	s := peers.Setting{Dir: dir, OriginPort: f.originPort, Workers: f.opts.workers,
		Root: root(), Extra: f.opts.set, Certificate: f.cert}
	log := filepath.Join(dir, "access.log")
	if f.opts.accessLog {
		s.Log = log
	}
	g.variant.apply(&s, log)
	ports := []*int{&s.Port}
	if g.ours {
		ports = append(ports, &s.AdminPort, &s.PlainPort)
		s.Profiles = f.opts.profiled()
	}
	var err error
	for _, p := range ports {
		if *p, err = peers.FreePort(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// startTries is how often a gateway is started that ends while it starts: a port
// that was free may have been taken by somebody else since.
const startTries = 3

// launch starts a gateway's process.
func (f *field) launch(ctx context.Context, g *gateway) error {
	for try := 1; ; try++ {
		s, err := f.setting(g)
		if err != nil {
			return err
		}
		if g.ours {
			g.admin, g.plain = s.Admin(), s.Plain()
		}
		if g.proc, err = g.Peer.Start(ctx, g.path, s); err == nil {
			return nil
		}
		g.proc = nil
		if try == startTries || ctx.Err() != nil {
			return err
		}
	}
}

// start starts a gateway and makes sure that it answers as it should.
func (f *field) start(ctx context.Context, g *gateway) error {
	if err := f.launch(ctx, g); err != nil {
		return err
	}
	for path, size := range peers.Sizes {
		if path == "/1m" {
			continue // larger than the window of this client, which has no flow control
		}
		if err := load.NewClient(false).Prime(ctx, g.proc.Addr, path, size); err != nil {
			g.stop()
			return fmt.Errorf("%s: asked for %s: %w", g.Name, path, err)
		}
	}
	pids, err := usage.Tree(g.proc.PID())
	g.pids = pids
	return err
}

// startAll starts every gateway. One that does not start is left out, and why is kept.
func (f *field) startAll(ctx context.Context) error {
	var running []*gateway
	for _, g := range f.gateways {
		err := f.start(ctx, g)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			f.missing = append(f.missing, err.Error())
		default:
			running = append(running, g)
		}
	}
	f.gateways = running
	if len(running) == 0 {
		return fmt.Errorf("no gateway started: %q", f.missing)
	}
	return nil
}

// running are the gateways that take part in a workload.
func (f *field) running(w load.Workload) []*gateway {
	var all []*gateway
	for _, g := range f.gateways {
		if g.takesPart(w) {
			all = append(all, g)
		}
	}
	return all
}

func (g *gateway) takesPart(w load.Workload) bool {
	if w.Plain && !g.ours {
		return false
	}
	return len(g.variant.only) == 0 || slices.Contains(g.variant.only, w.Name)
}

func (g *gateway) stop() {
	if g.proc != nil {
		g.proc.Stop()
		g.proc = nil
	}
}

func (f *field) stopGateways() {
	for _, g := range f.gateways {
		g.stop()
	}
}

// stop ends everything the field has started.
func (f *field) stop() {
	f.stopGateways()
	if f.origin != nil {
		f.origin.Stop()
	}
}

func root() bool { return os.Geteuid() == 0 }
