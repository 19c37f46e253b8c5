package failure

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// originCertificate is a certificate for 127.0.0.1 that this process trusts.
var originCertificate tls.Certificate

// trustOwnOrigins makes it the only root of the system, before anybody has asked
// for the roots: the gateway verifies origins as it does in earnest.
func trustOwnOrigins(dir string) error {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	originCertificate = s.TLS.Certificates[0]
	file := filepath.Join(dir, "roots.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	os.Setenv("SSL_CERT_DIR", dir)
	return os.Setenv("SSL_CERT_FILE", file)
}

// secured plays script over TLS, as long as that stands.
func secured(script func(p *peer)) func(*peer) {
	return func(p *peer) {
		tc := tls.Server(p.TCPConn, &tls.Config{Certificates: []tls.Certificate{originCertificate}})
		if tc.Handshake() == nil {
			p.br, p.out = bufio.NewReader(tc), tc
			script(p)
		}
	}
}

// Over TLS the end of a connection is known to be meant only if it was announced:
// a response that ends with the connection is complete with a close_notify, and
// without one it was cut (RFC 9112 section 9.8).
func TestAResponseCutWithinTLSNeverLooksComplete(t *testing.T) {
	begin(t)
	o := startOrigin(t, secured(func(p *peer) {
		req, _, err := p.request()
		if err != nil {
			return
		}
		part := strings.Split(req.URL.Path, "/")
		var at int
		fmt.Sscan(part[3], &at)
		for _, s := range shapes {
			if s.name == part[1] {
				p.send(s.text[:at])
			}
		}
		if part[2] == "notify" {
			p.out.(*tls.Conn).Close()
		}
	}))
	r := newRig(t, []string{"https://" + o.addr()}, "timeouts.origin_idle=off")
	callers := r.clients(allClients...)
	type tlsCut struct {
		shape  shape
		how    string
		at     int
		client int
	}
	var all []tlsCut
	for client := range callers {
		for _, s := range shapes {
			for _, how := range []string{"notify", "cut"} {
				for at := 0; at <= len(s.text); at += 3 {
					all = append(all, tlsCut{s, how, at, client})
				}
				all = append(all, tlsCut{s, how, len(s.text), client})
			}
		}
	}
	inParallel(8, len(all), func(i int) {
		c := all[i]
		a := callers[c.client].do("GET", fmt.Sprintf("/%s/%s/%d", c.shape.name, c.how, c.at), "")
		whole := c.at == len(c.shape.text) && !c.shape.untilClose || c.shape.untilClose && c.how == "notify" && c.at >= c.shape.head
		switch {
		case a.hung():
			t.Errorf("%+v hangs", c)
		case whole && (a.err != nil || a.status != 200):
			t.Errorf("%+v: %v, want it complete", c, &a)
		case c.at < c.shape.head && (a.err != nil || a.status != 502):
			t.Errorf("%+v: %v, want 502", c, &a)
		case c.at >= c.shape.head && !whole && a.err == nil:
			t.Errorf("%+v: a cut response looks complete: %v", c, &a)
		}
	})
	if access := r.settle(); len(access) != len(all) {
		t.Errorf("%d access lines for %d requests", len(access), len(all))
	}
}

// A kept-alive TLS connection that the origin has closed, with or without saying
// so, is not used again.
func TestATLSConnectionClosedWhileIdleIsNotUsed(t *testing.T) {
	begin(t)
	answered, closed := make(chan string), make(chan struct{})
	o := startOrigin(t, secured(func(p *peer) {
		req, _, err := p.request()
		if err != nil {
			return
		}
		p.send(echo(req))
		switch <-answered {
		case "notify":
			p.out.(*tls.Conn).Close()
		case "reset":
			p.reset()
		case "speak":
			p.send(stray)
			defer p.gone()
		}
		p.TCPConn.CloseWrite()
		closed <- struct{}{}
	}))
	r := newRig(t, []string{"https://" + o.addr()})
	for _, c := range r.clients(overH2, overH1) {
		for i, how := range []string{"notify", "cut", "reset", "speak", "notify", "cut"} {
			for _, method := range []string{"GET", "POST"} {
				target := fmt.Sprintf("/%s/%d", how, i)
				if a := c.do(method, target, ""); a.err != nil || a.header.Get("X-Id") != identity(method, target) {
					t.Errorf("%s %s: %v", method, target, &a)
				}
				answered <- how
				<-closed
			}
		}
	}
	for _, l := range r.settle() {
		if l.Outcome != "completed" || l.OriginReused || l.Retries != 0 {
			t.Errorf("%+v", l)
		}
	}
}

// An origin that does not speak TLS, or not to the end, is told apart from one
// that does not answer.
func TestAnOriginWhoseTLSFails(t *testing.T) {
	begin(t)
	const connect = 150 * time.Millisecond
	for _, tc := range []struct {
		name   string
		script func(*peer)
		status int
		word   string
		least  time.Duration
		set    string
	}{
		{"speaks cleartext", func(p *peer) { p.send("HTTP/1.1 400 Bad Request\r\n\r\n"); p.gone() }, 502, "tls_protocol_error", 0, "timeouts.connect=30s"},
		{"closes", func(p *peer) { p.br.ReadByte() }, 502, "tls_protocol_error", 0, "timeouts.connect=30s"},
		{"resets", func(p *peer) { p.br.ReadByte(); p.reset() }, 502, "tls_protocol_error", 0, "timeouts.connect=30s"},
		{"is silent", func(p *peer) { p.gone() }, 504, "connection_timeout", 3 * connect, "timeouts.connect=150ms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := startOrigin(t, tc.script)
			r := newRig(t, []string{"https://" + o.addr()}, tc.set)
			expect(t, r, []expectation{
				{"GET", "/get", "", tc.status, 0, tc.word, tc.least, tc.least + slack},
				{"POST", "/post", "a body", tc.status, 0, tc.word, tc.least, tc.least + slack},
			})
		})
	}
}
