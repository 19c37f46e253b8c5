package origin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

// certificate returns a self-signed certificate and a pool that trusts it.
func certificate(t testing.TB, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// tlsOrigin listens with TLS and tells what each handshake agreed on.
func tlsOrigin(t *testing.T, cfg *tls.Config) (*testkit.Origin, <-chan tls.ConnectionState) {
	states := make(chan tls.ConnectionState, 10)
	o := testkit.ListenOrigin(t, func(c *testkit.OriginConn) {
		tc := tls.Server(c.NetConn(), cfg)
		if tc.Handshake() == nil {
			states <- tc.ConnectionState()
			tc.Read(make([]byte, 1))
		}
	})
	return o, states
}

// wantError gets an exchange, which must fail with the kind.
func wantError(t *testing.T, g *Group, want Kind) error {
	t.Helper()
	e := g.Endpoints()[0]
	x, err := e.Get(context.Background(), false)
	if err == nil {
		x.Release(false)
		t.Fatalf("connected, want %s", want)
	}
	if kind(err) != want || !strings.Contains(err.Error(), e.Addr()) {
		t.Errorf("%v; want kind %s and the address", err, want)
	}
	s := e.Stats()
	if s.Connects[string(want)] != 1 || s.Active != 0 || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
	return err
}

func TestRefused(t *testing.T) {
	g, _ := NewGroup(Config{Endpoints: []EndpointConfig{{Addr: testkit.ReservePort(t)}}})
	wantError(t, g, KindRefused)
}

func TestUnknownName(t *testing.T) {
	g, _ := NewGroup(Config{
		Endpoints: []EndpointConfig{{Addr: "nowhere.invalid:80"}},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: "nowhere.invalid", IsNotFound: true}}
		},
	})
	wantError(t, g, KindDNS)
}

func TestConnectingTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := NewGroup(Config{
			Endpoints:      []EndpointConfig{{Addr: "black.hole:80"}},
			ConnectTimeout: 3 * time.Second,
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				<-ctx.Done()
				return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("operation was canceled")}
			},
		})
		start := time.Now()
		wantError(t, g, KindTimeout)
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("after %v", d)
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		_, err := g.Endpoints()[0].Get(ctx, false)
		if kind(err) != KindCanceled || time.Since(start) != 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestAHandshakeThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testkit.NewOrigin(t, testkit.Silent)
		g := groupOf(t, o, func(c *Config) { c.Endpoints[0].TLS = true; c.ConnectTimeout = time.Second })
		start := time.Now()
		wantError(t, g, KindTimeout)
		if d := time.Since(start); d != time.Second {
			t.Errorf("after %v", d)
		}
		<-o.Conn(1).Done() // closed
	})
}

func TestTLSFailures(t *testing.T) {
	cert, pool := certificate(t, "origin.test")
	serving := func(cfg *tls.Config) func(t *testing.T) *testkit.Origin {
		return func(t *testing.T) *testkit.Origin { o, _ := tlsOrigin(t, cfg); return o }
	}
	script := func(s testkit.Script) func(t *testing.T) *testkit.Origin {
		return func(t *testing.T) *testkit.Origin { return testkit.ListenOrigin(t, s) }
	}
	good := &tls.Config{Certificates: []tls.Certificate{cert}}
	for name, tc := range map[string]struct {
		origin func(t *testing.T) *testkit.Origin
		roots  *x509.CertPool
		server string
		hint   string
	}{
		"unknown authority": {serving(good), x509.NewCertPool(), "origin.test", "unknown authority"},
		"another name":      {serving(good), pool, "other.test", "other.test"},
		"an old version":    {serving(&tls.Config{Certificates: good.Certificates, MaxVersion: tls.VersionTLS11}), pool, "origin.test", "protocol version"},
		"another protocol":  {serving(&tls.Config{Certificates: good.Certificates, NextProtos: []string{"smtp"}}), pool, "origin.test", "no application protocol"},
		"plain text":        {script(func(c *testkit.OriginConn) { c.Send("HTTP/1.1 400 Bad Request\r\n\r\n"); c.ReadToEnd() }), pool, "origin.test", "does not look like a TLS handshake"},
		"closed":            {script(func(c *testkit.OriginConn) { c.ReadN(1) }), pool, "origin.test", ""},
		"reset":             {script(func(c *testkit.OriginConn) { c.ReadN(1); c.Reset() }), pool, "origin.test", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := tc.origin(t)
			g := groupOf(t, o, func(c *Config) {
				c.Endpoints[0].TLS, c.Endpoints[0].ServerName = true, tc.server
				c.TLS = &tls.Config{RootCAs: tc.roots}
			})
			if err := wantError(t, g, KindTLS); !strings.Contains(err.Error(), tc.hint) {
				t.Errorf("%v; want %q in it", err, tc.hint)
			}
			<-o.Conn(1).Done() // it saw the connection closed
		})
	}
}

func TestTLSOffersNameAndProtocolAndResumes(t *testing.T) {
	cert, pool := certificate(t, "origin.test")
	o, states := tlsOrigin(t, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}, MaxVersion: tls.VersionTLS12})
	mine := &tls.Config{RootCAs: pool, NextProtos: []string{"h2"}}
	g := groupOf(t, o, func(c *Config) {
		c.Endpoints[0].TLS, c.Endpoints[0].ServerName, c.TLS = true, "origin.test", mine
	})
	for i := range 2 {
		get(t, g.Endpoints()[0], false).Release(false)
		if s := <-states; s.NegotiatedProtocol != "http/1.1" || s.ServerName != "origin.test" || s.DidResume != (i == 1) {
			t.Errorf("handshake %d: protocol %q, name %q, resumed %v", i+1, s.NegotiatedProtocol, s.ServerName, s.DidResume)
		}
	}
	if mine.NextProtos[0] != "h2" || mine.ServerName != "" {
		t.Error("the caller's configuration was changed")
	}
}

func TestPlainTextToATLSOrigin(t *testing.T) {
	cert, _ := certificate(t, "origin.test")
	o, _ := tlsOrigin(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	g := groupOf(t, o)
	x := get(t, g.Endpoints()[0], false)
	defer x.Release(false)
	if err := roundTrip(x); err == nil {
		t.Error("a TLS origin answered plain text") // what it sends, if anything, is an alert: the head parser's business
	}
}

func TestOtherConnectErrors(t *testing.T) {
	g, _ := NewGroup(Config{
		Endpoints: []EndpointConfig{{Addr: "a:80"}},
		Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no route to host")
		},
	})
	err := wantError(t, g, KindOther)
	if errors.Unwrap(err).Error() != "no route to host" {
		t.Errorf("%v", err)
	}
}
