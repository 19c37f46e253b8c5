package frontend

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// ExpiryWarning is how long before a certificate's end LoadCertificate warns.
const ExpiryWarning = 14 * 24 * time.Hour

// LoadCertificate reads a certificate chain and its private key, both PEM; they
// may share one file. now decides whether the certificate is valid. An error
// names the file, what is wrong and what would be right: missing, not PEM,
// encrypted, swapped, not a pair, expired. warning, when not "", tells of a
// certificate that can be used but should be looked at.
func LoadCertificate(certFile, keyFile string, now time.Time) (cert tls.Certificate, warning string, err error) {
	certPEM, err := readPEM("certificate", certFile, "CERTIFICATE")
	if err != nil {
		return tls.Certificate{}, "", err
	}
	keyPEM, err := readPEM("private key", keyFile, "PRIVATE KEY")
	if err != nil {
		return tls.Certificate{}, "", err
	}
	cert, err = tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, "", pairError(certFile, keyFile, err)
	}
	leaf := cert.Leaf
	switch {
	case now.After(leaf.NotAfter):
		return tls.Certificate{}, "", fmt.Errorf("certificate file %s: expired on %s (for %s): renew it",
			certFile, leaf.NotAfter.UTC().Format(time.DateTime), names(leaf))
	case now.Before(leaf.NotBefore):
		warning = fmt.Sprintf("certificate file %s: valid only from %s: is the clock right?", certFile, leaf.NotBefore.UTC().Format(time.DateTime))
	case leaf.NotAfter.Sub(now) < ExpiryWarning:
		warning = fmt.Sprintf("certificate file %s: expires on %s", certFile, leaf.NotAfter.UTC().Format(time.DateTime))
	}
	return cert, warning, nil
}

// readPEM reads file and makes sure that it holds a PEM block whose type ends in
// suffix ("PRIVATE KEY" has forms with a prefix).
func readPEM(what, file, suffix string) ([]byte, error) {
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s file %s: no such file: give the path of a PEM file", what, file)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s file %s: permission denied: make it readable for the user h2gw runs as", what, file)
	case err != nil:
		return nil, fmt.Errorf("%s file %s: %w", what, file, err)
	}
	var found []string
	for rest := data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["DEK-Info"] != "" {
			return nil, fmt.Errorf("%s file %s: the key is encrypted: decrypt it first (openssl pkey -in %[2]s -out plain.pem)", what, file)
		}
		if strings.HasSuffix(b.Type, suffix) {
			return data, nil
		}
		found = append(found, b.Type)
	}
	if found == nil {
		hint := ""
		if bytes.HasPrefix(data, []byte{0x30, 0x82}) {
			hint = " (it looks like DER: convert it with openssl)"
		}
		return nil, fmt.Errorf("%s file %s: not PEM%s: want a block that begins with -----BEGIN %s-----", what, file, hint, suffix)
	}
	return nil, fmt.Errorf("%s file %s: it holds %s and no %s: are the certificate and key files swapped?",
		what, file, strings.Join(slices.Compact(found), ", "), suffix)
}

// pairError turns crypto/tls's messages, which name no file, into ours.
func pairError(certFile, keyFile string, err error) error {
	if strings.Contains(err.Error(), "private key does not match") || strings.Contains(err.Error(), "private key type does not match") {
		return fmt.Errorf("private key file %s: it does not belong to the certificate in %s: use the key the certificate was issued for", keyFile, certFile)
	}
	return fmt.Errorf("certificate file %s with private key file %s: %w", certFile, keyFile, err)
}

func names(c *x509.Certificate) string {
	all := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return c.Subject.String()
	}
	return strings.Join(all, ", ")
}

// SelfSigned makes a fresh ECDSA P-256 certificate for localhost, 127.0.0.1, ::1
// and the given hosts (names or addresses; "" and unspecified ones are left
// out), valid from an hour before now for 90 days. It is for trying things out:
// no client trusts it unless told to.
func SelfSigned(now time.Time, hosts ...string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	tmpl := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "h2gw self-signed"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(90 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // so that the certificate itself can be given to --cacert
	}
	for _, h := range append([]string{"localhost", "127.0.0.1", "::1"}, hosts...) {
		addSAN(tmpl, h)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

func addSAN(c *x509.Certificate, host string) {
	ip := net.ParseIP(host)
	switch {
	case host == "" || ip != nil && ip.IsUnspecified():
	case ip != nil:
		if !slices.ContainsFunc(c.IPAddresses, ip.Equal) {
			c.IPAddresses = append(c.IPAddresses, ip)
		}
	case !slices.Contains(c.DNSNames, host):
		c.DNSNames = append(c.DNSNames, host)
	}
}
