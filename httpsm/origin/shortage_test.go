package origin

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
)

// failing is a connection whose writes fail.
type failing struct {
	net.Conn
	err error
}

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// What we have run out of is not the endpoint's fault: it does not rest for it.
// The error says what it was, and what to raise.
func TestAShortageOfOursIsNotTheEndpointsFault(t *testing.T) {
	socket := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", errno)}
	}
	lookup := func(text string) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: text, Name: "origin.test", Server: "192.0.2.53:53", IsTemporary: true}}
	}
	for _, tc := range []struct {
		name    string
		err     error // of the dial; inTLS: of the handshake's first write
		inTLS   bool
		kind    Kind
		errno   syscall.Errno
		remedy  string
		healthy bool
	}{
		{"the process's files", socket(syscall.EMFILE), false, KindResource, syscall.EMFILE, "ulimit -n", true},
		{"the machine's files", socket(syscall.ENFILE), false, KindResource, syscall.ENFILE, "fs.file-max", true},
		{"buffers", socket(syscall.ENOBUFS), false, KindResource, syscall.ENOBUFS, "limits.memory", true},
		{"memory", socket(syscall.ENOMEM), false, KindResource, syscall.ENOMEM, "limits.memory", true},
		{"files for a lookup", lookup("dial udp 192.0.2.53:53: " + socket(syscall.EMFILE).Error()), false, KindResource, syscall.EMFILE, "ulimit -n", true},
		{"files for libc's lookup", lookup(syscall.EMFILE.Error()), false, KindResource, syscall.EMFILE, "ulimit -n", true},
		{"buffers for a handshake", &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.ENOBUFS)}, true, KindResource, syscall.ENOBUFS, "limits.memory", true},

		{"refused", socket(syscall.ECONNREFUSED), false, KindRefused, syscall.ECONNREFUSED, "", false},
		{"no way there", socket(syscall.EADDRNOTAVAIL), false, KindOther, syscall.EADDRNOTAVAIL, "", false},
		{"no such name", lookup("no such host"), false, KindDNS, 0, "", false},
		{"broken in the handshake", &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}, true, KindTLS, syscall.EPIPE, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, err := NewGroup(Config{
				Endpoints: []EndpointConfig{{Addr: "origin.test:443", TLS: tc.inTLS}},
				Dial: func(context.Context, string, string) (net.Conn, error) {
					if tc.inTLS {
						client, server := testkit.Pipe()
						t.Cleanup(func() { server.Close() })
						return failing{client, tc.err}, nil
					}
					return nil, tc.err
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			e := g.Endpoints()[0]
			for range restAfter + 1 {
				_, err := e.Get(context.Background(), false)
				if kind(err) != tc.kind || tc.errno != 0 && !errors.Is(err, tc.errno) || !strings.Contains(err.Error(), tc.remedy) {
					t.Fatalf("%v; want kind %s, and %q", err, tc.kind, tc.remedy)
				}
			}
			s := e.Stats()
			if s.Healthy != tc.healthy || e.health.resting() == tc.healthy {
				t.Errorf("healthy %v, resting %v", s.Healthy, e.health.resting())
			}
			if s.Connects[string(tc.kind)] != restAfter+1 || s.Active != 0 || s.InFlight != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// An endpoint that has failed before neither recovers nor gets worse by it, and a
// context that has ended in the meantime does not explain it.
func TestAShortageTellsNothingOfTheEndpoint(t *testing.T) {
	next := error(syscall.ECONNREFUSED)
	g, err := NewGroup(Config{
		Endpoints: []EndpointConfig{{Addr: "192.0.2.9:80"}},
		Dial:      func(context.Context, string, string) (net.Conn, error) { return nil, next },
	})
	if err != nil {
		t.Fatal(err)
	}
	e := g.Endpoints()[0]
	ctx, cancel := context.WithCancel(t.Context())
	for range restAfter - 1 {
		e.Get(ctx, false)
	}
	next = syscall.EMFILE
	cancel()
	for range 10 {
		if _, err := e.Get(ctx, false); kind(err) != KindResource {
			t.Fatal(err)
		}
	}
	if n := e.health.failures.Load(); n != restAfter-1 {
		t.Errorf("%d failures, want %d", n, restAfter-1)
	}
	next = syscall.ECONNREFUSED
	if e.Get(t.Context(), false); e.Stats().Healthy {
		t.Error("the failures before it are forgotten")
	}
}
