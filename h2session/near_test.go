package h2session

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/h2gw/h2gw/internal/netio"
	"github.com/h2gw/h2gw/internal/prefetch"
	"github.com/h2gw/h2gw/vconn"
)

// What crypto/tls is made of is its own business; this says when it has changed.
func TestCiphersOfTLSAreFound(t *testing.T) {
	for name, config := range map[string]*tls.Config{
		"TLS 1.3":                    {},
		"TLS 1.2, AES-GCM":           {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}},
		"TLS 1.2, ChaCha20-Poly1305": {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}},
	} {
		client, server := sockets(t, false, nil)
		c, s := shakeAs(t, client, server, config)
		for _, half := range []string{"in", "out"} {
			var l prefetch.List
			if !nameCipher(&l, s, half) || l.Lines() < 2 {
				t.Errorf("%s, %s: not all was found, %d lines of it", name, half, l.Lines())
			}
		}
		if !prefetch.Reach(new(prefetch.List), s, "rawInput", "buf") {
			t.Errorf("%s: where records are read into was not found", name)
		}
		c.Close()
		s.Close()
	}
}

// An answer touches its stream, and all that a turn of the session does.
func TestAnAnswerNamesItsSession(t *testing.T) {
	if !netio.CanPoll {
		t.Skip("connections of this system cannot be polled")
	}
	client, server := sockets(t, true, netio.PollerOf(0))
	var lines int
	cl := startOn(t, Config{}, func(r *http.Request, c *vconn.Conn) {
		var l prefetch.List
		c.Near(&l)
		lines = l.Lines()
		hello(r, c)
	}, client, server)
	cl.Handshake()
	cl.Get(1, "/")
	cl.WantStatus(1, "200")
	var alone prefetch.List
	prefetch.Add(&alone, new(Session))
	prefetch.Add(&alone, new(machine))
	prefetch.Add(&alone, new(stream))
	prefetch.Add(&alone, new(tls.Conn))
	if lines <= alone.Lines() {
		t.Errorf("%d lines; a session, a stream and a TLS connection are %d", lines, alone.Lines())
	}
	cl.Close()
}
