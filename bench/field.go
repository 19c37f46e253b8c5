package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/h2gw/h2gw/bench/load"
	"github.com/h2gw/h2gw/bench/peers"
	"github.com/h2gw/h2gw/bench/usage"
)

// A gateway is one that is measured.
type gateway struct {
	peers.Peer
	path string
	ours bool
	// proc is nil while it is not running.
	proc *peers.Process
	pids []int
}

// A field is everything that runs: the origin, and the gateways before it.
// It owns the processes and the folder they live in.
type field struct {
	opts     options
	dir      string
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
	s, err := f.setting("origin")
	if err != nil {
		return nil, err
	}
	f.originPort = s.Port
	f.origin, f.versions["origin: nginx"], err = peers.StartOrigin(ctx, s)
	return f, err
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
		f.add(p, path, version, false)
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
		if err := f.addOurs(ctx, ours, binary); err != nil {
			return err
		}
	}
	if f.opts.beside == "" || !f.opts.wants(oursBeside) {
		return nil
	}
	return f.addOurs(ctx, oursBeside, f.opts.beside)
}

func (f *field) addOurs(ctx context.Context, name, binary string) error {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	p := peers.H2GW(name, binary)
	path, version, err := p.Find(ctx)
	if err != nil {
		return err
	}
	f.add(p, path, version, true)
	return nil
}

func (f *field) add(p peers.Peer, path, version string, ours bool) {
	f.gateways = append(f.gateways, &gateway{Peer: p, path: path, ours: ours})
	f.versions[p.Name] = version
}

// setting makes a folder and a port for one start.
func (f *field) setting(name string) (peers.Setting, error) {
	f.started++
	dir := filepath.Join(f.dir, fmt.Sprintf("%s-%d", name, f.started))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return peers.Setting{}, err
	}
	if root() {
		// For a gateway that gives up root.
		if err := os.Chmod(dir, 0o777); err != nil {
			return peers.Setting{}, err
		}
	}
	port, err := peers.FreePort()
	s := peers.Setting{Dir: dir, Port: port, OriginPort: f.originPort, Workers: f.opts.workers,
		Root: root(), Extra: f.opts.set, Certificate: f.cert}
	if f.opts.accessLog {
		s.Log = filepath.Join(dir, "access.log")
	}
	return s, err
}

// start starts a gateway and makes sure that it answers as it should.
func (f *field) start(ctx context.Context, g *gateway) error {
	s, err := f.setting(g.Name)
	if err != nil {
		return err
	}
	if g.proc, err = g.Peer.Start(ctx, g.path, s); err != nil {
		g.proc = nil
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
	g.pids, err = usage.Tree(g.proc.PID())
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
