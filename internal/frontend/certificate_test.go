package frontend

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// files are PEM files of two key pairs, and broken ones.
type files struct {
	cert, key, otherKey, encrypted, der, text, empty, chain string
}

func writeFiles(t *testing.T, c tls.Certificate) files {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keyPEM := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	return files{
		cert:      write("cert.pem", cert),
		key:       write("key.pem", keyPEM(c.PrivateKey)),
		otherKey:  write("other.pem", keyPEM(other)),
		encrypted: write("encrypted.pem", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})),
		der:       write("cert.der", c.Certificate[0]),
		text:      write("text.pem", []byte("hello\n")),
		empty:     write("empty.pem", nil),
		chain:     write("both.pem", append(cert, keyPEM(c.PrivateKey)...)),
	}
}

func TestLoadCertificateSaysWhatIsWrong(t *testing.T) {
	now := time.Now()
	f := writeFiles(t, testCert)
	for _, tc := range []struct {
		name, cert, key string
		at              time.Time
		want            string // part of the error; "" none
		warning         string
	}{
		{"a pair", f.cert, f.key, now, "", ""},
		{"both in one file", f.chain, f.chain, now, "", ""},
		{"no certificate file", f.cert + "x", f.key, now, "cert.pemx: no such file: give the path", ""},
		{"no key file", f.cert, f.key + "x", now, "private key file " + f.key + "x: no such file", ""},
		{"a folder", filepath.Dir(f.cert), f.key, now, "is a directory", ""},
		{"text for a certificate", f.text, f.key, now, "text.pem: not PEM: want a block that begins with -----BEGIN CERTIFICATE-----", ""},
		{"empty", f.empty, f.key, now, "empty.pem: not PEM", ""},
		{"DER", f.der, f.key, now, "looks like DER", ""},
		{"swapped", f.key, f.cert, now, "key.pem: it holds PRIVATE KEY and no CERTIFICATE: are the certificate and key files swapped?", ""},
		{"certificate twice", f.cert, f.cert, now, "private key file " + f.cert + ": it holds CERTIFICATE", ""},
		{"encrypted key", f.cert, f.encrypted, now, "encrypted.pem: the key is encrypted: decrypt it first", ""},
		{"another's key", f.cert, f.otherKey, now, "other.pem: it does not belong to the certificate in " + f.cert, ""},
		{"expired", f.cert, f.key, now.Add(91 * 24 * time.Hour), "cert.pem: expired on ", ""},
		{"expires soon", f.cert, f.key, now.Add(80 * 24 * time.Hour), "", "expires on "},
		{"not valid yet", f.cert, f.key, now.Add(-48 * time.Hour), "", "valid only from"},
	} {
		c, warning, err := LoadCertificate(tc.cert, tc.key, tc.at)
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case tc.want == "" && len(c.Certificate) == 0:
			t.Errorf("%s: no certificate", tc.name)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s:\n got %v\nwant %s", tc.name, err, tc.want)
		}
		if (warning == "") != (tc.warning == "") || !strings.Contains(warning, tc.warning) {
			t.Errorf("%s: warning %q, want %q", tc.name, warning, tc.warning)
		}
	}
}

func TestSelfSignedNamesLoopbackAndTheGivenHosts(t *testing.T) {
	c, err := SelfSigned(time.Now(), "gw.example", "192.0.2.7", "", "0.0.0.0", "localhost", "::1")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Leaf.DNSNames, " "); got != "localhost gw.example" {
		t.Errorf("names: %s", got)
	}
	if len(c.Leaf.IPAddresses) != 3 {
		t.Errorf("addresses: %v", c.Leaf.IPAddresses)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.Leaf)
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "gw.example", "192.0.2.7"} {
		if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: time.Now().Add(91 * 24 * time.Hour)}); err == nil {
		t.Error("valid for more than 90 days")
	}
}
