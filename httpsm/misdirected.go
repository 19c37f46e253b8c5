package httpsm

import (
	"bytes"
	"errors"
	"strings"
)

var errMisdirected = errors.New("the host is neither the one that the TLS connection was made for nor in its certificate")

// misdirected finds requests for a host that the client cannot have meant this
// connection for (RFC 9110 section 15.5.20, RFC 9113 section 9.1.2): one that is
// neither the name in SNI nor in the certificate it was shown, so that a
// connection for one site does not reach another one that it shares an address
// with. A client may use a connection for every name in the certificate. One
// that sent no SNI has come by address and named nothing to compare with.
func (t *Txn) misdirected() bool {
	s := t.rec.Session
	if t.m.cfg.Covers == nil || s.TLS == nil || s.TLS.ServerName == "" {
		return false
	}
	host := hostOf(t.req.Authority())
	if len(host) == 0 || bytes.EqualFold(host, []byte(s.TLS.ServerName)) {
		return false
	}
	return !t.m.cfg.Covers(s, strings.ToLower(string(host)))
}

// hostOf is host[:port] without port, brackets, and the dot of the root.
func hostOf(authority []byte) []byte {
	if end := bytes.IndexByte(authority, ']'); end > 0 && authority[0] == '[' {
		return authority[1:end]
	}
	if i := bytes.LastIndexByte(authority, ':'); i >= 0 {
		authority = authority[:i]
	}
	return bytes.TrimSuffix(authority, []byte("."))
}
