package gateway

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/accesslog"
	"github.com/h2gw/h2gw/internal/config"
	"github.com/h2gw/h2gw/internal/frontend"
)

// Names of the listeners, as logs and metrics show them.
const (
	ListenerTLS   = "tls"
	ListenerPlain = "plain"
)

// A Config is everything a gateway is made from. Settings must come from
// config.Defaults; of the rest, at least one listener and one origin are needed.
type Config struct {
	// Version and Revision of the program, for the metrics and the index page.
	Version, Revision string
	// From is the address of the TLS listener; "" means none.
	From string
	// CertFile and KeyFile are the TLS listener's certificate, PEM.
	CertFile, KeyFile string
	// SelfSigned makes a fresh certificate instead.
	SelfSigned bool
	// Plain is the address of the cleartext listener; "" means none.
	Plain string
	// To are the origins' URLs: endpoints of one group.
	To []string
	// Admin is the admin address; "" means none.
	Admin string
	// Profiles serves profiles of the process on the admin address.
	Profiles bool
	// AccessLog is the file access lines are appended to; "" or "-" is
	// standard output.
	AccessLog string
	// AccessLogOff turns the access log off.
	AccessLogOff bool
	// AccessLogFormat is how access lines are written.
	AccessLogFormat accesslog.Format
	// AccessLogOutput takes the access lines instead of AccessLog, when not nil.
	AccessLogOutput io.Writer
	// Settings are the timeouts and limits.
	Settings config.Settings
	// Hooks run in every transaction; nil means none.
	Hooks *httpsm.Hooks
	// Log is the log for people: what the gateway itself has to say.
	Log zerolog.Logger
}

// originGroup checks the origins and makes their group.
func originGroup(cfg *Config) (*origin.Group, error) {
	if len(cfg.To) == 0 {
		return nil, errors.New("no origin is given: name at least one with --to, such as --to http://127.0.0.1:9000")
	}
	oc := cfg.Settings.Origin()
	for _, url := range cfg.To {
		ep, err := origin.ParseURL(url)
		if err != nil {
			return nil, err
		}
		oc.Endpoints = append(oc.Endpoints, ep)
	}
	return origin.NewGroup(oc)
}

// listeners checks which listeners are wanted and loads the certificate.
func listeners(cfg *Config, now time.Time) ([]frontend.ListenerConfig, *tls.Certificate, error) {
	var (
		all  []frontend.ListenerConfig
		cert *tls.Certificate
	)
	if cfg.From != "" {
		c, err := certificate(cfg, now)
		if err != nil {
			return nil, nil, err
		}
		cert = &c
		all = append(all, frontend.ListenerConfig{Name: ListenerTLS, Addr: cfg.From, TLS: frontend.TLSConfig(c)})
	} else if cfg.CertFile != "" || cfg.KeyFile != "" || cfg.SelfSigned {
		return nil, nil, errors.New("a certificate is given but no TLS listener: add --from HOST:PORT, or leave the certificate out")
	}
	if cfg.Plain != "" {
		all = append(all, frontend.ListenerConfig{Name: ListenerPlain, Addr: cfg.Plain})
	}
	if len(all) == 0 {
		return nil, nil, errors.New("no listener is given: add --from HOST:PORT (TLS) or --plain HOST:PORT (cleartext)")
	}
	return all, cert, nil
}

// certificate loads or makes the TLS listener's certificate.
func certificate(cfg *Config, now time.Time) (tls.Certificate, error) {
	files := cfg.CertFile != "" || cfg.KeyFile != ""
	switch {
	case files && cfg.SelfSigned:
		return tls.Certificate{}, errors.New("--self-signed and --cert or --key are both given: choose one")
	case cfg.SelfSigned:
		host, _, err := net.SplitHostPort(cfg.From)
		if err != nil {
			host = "" // the listener will say what is wrong with the address
		}
		return frontend.SelfSigned(now, host)
	case !files:
		return tls.Certificate{}, errors.New("the TLS listener has no certificate: give --cert FILE and --key FILE, or --self-signed to try things out")
	case cfg.KeyFile == "":
		return tls.Certificate{}, fmt.Errorf("--cert %s is given without --key: give the file of its private key, too", cfg.CertFile)
	case cfg.CertFile == "":
		return tls.Certificate{}, fmt.Errorf("--key %s is given without --cert: give the file of its certificate, too", cfg.KeyFile)
	}
	c, warning, err := frontend.LoadCertificate(cfg.CertFile, cfg.KeyFile, now)
	if err != nil {
		return tls.Certificate{}, err
	}
	if warning != "" {
		cfg.Log.Warn().Msg(warning)
	}
	return c, nil
}
