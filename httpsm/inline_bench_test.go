package httpsm

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// A canned exchange has its answer at once, and costs nothing.
type canned struct {
	response, in []byte
	resumer      origin.Resumer
}

func (c *canned) Write(p []byte) (int, error)      { c.in = nil; return len(p), nil }
func (c *canned) TryWrite(p []byte) (int, error)   { return len(p), nil }
func (c *canned) Buffered() []byte                 { return c.in }
func (c *canned) Fill() error                      { c.in = c.response; return nil }
func (c *canned) Discard(n int)                    { c.in = c.in[n:] }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }
func (c *canned) Abort()                           {}
func (c *canned) Release(bool)                     {}
func (c *canned) Info() origin.Info                { return origin.Info{ConnID: 7, Reused: true} }
func (c *canned) NetConn() net.Conn                { return nil }
func (c *canned) Await(r origin.Resumer) bool      { c.resumer = r; return true }

// smallWords are what a session knows of smallRequest.
var smallWords = vconn.Request{Method: "GET", Host: "127.0.0.1:8443", Path: "/", UserAgent: "h2load nghttp2/1.59.0"}

// BenchmarkTransaction is a small GET from the opening of its virtual connection
// to its record, with all there is but an origin and a client: inline, and on
// the crew, where a hook has it run.
func BenchmarkTransaction(b *testing.B) {
	for _, mode := range []string{"inline", "crew"} {
		b.Run(mode, func(b *testing.B) {
			g, err := origin.NewGroup(origin.Config{Endpoints: []origin.EndpointConfig{{Addr: "127.0.0.1:80"}}})
			if err != nil {
				b.Fatal(err)
			}
			records := make(chan struct{}, 1)
			cfg := Config{Origins: g, OnRecord: func(*Record) {}}
			if mode == "crew" {
				cfg.Hooks = new(Hooks)
				cfg.Hooks.On(ReadRequestHead, func(*Txn) Verdict { return Continue })
				cfg.OnRecord = func(*Record) { records <- struct{}{} }
			}
			m := New(cfg)
			defer m.literal.Close()
			defer m.dismiss()
			x := &canned{response: []byte(nginxResponse + string(make([]byte, 100)))}
			m.begin = func(*Txn) origin.Awaitable { return x }
			request := []byte(smallRequest)
			s := &pitag.Session{Identity: pitag.Identity{Tag: pitag.TagH2, ID: 1}, Client: clientAddr, Start: time.Now()}
			connector := vconn.NewConnector(m).For(s)
			b.ReportAllocs()
			for b.Loop() {
				c, err := connector.Open(vconn.Options{Identity: s.Identity, Stream: 1, Txn: 1, Head: request, Ended: true, Request: smallWords})
				if err != nil {
					b.Fatal(err)
				}
				if mode == "inline" {
					x.in = x.response
					x.resumer.Resume(nil)
					p, err := c.Peek()
					if len(p) < 200 || err != nil {
						b.Fatalf("%q, %v", p, err)
					}
					c.CloseAfter(len(p))
					continue
				}
				c.CloseWrite()
				var buf [1024]byte
				for err == nil {
					_, err = c.Read(buf[:])
				}
				c.Close()
				<-records
			}
		})
	}
}

// BenchmarkManyAtOnce is BenchmarkTransaction inline with as many transactions
// awaiting their origin as a busy gateway has: what each looks at has been pushed
// out of the nearer caches by the others. With "far" it has been by what the
// kernel and other processes do meanwhile, too, as it is in earnest; the time that
// takes is in the result.
func BenchmarkManyAtOnce(b *testing.B) {
	for _, many := range []int{1, 32, 512, 1000} {
		b.Run(fmt.Sprint(many), func(b *testing.B) { manyAtOnce(b, many, func() {}) })
	}
	var elsewhere [32 << 20]byte
	at, sum := 0, 0
	for i := range elsewhere {
		elsewhere[i] = 1 // so that it is memory
	}
	b.Run("1000/far", func(b *testing.B) {
		manyAtOnce(b, 1000, func() {
			for end := at + 16<<10; at < end; at += 64 {
				sum += int(elsewhere[at])
			}
			at %= len(elsewhere)
		})
	})
}

func manyAtOnce(b *testing.B, many int, meanwhile func()) {
	g, err := origin.NewGroup(origin.Config{Endpoints: []origin.EndpointConfig{{Addr: "127.0.0.1:80"}}})
	if err != nil {
		b.Fatal(err)
	}
	m := New(Config{Origins: g, OnRecord: func(*Record) {}})
	defer m.literal.Close()
	exchanges, conns := make([]canned, many), make([]*vconn.Conn, many)
	next := 0
	m.begin = func(*Txn) origin.Awaitable { return &exchanges[next] }
	response, request := []byte(nginxResponse+string(make([]byte, 100))), []byte(smallRequest)
	s := &pitag.Session{Identity: pitag.Identity{Tag: pitag.TagH2, ID: 1}, Client: clientAddr, Start: time.Now()}
	connector := vconn.NewConnector(m).For(s)
	open := func() {
		c, err := connector.Open(vconn.Options{Identity: s.Identity, Stream: 1, Txn: 1, Head: request, Ended: true, Request: smallWords})
		if err != nil {
			b.Fatal(err)
		}
		conns[next] = c
	}
	end := func() {
		exchanges[next].in = response
		exchanges[next].resumer.Resume(nil)
		p, err := conns[next].Peek()
		if len(p) < 200 || err != nil {
			b.Fatalf("%q, %v", p, err)
		}
		conns[next].CloseAfter(len(p))
	}
	for next = range many {
		open()
	}
	next = 0
	b.ReportAllocs()
	for b.Loop() {
		end()
		meanwhile()
		open()
		next = (next + 1) % many
	}
	for next = range many {
		end()
	}
}
