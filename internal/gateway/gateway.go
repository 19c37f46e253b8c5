package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	stdlog "log"
	"net"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/accesslog"
	"github.com/h2gw/h2gw/internal/admin"
	"github.com/h2gw/h2gw/internal/config"
	"github.com/h2gw/h2gw/internal/frontend"
	"github.com/h2gw/h2gw/metrics"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// A Gateway is one running gateway. Make one with New, then call Start, then
// Shutdown. Its methods are safe for concurrent use.
type Gateway struct {
	cfg Config
	log zerolog.Logger

	front     *frontend.Frontend
	admin     *admin.Server // nil: off
	h2, h2c   *h2session.Server
	machine   *httpsm.Machine
	connector *vconn.Connector
	group     *origin.Group
	sinks     sinks
	cert      *tls.Certificate // nil: no TLS listener

	ids      ids
	registry registry
	memory   *h2session.Memory
	tidier   tidier
	// resettled: the stacks that sessions have left are to be given back.
	resettled atomic.Bool
	panics    atomic.Uint64 // recovered here, beside those the servers count
	started   atomic.Bool
	stopped   chan struct{} // closed when Shutdown has ended
	stopping  atomic.Bool
}

// ids gives each protocol's connections their identities, from one counter.
type ids struct{ none, h2, h2c, http1 *pitag.Sequence }

func newIDs() ids {
	s := pitag.NewSequence("")
	return ids{none: s, h2: s.WithTag(pitag.TagH2), h2c: s.WithTag(pitag.TagH2C), http1: s.WithTag(pitag.TagHTTP1)}
}

func (i *ids) next(protocol string) pitag.Identity {
	switch protocol {
	case frontend.ProtoH2:
		return i.h2.Next()
	case frontend.ProtoH2C:
		return i.h2c.Next()
	case frontend.ProtoHTTP1:
		return i.http1.Next()
	}
	return i.none.Next()
}

// New checks cfg, loads its certificate, opens its log file and binds its
// addresses, or does none of this: on an error, which is one line that says
// what is wrong, where, and what would be right, nothing is left open. No
// connection is answered until Start.
func New(cfg Config) (*Gateway, error) {
	g := &Gateway{cfg: cfg, log: cfg.Log, ids: newIDs(), stopped: make(chan struct{})}
	g.registry.open = make(map[uint64]*pitag.Session)
	g.tidier.tidy = g.tidyUp
	if err := g.build(); err != nil {
		g.discard()
		return nil, err
	}
	return g, nil
}

// build makes the parts from the origin side outwards: addresses are bound
// last, when nothing else can fail any more.
func (g *Gateway) build() (err error) {
	if g.group, err = originGroup(&g.cfg); err != nil {
		return err
	}
	lns, cert, err := listeners(&g.cfg, time.Now())
	if err != nil {
		return err
	}
	g.cert = cert
	if !g.cfg.AccessLogOff {
		g.sinks.log, err = accesslog.Open(accesslog.Config{
			Path: g.cfg.AccessLog, Output: g.cfg.AccessLogOutput, Format: g.cfg.AccessLogFormat,
			OnError: func(err error) { g.log.Error().Err(err).Msg("access log: writing failed") },
		})
		if err != nil {
			return err
		}
	}
	g.sinks.metrics = metrics.New(nil, metrics.Config{Version: g.cfg.Version, Revision: g.cfg.Revision})
	g.makeServers()
	g.sinks.metrics.SetSources(g.sources())
	if g.cfg.Admin != "" {
		g.admin, err = admin.Listen(admin.Config{
			Addr: g.cfg.Admin, Metrics: g.sinks.metrics.Handler(), Version: g.cfg.Version, Profiles: g.cfg.Profiles,
			ErrorLog: stdlog.New(g.log.With().Str("part", "admin").Logger(), "", 0),
		})
		if err != nil {
			return fmt.Errorf("cannot listen on %q for the admin address: %s; or turn it off with --admin off", g.cfg.Admin, frontend.ListenHint(err))
		}
	}
	fc := g.cfg.Settings.Frontend()
	fc.Listeners = lns
	fc.Admit = g.admit
	fc.OnAcceptError = func(listener string, err error) {
		g.log.Error().Str("listener", listener).Err(err).Msg("cannot accept connections; trying again")
	}
	g.front, err = frontend.Listen(fc)
	return err
}

// makeServers makes what serves connections. The two HTTP/2 servers differ in
// the tag of their sessions only, so that what they count can be told apart.
func (g *Gateway) makeServers() {
	timeouts, limits := g.cfg.Settings.Machine()
	g.machine = httpsm.New(httpsm.Config{
		Origins:  g.group,
		Covers:   g.covers(),
		Hooks:    g.cfg.Hooks,
		OnRecord: g.sinks.record,
		Timeouts: timeouts,
		Limits:   limits,
		Log:      g.log,
	})
	g.connector = vconn.NewConnector(g.machine)
	sc := g.cfg.Settings.Session()
	sc.OnRefusal = g.sinks.refused
	sc.Log = g.log
	g.memory = h2session.NewMemory(g.cfg.Settings.Limits.Memory)
	sc.Memory = g.memory
	sc.OnRest = g.tidier.note
	g.h2 = &h2session.Server{Connector: g.connector, Config: sc}
	g.h2c = &h2session.Server{Connector: g.connector, Config: sc}
}

// covers says which hosts the certificate is for; nil when nobody is to ask. A
// certificate that we have made says nothing of which hosts are served.
func (g *Gateway) covers() func(*pitag.Session, string) bool {
	if g.cert == nil || g.cfg.SelfSigned || g.cfg.Settings.TLS.Misdirected == config.Off {
		return nil
	}
	leaf := g.cert.Leaf
	return func(_ *pitag.Session, host string) bool { return leaf.VerifyHostname(host) == nil }
}

// sources are what a scrape asks.
func (g *Gateway) sources() metrics.Sources {
	s := metrics.Sources{
		H2:               []metrics.H2Source{{Tag: pitag.TagH2, Stats: g.h2.Stats}, {Tag: pitag.TagH2C, Stats: g.h2c.Stats}},
		HTTP:             g.machine.Stats,
		VConns:           g.connector.Stats,
		Origins:          metrics.OriginGroups(g.group),
		Buffered:         g.memory.Held,
		AccessLogDropped: func() uint64 { return g.sinks.log.Stats().Dropped },
		Panics:           func() map[string]uint64 { return map[string]uint64{"gateway": g.panics.Load()} },
	}
	if g.cert != nil {
		end := g.cert.Leaf.NotAfter
		s.Certificates = func() map[string]time.Time { return map[string]time.Time{ListenerTLS: end} }
	}
	return s
}

// discard closes what a failed New had opened.
func (g *Gateway) discard() {
	ctx := context.Background()
	if g.admin != nil {
		g.admin.Close(ctx)
	}
	_ = g.sinks.log.Close(ctx)
	if g.group != nil {
		g.group.Close()
	}
}

// Start begins to accept connections and returns at once. It is called once.
func (g *Gateway) Start() {
	g.started.Store(true)
	if g.admin != nil {
		g.admin.Serve()
		g.log.Info().Stringer("addr", g.admin.Addr()).Msg("admin address: /metrics /healthz /readyz")
	}
	g.front.Serve(g)
	for _, name := range []string{ListenerTLS, ListenerPlain} {
		if a := g.front.Addr(name); a != nil {
			g.log.Info().Str("listener", name).Stringer("addr", a).Strs("to", g.cfg.To).Msg("listening")
		}
	}
}

// Addr returns the address the named listener is bound to; nil when there is no
// such listener.
func (g *Gateway) Addr(listener string) net.Addr { return g.front.Addr(listener) }

// AdminAddr returns the admin address; nil when it is off.
func (g *Gateway) AdminAddr() net.Addr {
	if g.admin == nil {
		return nil
	}
	return g.admin.Addr()
}

// Certificate returns the TLS listener's certificate; nil without one.
func (g *Gateway) Certificate() *tls.Certificate { return g.cert }

// ReopenLogs goes on with a new access log file of the same name, for log
// rotation. On an error the old file stays in use.
func (g *Gateway) ReopenLogs(ctx context.Context) error { return g.sinks.log.Reopen(ctx, "") }

// Sessions returns the client connections open now, in no order.
func (g *Gateway) Sessions() []*pitag.Session { return g.registry.list() }
