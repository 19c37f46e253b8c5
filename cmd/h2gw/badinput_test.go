package main

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/frontend"
	"github.com/h2gw/h2gw/internal/testkit"
)

// certFiles writes a good certificate, its key, and bad ones into dir.
func certFiles(t *testing.T, dir string) {
	t.Helper()
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, at := range map[string]time.Time{"good": time.Now(), "other": time.Now(), "old": time.Now().AddDate(-1, 0, 0)} {
		c, err := frontend.SelfSigned(at)
		if err != nil {
			t.Fatal(err)
		}
		key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		write(name+".crt", "CERTIFICATE", c.Certificate[0])
		write(name+".key", "PRIVATE KEY", key)
	}
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Every fault in flags, files, certificates and ports ends before listening,
// with one line that says what, where and what would be right, and code 2.
func TestBadInputEndsBeforeListening(t *testing.T) {
	dir := t.TempDir()
	certFiles(t, dir)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := testkit.ReservePort(t)
	// DIR, TAKEN and FREE stand for what differs between runs.
	fill := strings.NewReplacer("DIR", dir, "TAKEN", taken.Addr().String(), "FREE", free)

	const (
		to   = " --to http://127.0.0.1:9"
		tls  = "proxy --admin off --from 127.0.0.1:0 --self-signed"
		cert = "proxy --admin off" + to + " --from 127.0.0.1:0"
	)
	for _, tc := range []struct{ name, args, want string }{
		{"no command", "", `expected one of "demo"`},
		{"unknown command", "prxy", `did you mean "proxy"`},
		{"unknown flag", "proxy --form 127.0.0.1:0", `unknown flag --form, did you mean "--from"`},
		{"a flag without its value", "proxy --from", `--from`},
		{"an argument too many", tls + to + " extra", "unexpected argument extra"},
		{"no listener", "proxy --admin off" + to, "no listener is given: add --from HOST:PORT"},
		{"no origin", tls, "no origin is given: name at least one with --to"},

		{"origin without scheme", tls + " --to localhost:9", `write http://localhost:9`},
		{"origin of another scheme", tls + " --to ftp://localhost", "only http and https"},
		{"origin with a path", tls + " --to http://localhost/app", "a path (/app) is not allowed"},
		{"origin with a user", tls + " --to http://u:p@localhost", "is not allowed"},
		{"origin with a bad port", tls + " --to http://localhost:http", `origin "http://localhost:http"`},
		{"second origin wrong", tls + to + " --to nothing", `origin "nothing"`},

		{"no certificate", cert, "--self-signed"},
		{"certificate without key", cert + " --cert DIR/good.crt", "without --key"},
		{"key without certificate", cert + " --key DIR/good.key", "without --cert"},
		{"certificate and self-signed", cert + " --cert DIR/good.crt --key DIR/good.key --self-signed", "choose one"},
		{"certificate for a plain listener", "proxy --admin off --plain 127.0.0.1:0 --self-signed" + to, "no TLS listener"},
		{"certificate file missing", cert + " --cert DIR/none --key DIR/good.key", "DIR/none: no such file"},
		{"key file missing", cert + " --cert DIR/good.crt --key DIR/none", "private key file DIR/none: no such file"},
		{"certificate not PEM", cert + " --cert DIR/text --key DIR/good.key", "DIR/text: not PEM"},
		{"key not PEM", cert + " --cert DIR/good.crt --key DIR/text", "DIR/text: not PEM"},
		{"files swapped", cert + " --cert DIR/good.key --key DIR/good.crt", "swapped"},
		{"key of another", cert + " --cert DIR/good.crt --key DIR/other.key", "does not belong to the certificate in DIR/good.crt"},
		{"certificate expired", cert + " --cert DIR/old.crt --key DIR/old.key", "DIR/old.crt: expired on"},

		{"TLS port in use", "proxy --admin off --self-signed --from TAKEN" + to, `"TAKEN" (listener tls): the address is in use`},
		{"plain port in use", "proxy --admin off --from 127.0.0.1:0 --self-signed --plain TAKEN" + to, `"TAKEN" (listener plain): the address is in use`},
		{"admin port in use", "proxy --from 127.0.0.1:0 --self-signed --admin TAKEN" + to, `"TAKEN" for the admin address: the address is in use: stop what listens there, or choose another port (port 0 takes a free one); or turn it off with --admin off`},
		{"no access log file", tls + to + " --access-log=", "want a file, - for standard output, or off"},
		{"address without port", "proxy --admin off --plain 127.0.0.1" + to, `"127.0.0.1" (listener plain): missing port`},
		{"port out of range", "proxy --admin off --plain 127.0.0.1:70000" + to, "invalid port"},
		{"address of another machine", "proxy --admin off --plain 192.0.2.1:8080" + to, "not one of this machine"},
		{"the same address twice", "proxy --admin off --from FREE --self-signed --plain FREE" + to, "the address is in use"},

		{"log file in no folder", tls + to + " --access-log DIR/none/access.log", "DIR/none/access.log: no such file or directory"},
		{"log file is a folder", tls + to + " --access-log DIR", "is a directory"},
		{"log format", tls + to + " --access-log-format xml", `"xml" is not known: want json or combined`},
		{"log level", tls + to + " --log-level loud", `--log-level must be one of "debug","info","warn","error" but got "loud"`},

		{"unknown setting", tls + to + " --set timeouts.conect=1s", "did you mean timeouts.connect?"},
		{"setting without value", tls + to + " --set timeouts.connect", "has no value"},
		{"setting without unit", tls + to + " --set timeouts.connect=5", "did you mean 5s?"},
		{"setting out of range", tls + to + " --set limits.streams=0", "want 1 to 1048576"},
		{"setting that cannot be off", tls + to + " --set timeouts.connect=off", "cannot be off"},
		{"second setting wrong", tls + to + " --set timeouts.connect=5s --set limits.fields=x", "limits.fields=x: not a whole number"},
		{"demo: unknown setting", "demo --set x=1", `there is no setting "x"`},
		{"report: top", "report --top 100000 -", "want 0 to 1000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := start(t, nil, strings.Fields(fill.Replace(tc.args))...)
			if code := p.wait(patience); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			msg := p.err.String()
			if !strings.HasPrefix(msg, "h2gw: ") || strings.Count(msg, "\n") != 1 || !strings.Contains(msg, fill.Replace(tc.want)) {
				t.Errorf("standard error:\n%swant one line with %q", msg, fill.Replace(tc.want))
			}
			if out := p.out.String(); out != "" {
				t.Errorf("standard output: %q", out)
			}
		})
	}
}

func TestBadEnvironmentIsNamed(t *testing.T) {
	p := start(t, []string{"H2GW_LOG_LEVEL=loud"}, "proxy", "--plain", "127.0.0.1:0", "--to", "http://127.0.0.1:9", "--admin", "off")
	if code := p.wait(patience); code != 2 || !strings.Contains(p.err.String(), `"loud"`) {
		t.Errorf("code %d, %s", code, p.err.String())
	}
	p = start(t, []string{"H2GW_ADMIN=nowhere"}, "proxy", "--plain", "127.0.0.1:0", "--to", "http://127.0.0.1:9")
	if code := p.wait(patience); code != 2 || !strings.Contains(p.err.String(), `"nowhere" for the admin address`) {
		t.Errorf("code %d, %s", code, p.err.String())
	}
}

func TestHelpShowsFlagsDefaultsAndAnExample(t *testing.T) {
	for _, tc := range []struct {
		args string
		want []string
	}{
		{"--help", []string{"demo", "proxy", "report", "version"}},
		{"proxy --help", []string{"--from", "--to", "--cert", "--key", "--self-signed", "--plain", "--admin", "--access-log", "--access-log-format", "--set",
			"default 127.0.0.1:9180", "$H2GW_ADMIN", "default json", "h2gw proxy --from 127.0.0.1:8443 --self-signed --to http://127.0.0.1:9000"}},
		{"demo --help", []string{"Example:", "h2gw demo", "--set"}},
		{"report --help", []string{"Example", "h2gw report access.log.1", "--json", "--top", "default 10"}},
		{"version --help", []string{"Example", "h2gw version --json"}},
		{"help", []string{"demo", "proxy", "report", "version"}},
		{"help report", []string{"Example", "h2gw report access.log.1"}},
	} {
		p := start(t, nil, strings.Fields(tc.args)...)
		if code := p.wait(patience); code != 0 {
			t.Errorf("%s: code %d", tc.args, code)
		}
		help := strings.Join(strings.Fields(p.out.String()), " ")
		for _, want := range tc.want {
			if !strings.Contains(help, want) {
				t.Errorf("%s does not show %q:\n%s", tc.args, want, p.out.String())
			}
		}
	}
}

func TestVersionPrintsForPeopleAndMachines(t *testing.T) {
	p := start(t, nil, "version")
	if code := p.wait(patience); code != 0 || !strings.HasPrefix(p.out.String(), "h2gw ") || !strings.Contains(p.out.String(), "go1.") {
		t.Errorf("code %d, %q", code, p.out.String())
	}
	word := p.out.String()
	p = start(t, nil, "--version")
	if code := p.wait(patience); code != 0 || p.out.String() != word {
		t.Errorf("--version: code %d, %q, want %q", code, p.out.String(), word)
	}
	p = start(t, nil, "version", "--json")
	if code := p.wait(patience); code != 0 || !strings.Contains(p.out.String(), `"go":"go1.`) {
		t.Errorf("code %d, %q", code, p.out.String())
	}
}
