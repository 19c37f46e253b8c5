package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A Certificate is one self-made certificate for localhost, on disk in the
// forms the gateways want. ECDSA P-256, as most sites have today.
type Certificate struct {
	// CertDir holds Cert, Key and Pem (both in one file).
	CertDir, Cert, Key, Pem string
}

// MakeCertificate writes a fresh certificate, valid for a day, into dir.
func MakeCertificate(dir string) (Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certificate{}, err
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return Certificate{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Certificate{}, err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return writeCertificate(dir, cert, private)
}

func writeCertificate(dir string, cert, key []byte) (Certificate, error) {
	c := Certificate{
		CertDir: dir,
		Cert:    filepath.Join(dir, "cert.pem"),
		Key:     filepath.Join(dir, "key.pem"),
		Pem:     filepath.Join(dir, "both.pem"),
	}
	files := []struct {
		path string
		data []byte
	}{{c.Cert, cert}, {c.Key, key}, {c.Pem, append(append([]byte{}, cert...), key...)}}
	for _, f := range files {
		// Readable by all: a gateway that gives up root must still read it, and it is worth nothing after the run.
		if err := os.WriteFile(f.path, f.data, 0o644); err != nil {
			return Certificate{}, err
		}
	}
	return c, nil
}
