package scenario

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/internal/config"
	"github.com/h2gw/h2gw/internal/gateway"
	"github.com/h2gw/h2gw/internal/testkit"
)

const (
	dir = "../../testdata/scenarios"
	// fewest is how many cases there must be, so that none gets lost unseen.
	fewest = 500
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m)) }

// Every case passes, on every protocol it is meant for; a case that is known to
// fail does fail.
func TestScenarios(t *testing.T) {
	cases, err := loadCases(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < fewest {
		t.Errorf("%d cases in %s, want at least %d", len(cases), dir, fewest)
	}
	for _, c := range cases {
		t.Run(c.file+"/"+c.name, func(t *testing.T) {
			for _, proto := range c.on {
				t.Run(proto, func(t *testing.T) {
					t.Parallel()
					report(t, c, runCase(t, c, proto))
				})
			}
		})
	}
}

func report(t *testing.T, c *testCase, r *result) {
	switch {
	case len(r.faults) == 0 && c.known == "":
	case len(r.faults) == 0:
		t.Errorf("%s.txt:%d: this case passes now: take its line %q away", c.file, c.line, "known "+c.known)
	case c.known != "":
		t.Skipf("known: %s\n%s", c.known, strings.Join(r.faults, "\n"))
	default:
		t.Errorf("%s.txt:%d: %s (%s)\n%s\naccess log:\n%s", c.file, c.line, c.name, c.ref, strings.Join(r.faults, "\n"), r.log)
	}
}

// A result is what went wrong, and the log to go with it.
type result struct {
	faults []string
	log    string
}

// A client is one side of a case.
type client interface {
	send([]item) error
	see(item) error
	finish() error
	waiting() string // what came and no step has seen
	close()
}

// runCase plays c over one protocol, with a gateway and an origin of its own.
func runCase(t *testing.T, c *testCase, proto string) *result {
	p := &probe{TB: t}
	o := newOrigin(p, proto)
	log := new(testkit.Buffer)
	g, err := startGateway(c, o, log)
	if err != nil {
		return &result{faults: []string{err.Error()}}
	}
	p.fault(play(p, g, o, c, proto))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p.fault(g.Shutdown(ctx))
	if len(p.list()) == 0 {
		p.fault(o.finish())
		p.fault(checkLog(c, proto, log.String()))
	}
	return &result{p.list(), log.String()}
}

func startGateway(c *testCase, o *origin, log *testkit.Buffer) (*gateway.Gateway, error) {
	cfg := gateway.Config{
		From: "127.0.0.1:0", SelfSigned: true, Plain: "127.0.0.1:0", To: []string{"http://" + o.o.Addr()},
		AccessLogOutput: log, Settings: config.Defaults(), Log: zerolog.Nop(),
	}
	for _, s := range c.set {
		if err := cfg.Settings.Set(s); err != nil {
			return nil, err
		}
	}
	g, err := gateway.New(cfg)
	if err == nil {
		g.Start()
	}
	return g, err
}

// play takes the steps in their order, and stops at the first that fails.
func play(p *probe, g *gateway.Gateway, o *origin, c *testCase, proto string) error {
	conn, err := dial(g, proto)
	if err != nil {
		return err
	}
	var cl client
	if proto == protoH2 || proto == protoH2C {
		cl = newHTTP2Client(p, conn, proto == protoH2, c.handshake)
	} else {
		cl = newHTTP1Client(conn)
	}
	defer cl.close()
	for _, s := range c.steps {
		if err := take(s, cl, o); err != nil {
			return fmt.Errorf("%w\nthe client has not looked at: %s", err, cl.waiting())
		}
	}
	return cl.finish()
}

func take(s step, cl client, o *origin) error {
	switch {
	case s.client && s.sends:
		return cl.send(o.known(s.items))
	case !s.client && s.sends:
		return o.send(s.items)
	case !s.client:
		return o.see(s.items)
	}
	for _, it := range s.items {
		if err := cl.see(it); err != nil {
			return err
		}
	}
	return nil
}

func dial(g *gateway.Gateway, proto string) (net.Conn, error) {
	d := &net.Dialer{Timeout: patience}
	if proto == protoH2C || proto == protoHTTP {
		return d.Dial("tcp", g.Addr(gateway.ListenerPlain).String())
	}
	alpn := "h2"
	if proto == protoHTTPS {
		alpn = "http/1.1"
	}
	// The certificate is the gateway's own, made a moment ago.
	conf := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpn}}
	conn, err := tls.DialWithDialer(d, "tcp", g.Addr(gateway.ListenerTLS).String(), conf)
	if err != nil {
		return nil, err
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != alpn {
		conn.Close()
		return nil, fmt.Errorf("the gateway negotiated %q, want %q", got, alpn)
	}
	return conn, nil
}
