package origin

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
)

// echoOrigin answers every request on loopback and allocates nothing once a
// connection stands.
func echoOrigin(t testing.TB) *Endpoint {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				in, out := make([]byte, len(request)), []byte(response)
				for {
					if _, err := io.ReadFull(c, in); err != nil {
						return
					}
					c.Write(out)
				}
			})
		}
	})
	g, err := NewGroup(Config{Endpoints: []EndpointConfig{{Addr: ln.Addr().String()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(); ln.Close(); wg.Wait() })
	return g.Endpoints()[0]
}

func TestAReuseAllocatesNothing(t *testing.T) {
	e := echoOrigin(t)
	ctx := context.Background()
	if n := testing.AllocsPerRun(1000, func() {
		x, err := e.Get(ctx, false)
		if err != nil {
			t.Fatal(err)
		}
		x.Release(true)
	}); n != 0 {
		t.Errorf("Get and Release on a kept connection: %v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, func() {
		x, err := e.group.Pick().Get(ctx, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := roundTrip(x); err != nil {
			t.Fatal(err)
		}
		x.Release(true)
	}); n != 0 {
		t.Errorf("a whole exchange: %v allocations", n)
	}
	if s := e.Stats(); s.Connects["ok"] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	cfg := Config{}
	for _, a := range []string{"a:1", "b:1", "c:1", "d:1"} {
		cfg.Endpoints = append(cfg.Endpoints, EndpointConfig{Addr: a})
	}
	g, err := NewGroup(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tried := g.Endpoints()[0]
	if n := testing.AllocsPerRun(1000, func() {
		if g.Pick() == nil || g.Pick(tried) == nil {
			t.Fatal("nothing picked")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPick(b *testing.B) {
	cfg := Config{}
	for _, a := range []string{"a:1", "b:1", "c:1", "d:1"} {
		cfg.Endpoints = append(cfg.Endpoints, EndpointConfig{Addr: a})
	}
	g, err := NewGroup(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		g.Pick()
	}
}

// What the pool itself costs, the look at the socket included.
func BenchmarkGetRelease(b *testing.B) {
	e := echoOrigin(b)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		x, err := e.Get(ctx, false)
		if err != nil {
			b.Fatal(err)
		}
		x.Release(true)
	}
}

// Over TLS the look goes through crypto/tls.
func BenchmarkGetReleaseTLS(b *testing.B) {
	cert, pool := certificate(b, "origin.test")
	o := testkit.ListenOrigin(b, func(c *testkit.OriginConn) {
		tls.Server(c.NetConn(), &tls.Config{Certificates: []tls.Certificate{cert}}).Read(make([]byte, 1))
	})
	g := groupOf(b, o, func(c *Config) {
		c.Endpoints[0].TLS, c.Endpoints[0].ServerName = true, "origin.test"
		c.TLS, c.Dial = &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS12}, nil // 1.3 leaves tickets to be read
	})
	e, ctx := g.Endpoints()[0], context.Background()
	b.ReportAllocs()
	for b.Loop() {
		x, err := e.Get(ctx, false)
		if err != nil {
			b.Fatal(err)
		}
		x.Release(true)
	}
	if s := e.Stats(); s.Connects["ok"] != 1 {
		b.Errorf("%+v", s)
	}
}

func BenchmarkGetReleaseParallel(b *testing.B) {
	e := echoOrigin(b)
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			x, err := e.Get(ctx, false)
			if err != nil {
				b.Error(err)
				return
			}
			x.Release(true)
		}
	})
}

// A whole small exchange over loopback; the origin's share is included.
func BenchmarkExchange(b *testing.B) {
	e := echoOrigin(b)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		x, err := e.Get(ctx, false)
		if err != nil {
			b.Fatal(err)
		}
		if err := roundTrip(x); err != nil {
			b.Fatal(err)
		}
		x.Release(true)
	}
}
