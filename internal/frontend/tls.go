package frontend

import "crypto/tls"

// TLSConfig returns the configuration of a TLS listener for certs, the first of
// which is the default: TLS 1.2 and 1.3, ALPN h2 and http/1.1. Key exchange is
// left to crypto/tls, whose order is post-quantum hybrid (X25519MLKEM768) first.
func TLSConfig(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates: certs,
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{ProtoH2, ProtoHTTP1},
		CipherSuites: cipherSuites(),
	}
}

// cipherSuites are those of TLS 1.2 that HTTP/2 does not prohibit (RFC 9113,
// 9.2.2 and appendix A): forward secret and AEAD. With no others offered a
// client cannot end up with h2 over a suite it then must refuse. TLS 1.3 is not
// configurable and needs no list.
func cipherSuites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}
