package main

import (
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/internal/gateway"
)

// demoCmd shows the gateway at work on one machine, without any preparation.
type demoCmd struct {
	From  string `help:"Listen on this address for TLS (default 127.0.0.1:8443, or a free port)." placeholder:"HOST:PORT"`
	Plain string `help:"Listen on this address for cleartext (default 127.0.0.1:8080, or a free port)." placeholder:"HOST:PORT"`

	commonFlags
}

// Help is the end of `h2gw demo --help`.
func (*demoCmd) Help() string {
	return `Example:

  h2gw demo

It prints the URLs and some commands to try, then an access line per request. Ctrl-C ends it.`
}

// Run runs origin and gateway until a signal ends them.
func (c *demoCmd) Run(std *stdio) error {
	if c.LogLevel == "info" {
		c.LogLevel = "warn" // the banner says what the start would
	}
	log := newLog(std.err, c.LogLevel)
	if c.Admin == defaultAdmin {
		c.Admin = orFree(defaultAdmin)
	}
	cfg, err := c.config(log)
	if err != nil {
		return &usageError{err}
	}
	origin, err := startOrigin(log)
	if err != nil {
		return err
	}
	defer origin.Close()
	cfg.From, cfg.Plain, cfg.SelfSigned = c.From, c.Plain, true
	if cfg.From == "" {
		cfg.From = orFree("127.0.0.1:8443")
	}
	if cfg.Plain == "" {
		cfg.Plain = orFree("127.0.0.1:8080")
	}
	cfg.To = []string{"http://" + origin.Addr}
	return serve(cfg, log, func(g *gateway.Gateway) { printf(std.out, "%s", banner(g, origin.Addr)) })
}

// orFree returns addr if nothing listens there, or else its host with port 0,
// which takes a free one.
func orFree(addr string) string {
	ln, err := net.Listen("tcp", addr)
	if err == nil {
		ln.Close()
		return addr
	}
	host, _, _ := net.SplitHostPort(addr)
	return net.JoinHostPort(host, "0")
}

// startOrigin starts the embedded origin on a free port.
func startOrigin(log zerolog.Logger) (*http.Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo: the embedded origin cannot listen: %w", err)
	}
	srv := &http.Server{
		Addr: ln.Addr().String(), Handler: demoOrigin(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: stdlog.New(log.With().Str("part", "origin").Logger(), "", 0),
	}
	go func() { _ = srv.Serve(ln) }() // ends at Close
	return srv, nil
}

// banner says what runs where and what to type.
func banner(g *gateway.Gateway, origin string) string {
	secure := "https://" + g.Addr(gateway.ListenerTLS).String()
	plain := "http://" + g.Addr(gateway.ListenerPlain).String()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("h2gw demo: a gateway in front of a small HTTP/1.1 origin (http://%s)", origin)
	line("")
	line("  %-28s TLS: HTTP/2 and HTTP/1.1, with a certificate made just now", secure)
	line("  %-28s cleartext: HTTP/1.1, and HTTP/2 with prior knowledge", plain)
	if a := g.AdminAddr(); a != nil {
		line("  %-28s metrics, health, readiness", "http://"+a.String())
	}
	line("")
	line("Try:")
	line("  curl -k %s/", secure)
	line("  curl -k --http1.1 %s/echo -d 'hello'", secure)
	line("  curl --http2-prior-knowledge %s/slow", plain)
	line("  h2load -n 10000 -c 4 -m 10 %s/bytes/1000%s", secure, missing("h2load", "nghttp2-client"))
	if a := g.AdminAddr(); a != nil {
		line("  curl -s http://%s/metrics | grep ^h2gw_connections", a)
	}
	line("")
	line("One access line per request follows, one session line per connection that closes. Ctrl-C ends it.")
	line("")
	return b.String()
}

// missing tells of a tool that is not installed.
func missing(tool, debianPackage string) string {
	if _, err := exec.LookPath(tool); err == nil {
		return ""
	}
	return fmt.Sprintf("   (%s is not installed; Debian's package is %s)", tool, debianPackage)
}
