package h2session

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// TestH2spec runs the conformance suite of github.com/summerwind/h2spec, which is
// a tool of this module, against a session over a real socket.
func TestH2spec(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	tool := filepath.Join(t.TempDir(), "h2spec")
	build := exec.Command("go", "build", "-o", tool, "github.com/summerwind/h2spec/cmd/h2spec")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building h2spec: %v\n%s", err, out)
	}
	for _, secure := range []bool{true, false} {
		for _, strict := range []bool{false, true} {
			t.Run(fmt.Sprintf("tls=%v,strict=%v", secure, strict), func(t *testing.T) {
				t.Parallel()
				runH2spec(t, tool, secure, strict)
			})
		}
	}
}

func runH2spec(t *testing.T, tool string, secure, strict bool) {
	srv := &Server{Connector: vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) {
		go (&bench{t: t}).transaction(c, hello)
	}))}
	port := listen(t, srv, secure)
	report := filepath.Join(t.TempDir(), "report.xml")
	args := []string{"-h", "127.0.0.1", "-p", strconv.Itoa(port), "-o", "20", "-j", report}
	least := 140
	if secure {
		args = append(args, "-t", "-k")
	}
	if strict {
		args = append(args, "-S")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, tool, args...).CombinedOutput()
	if err != nil {
		t.Errorf("h2spec: %v\n%s", err, out)
	}
	passed, failed := readReport(t, report)
	t.Logf("%d passed, %d failed", passed, failed)
	if failed != 0 || passed < least {
		t.Errorf("%d passed and %d failed, want at least %d and none", passed, failed, least)
	}
}

// readReport counts the cases of a JUnit report.
func readReport(t *testing.T, name string) (passed, failed int) {
	var r struct {
		Suites []struct {
			Cases []struct {
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	b, err := os.ReadFile(name)
	if err == nil {
		err = xml.Unmarshal(b, &r)
	}
	if err != nil {
		t.Fatalf("h2spec's report: %v", err)
	}
	for _, s := range r.Suites {
		for _, c := range s.Cases {
			switch {
			case c.Failure != nil || c.Error != nil:
				failed++
			case c.Skipped == nil:
				passed++
			}
		}
	}
	return passed, failed
}

// listen serves srv on a loopback port until the test ends.
func listen(t testing.TB, srv *Server, secure bool) (port int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	if secure {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, NextProtos: []string{"h2"}})
	}
	ids := pitag.NewSequence("h2")
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				if tc, ok := c.(*tls.Conn); ok && tc.HandshakeContext(ctx) != nil {
					c.Close()
					return
				}
				srv.ServeConn(ctx, c, ids.Next())
			})
		}
	})
	t.Cleanup(func() { l.Close(); cancel(); wg.Wait() })
	return port
}

func selfSigned(t testing.TB) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"example.com"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
