package main

import (
	"errors"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/internal/accesslog"
	"github.com/h2gw/h2gw/internal/config"
	"github.com/h2gw/h2gw/internal/gateway"
)

// proxyCmd is the gateway without a file.
type proxyCmd struct {
	From       string   `help:"Listen on this address for TLS: HTTP/2 and HTTP/1.1." placeholder:"HOST:PORT"`
	To         []string `help:"Origin URL, http://HOST:PORT or https://HOST:PORT. May be repeated: requests are spread." placeholder:"URL" sep:"none"`
	Cert       string   `help:"Certificate chain, PEM." placeholder:"FILE"`
	Key        string   `help:"Private key of the certificate, PEM." placeholder:"FILE"`
	SelfSigned bool     `help:"Make a certificate for localhost instead, to try things out."`
	Plain      string   `help:"Listen on this address for cleartext: HTTP/1.1 and HTTP/2 with prior knowledge." placeholder:"HOST:PORT"`

	commonFlags
}

// commonFlags are those of every command that runs a gateway.
type commonFlags struct {
	AccessLog       string   `help:"Append access lines to this file; - is standard output, off is none." default:"-" placeholder:"FILE"`
	AccessLogFormat string   `help:"json or combined (Apache's, with the identity appended)." default:"json" placeholder:"FORMAT"`
	Set             []string `help:"Set a timeout or limit, such as timeouts.connect=2s (docs/config.md lists all). May be repeated." placeholder:"NAME=VALUE" sep:"none"`
	LogLevel        string   `help:"What standard error gets: debug, info, warn or error." default:"info" enum:"debug,info,warn,error" env:"H2GW_LOG_LEVEL" placeholder:"LEVEL"`
	Admin           string   `help:"Listen on this address for /metrics, /healthz and /readyz; off is none." default:"${admin}" env:"H2GW_ADMIN" placeholder:"HOST:PORT"`
	AdminPprof      bool     `help:"Serve profiles under /debug/pprof/ on the admin address, too."`
}

// Help is the end of `h2gw proxy --help`.
func (*proxyCmd) Help() string {
	return `Example: TLS with a certificate to try things out, in front of one origin:

  h2gw proxy --from 127.0.0.1:8443 --self-signed --to http://127.0.0.1:9000

TERM and INT drain and exit, a second one exits at once; USR1 reopens the access log.`
}

// Run runs the gateway until a signal ends it.
func (c *proxyCmd) Run(std *stdio) error {
	log := newLog(std.err, c.LogLevel)
	cfg, err := c.config(log)
	if err != nil {
		return &usageError{err}
	}
	cfg.From, cfg.Plain, cfg.To = c.From, c.Plain, c.To
	cfg.CertFile, cfg.KeyFile, cfg.SelfSigned = c.Cert, c.Key, c.SelfSigned
	return serve(cfg, log, nil)
}

// config makes what the common flags say.
func (c *commonFlags) config(log zerolog.Logger) (gateway.Config, error) {
	settings := config.Defaults()
	for _, s := range c.Set {
		if err := settings.Set(s); err != nil {
			return gateway.Config{}, err
		}
	}
	if c.AccessLog == "" {
		return gateway.Config{}, errors.New(`--access-log is empty: want a file, - for standard output, or off`)
	}
	format, err := accesslog.ParseFormat(c.AccessLogFormat)
	if err != nil {
		return gateway.Config{}, err
	}
	v := buildVersion()
	cfg := gateway.Config{
		Version: v.Version, Revision: v.Commit,
		Admin: c.Admin, Profiles: c.AdminPprof,
		AccessLog: c.AccessLog, AccessLogOff: c.AccessLog == "off", AccessLogFormat: format,
		Settings: settings,
		Log:      log,
	}
	if c.Admin == "off" {
		cfg.Admin = ""
	}
	return cfg, nil
}
