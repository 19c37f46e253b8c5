package frontend

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// rsaCert is self-signed, so that suites with RSA signatures have something to
// sign with.
func rsaCert(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// shake does the handshake of client with a listener for certs, in memory.
func shake(t *testing.T, client *tls.Config, certs ...tls.Certificate) (tls.ConnectionState, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		tls.Server(b, TLSConfig(certs...)).Handshake()
		b.Close()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c := tls.Client(a, client)
	err := c.HandshakeContext(ctx)
	a.Close()
	<-done
	return c.ConnectionState(), err
}

// Every suite of TLS 1.2 that crypto/tls knows, offered alone with h2: those that
// RFC 9113, appendix A, lists are not negotiated at all, with either kind of key.
// What is left is ephemeral and AEAD.
func TestNoSuiteThatHTTP2ProhibitsIsNegotiated(t *testing.T) {
	certs := []tls.Certificate{testCert, rsaCert(t)}
	agreed := map[string]bool{}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if len(s.SupportedVersions) == 1 && s.SupportedVersions[0] == tls.VersionTLS13 {
			continue // not configurable, none prohibited
		}
		allowed := strings.HasPrefix(s.Name, "TLS_ECDHE_") && (strings.Contains(s.Name, "_GCM_") || strings.Contains(s.Name, "_CHACHA20_"))
		for _, cert := range certs {
			state, err := shake(t, &tls.Config{
				InsecureSkipVerify: true, NextProtos: []string{"h2"}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{s.ID},
			}, cert)
			if err != nil {
				continue
			}
			agreed[s.Name] = true
			if !allowed || state.NegotiatedProtocol != "h2" || state.CipherSuite != s.ID {
				t.Errorf("%s was negotiated for %q", s.Name, state.NegotiatedProtocol)
			}
		}
	}
	if len(agreed) != len(cipherSuites()) {
		t.Errorf("negotiated %v, want each of the %d suites configured", agreed, len(cipherSuites()))
	}
}

// Clients of many shapes: what each gets, or that it gets nothing.
func TestClientsOfManyShapes(t *testing.T) {
	for _, tc := range []struct {
		name    string
		client  *tls.Config
		version uint16 // 0: refused
		curve   tls.CurveID
	}{
		{"of today", &tls.Config{}, tls.VersionTLS13, tls.X25519MLKEM768},
		{"prefers another exchange", &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256, tls.X25519, tls.X25519MLKEM768}}, tls.VersionTLS13, tls.X25519MLKEM768},
		{"without post-quantum keys", &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256, tls.X25519}}, tls.VersionTLS13, tls.X25519},
		{"P-256 only", &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256}}, tls.VersionTLS13, tls.CurveP256},
		{"of 2015", &tls.Config{MaxVersion: tls.VersionTLS12}, tls.VersionTLS12, tls.X25519},
		{"of 2012", &tls.Config{MaxVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{tls.CurveP256}}, tls.VersionTLS12, tls.CurveP256},
		{"of 2008", &tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}, 0, 0},
		{"of 1999", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, 0, 0},
	} {
		for _, alpn := range []string{"h2", "http/1.1"} {
			cfg := tc.client.Clone()
			cfg.InsecureSkipVerify, cfg.NextProtos = true, []string{alpn}
			state, err := shake(t, cfg, testCert)
			switch {
			case tc.version == 0 && err == nil:
				t.Errorf("a client %s was served TLS %#x", tc.name, state.Version)
			case tc.version != 0 && (err != nil || state.Version != tc.version || state.CurveID != tc.curve || state.NegotiatedProtocol != alpn):
				t.Errorf("a client %s: %s over %s, %v, %v; want %s, %v", tc.name, state.NegotiatedProtocol,
					tls.VersionName(state.Version), state.CurveID, err, tls.VersionName(tc.version), tc.curve)
			}
		}
	}
}

// A client that wants to renegotiate (TLS 1.2, RFC 5746) is not obeyed: the
// connection ends, and with it the lever of CVE-2011-1473.
func TestRenegotiationEndsTheConnection(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("H2GW_E2E") == "require" {
			t.Fatal("H2GW_E2E=require, and there is no openssl")
		}
		t.Skip("there is no openssl: crypto/tls clients cannot ask for a renegotiation")
	}
	f, h := listen(t, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, ask := range []string{"", "R\n"} {
		cmd := exec.CommandContext(ctx, openssl, "s_client", "-connect", f.Addr("tls").String(), "-servername", "localhost", "-alpn", "http/1.1", "-tls1_2")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if info := h.lastServed(t); info.TLS.Version != tls.VersionTLS12 {
			t.Errorf("served %+v", info)
		}
		if ask == "" {
			in.Write([]byte("Q\n"))
		} else {
			in.Write([]byte(ask)) // and nothing more: what ends it is the gateway
		}
		err = cmd.Wait()
		in.Close()
		if refused := strings.Contains(out.String(), "RENEGOTIATING") && (err != nil || strings.Contains(out.String(), "error:")); refused != (ask != "") {
			t.Errorf("%q: %v\n%s", ask, err, out.String())
		}
	}
	waitOpen(t, f, 0)
}
