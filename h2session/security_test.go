package h2session

import (
	"crypto/tls"
	"testing"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// HTTP/2 over what RFC 9113, section 9.2, forbids ends with INADEQUATE_SECURITY
// before a stream is looked at.
func TestInadequateSecurity(t *testing.T) {
	for _, tc := range []struct {
		name  string
		state *tls.ConnectionState
		code  http2.ErrCode
	}{
		{"cleartext", nil, codeNo},
		{"TLS 1.3", &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}, codeNo},
		{"TLS 1.2, AEAD", &tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}, codeNo},
		{"TLS 1.2, CBC", &tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256}, http2.ErrCodeInadequateSecurity},
		{"TLS 1.2, no ephemeral keys", &tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_RSA_WITH_AES_128_GCM_SHA256}, http2.ErrCodeInadequateSecurity},
		{"TLS 1.2, unknown suite", &tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: 0xfafa}, http2.ErrCodeInadequateSecurity},
		{"TLS 1.1", &tls.ConnectionState{Version: tls.VersionTLS11, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, http2.ErrCodeInadequateSecurity},
	} {
		bubble(t, func(t *testing.T) {
			b := &bench{t: t}
			srv := &Server{Connector: vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { go b.transaction(c, hello) }))}
			client, server := testkit.Pipe()
			done := make(chan *pitag.SessionRecord, 1)
			go func() {
				done <- srv.ServeSession(t.Context(), server, &pitag.Session{Identity: testIdentity, TLS: tc.state})
			}()
			cl := testkit.NewClient(t, client)
			cl.Write([]byte(http2.ClientPreface))
			cl.Settings()
			cl.WantSettings()
			if tc.code != codeNo {
				cl.WantGoAway(tc.code)
				cl.WantClosed()
			} else {
				cl.WantSettingsAck()
				cl.Close()
			}
			if r := <-done; (r.Cause == pitag.CauseClientError) != (tc.code != codeNo) {
				t.Errorf("%s: cause %s, %v", tc.name, r.Cause, r.Err)
			}
		})
	}
}
