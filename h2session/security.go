package h2session

import (
	"crypto/tls"
	"strings"
)

// inadequate says why HTTP/2 must not be spoken over a connection with state, or
// nothing. RFC 9113, section 9.2: TLS 1.2 or later, and with 1.2 none of the
// suites of appendix A, which are all but those with ephemeral keys and AEAD.
// h2gw's own listener offers no others; this is for those who bring their own.
func inadequate(state *tls.ConnectionState) string {
	switch {
	case state == nil || state.Version >= tls.VersionTLS13:
		return ""
	case state.Version < tls.VersionTLS12:
		return "TLS older than 1.2"
	}
	name := tls.CipherSuiteName(state.CipherSuite)
	ephemeral := strings.HasPrefix(name, "TLS_ECDHE_") || strings.HasPrefix(name, "TLS_DHE_")
	if !ephemeral || !strings.Contains(name, "_GCM_") && !strings.Contains(name, "_CHACHA20_POLY1305") {
		return "a cipher suite that HTTP/2 prohibits"
	}
	return ""
}
