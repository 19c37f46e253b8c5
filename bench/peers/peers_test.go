package peers

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

func setting(t *testing.T) Setting {
	t.Helper()
	dir := t.TempDir()
	cert, err := MakeCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	return Setting{Dir: dir, Port: 1234, OriginPort: 5678, Workers: 2, Certificate: cert}
}

func TestEveryConfigurationNamesItsPortsAndItsLogOnlyWhenAsked(t *testing.T) {
	for _, p := range append(List(), originPeer()) {
		for _, log := range []string{"", "/somewhere/access.log"} {
			s := setting(t)
			s.Log = log
			if err := p.write(s); err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			for name := range p.Files {
				text, err := os.ReadFile(s.file(name))
				if err != nil {
					t.Fatal(err)
				}
				all.Write(text)
			}
			text := all.String()
			if !strings.Contains(text, "1234") || p.Name != "origin" && !strings.Contains(text, "5678") {
				t.Errorf("%s: a port is missing in:\n%s", p.Name, text)
			}
			// HAProxy logs to standard output, ATS to a file in its own folder, the origin never.
			named := strings.Contains(text, "/somewhere/access.log")
			if want := log != "" && !p.LogOnStdout && p.Name != "ats" && p.Name != "origin"; named != want {
				t.Errorf("%s: with log %q, the configuration names it: %v", p.Name, log, named)
			}
		}
	}
}

func TestCaddysConfigurationIsJSON(t *testing.T) {
	for _, log := range []string{"", "/x"} {
		s := setting(t)
		s.Log = log
		p := List()[5]
		if err := p.write(s); err != nil {
			t.Fatal(err)
		}
		text, _ := os.ReadFile(s.file("caddy.json"))
		if !json.Valid(text) {
			t.Errorf("with log %q:\n%s", log, text)
		}
	}
}

func TestH2gwIsToldAddressesAndSettings(t *testing.T) {
	s := setting(t)
	s.Extra = []string{"limits.streams=7"}
	got := strings.Join(h2gwArgs(s), " ")
	for _, want := range []string{"--from 127.0.0.1:1234", "--to http://127.0.0.1:5678", "--access-log off", "--set limits.streams=7"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
}

func TestVersionsAreFoundInWhatProgramsPrint(t *testing.T) {
	for text, want := range map[string]string{
		"nginx version: nginx/1.22.1\n":                                        "1.22.1",
		"HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n": "2.6.12",
		"nghttpx nghttp2/1.52.0":                                               "1.52.0",
		"h2o version 2.2.5\nOpenSSL: OpenSSL 3.0.19\n":                         "2.2.5",
		"Traffic Server 9.2.9 Apr  4 2026 14:52:39\n":                          "9.2.9",
		"v2.11.9 h1:abc=\n":                                                    "2.11.9",
		"unknown\n":                                                            "",
	} {
		if got := versionIn(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		`{"version":"(devel)","commit":"0123456789abcdef+changes"}`: "0123456789ab+changes",
		`{"version":"v1.2.3","commit":"unknown"}`:                   "v1.2.3",
		`no JSON`: "",
	} {
		if got := ownVersion(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestAProgramThatIsNotInstalledIsNamed(t *testing.T) {
	_, _, err := Peer{Name: "x", Binary: "no-such-gateway"}.Find(context.Background())
	if err == nil || !strings.Contains(err.Error(), "no-such-gateway") {
		t.Errorf("got %v", err)
	}
}

// shell is a peer that runs a shell script instead of a gateway.
func shell(t *testing.T, script string) (Peer, string) {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell to stand in for a gateway:", err)
	}
	return Peer{Name: "shell", Args: func(Setting) []string { return []string{"-c", script} }}, sh
}

// nobodys is a port where nobody listens until the test ends.
func nobodys(t *testing.T) int {
	t.Helper()
	return int(netip.MustParseAddrPort(testkit.ReservePort(t)).Port())
}

func TestAGatewayThatEndsWhileStartingSaysWhatItPrinted(t *testing.T) {
	p, sh := shell(t, "echo the port is mine; exit 3")
	s := setting(t)
	s.Port = nobodys(t)
	_, err := p.Start(context.Background(), sh, s)
	if err == nil || !strings.Contains(err.Error(), "the port is mine") {
		t.Errorf("got %v", err)
	}
}

func TestACancelledStartLeavesNothingRunning(t *testing.T) {
	p, sh := shell(t, `sleep 60 & echo $! > child; trap "" TERM; wait; wait`)
	s := setting(t)
	s.Port = nobodys(t)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for ctx.Err() == nil {
			if b, _ := os.ReadFile(filepath.Join(s.Dir, "child")); len(b) > 0 {
				cancel()
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if _, err := p.Start(ctx, sh, s); err == nil {
		t.Fatal("started without listening")
	}
	b, _ := os.ReadFile(filepath.Join(s.Dir, "child"))
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	// The child is init's to reap; until then it may be seen as ended.
	for end := time.Now().Add(30 * time.Second); alive(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the child %d is still running", pid)
		}
	}
}

func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && !strings.Contains(string(text), ") Z ")
}
