package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/frontend"
)

// certificateFiles writes a certificate for localhost, 127.0.0.1 and hosts.
func certificateFiles(t *testing.T, hosts ...string) (certFile, keyFile string) {
	t.Helper()
	c, err := frontend.SelfSigned(time.Now(), hosts...)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, b := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// RFC 9110, section 15.5.20: a connection that was made for one host is for that
// host and for those in the certificate, over HTTP/2 and HTTP/1.1 alike.
func TestAMisdirectedRequestGets421(t *testing.T) {
	tests := []struct {
		sni, host string
		status    int
		change    func(*Config)
		set       []string
	}{
		{sni: "site.example", host: "site.example", status: 200},
		{sni: "site.example", host: "SITE.example.:8443", status: 200},
		{sni: "site.example", host: "a.wild.example", status: 200}, // a reused connection, as browsers do
		{sni: "site.example", host: "127.0.0.1", status: 200},
		{sni: "site.example", host: "[::1]:443", status: 200},
		{sni: "site.example", host: "other.example", status: 421},
		{sni: "site.example", host: "a.b.wild.example", status: 421},
		{sni: "site.example", host: "site.example.evil.example", status: 421},
		{sni: "site.example", host: "192.0.2.1", status: 421},
		{sni: "other.example", host: "other.example", status: 200}, // it accepted the certificate all the same
		{sni: "", host: "other.example", status: 200},              // by address: nothing to compare with
		{sni: "site.example", host: "other.example", status: 200, set: []string{"tls.misdirected=off"}},
		{sni: "localhost", host: "app.test", status: 200, change: func(c *Config) { c.CertFile, c.KeyFile, c.SelfSigned = "", "", true }},
	}
	for _, tt := range tests {
		t.Run(tt.sni+" "+tt.host, func(t *testing.T) {
			r := newRig(t, nil, func(c *Config) {
				c.SelfSigned = false
				c.CertFile, c.KeyFile = certificateFiles(t, "site.example", "*.wild.example")
				if tt.change != nil {
					tt.change(c)
				}
			}, tt.set...)
			for _, proto := range []string{frontend.ProtoH2, frontend.ProtoHTTP1} {
				c, url := r.client(proto)
				c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{ServerName: tt.sni, InsecureSkipVerify: true}
				req, err := http.NewRequest("GET", url, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = tt.host
				resp, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != tt.status {
					t.Errorf("%s: %d %q, want %d", proto, resp.StatusCode, body, tt.status)
				}
				if status := resp.Header.Get("Proxy-Status"); tt.status == 421 && status != "h2gw; error=http_request_denied" {
					t.Errorf("%s: Proxy-Status %q", proto, status)
				}
			}
			r.shutdown()
			access, _ := r.log()
			for _, l := range access {
				if want := map[int]string{200: "completed", 421: "http_request_denied"}[tt.status]; l.Outcome != want || l.Status != tt.status {
					t.Errorf("%+v", l)
				}
			}
		})
	}
}

// On cleartext there is no certificate that could say anything.
func TestWithoutTLSNothingIsMisdirected(t *testing.T) {
	r := newRig(t, nil, nil)
	for _, proto := range []string{frontend.ProtoH2C, "plain " + frontend.ProtoHTTP1} {
		c, url := r.client(proto)
		req, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "other.example"
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s: %d", proto, resp.StatusCode)
		}
	}
}

// The connection goes on after a 421: only the one request was wrong.
func TestAConnectionGoesOnAfter421(t *testing.T) {
	r := newRig(t, nil, func(c *Config) {
		c.SelfSigned = false
		c.CertFile, c.KeyFile = certificateFiles(t, "site.example")
	})
	conn, err := tls.Dial("tcp", r.Addr(ListenerTLS).String(), &tls.Config{ServerName: "site.example", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, "GET /a HTTP/1.1\r\nHost: other.example\r\n\r\nGET /b HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n")
	b, err := io.ReadAll(conn)
	text := string(b)
	if !strings.HasPrefix(text, "HTTP/1.1 421 Misdirected Request\r\n") || strings.Count(text, "HTTP/1.1 200 OK\r\n") != 1 || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
