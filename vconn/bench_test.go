package vconn_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// An opener makes one connected pair. For TCP it keeps a listener over all
// iterations, so that only the connection is measured.
type opener struct {
	name string
	open func(b *testing.B) func() (a, p net.Conn)
}

var openers = []opener{
	{"vconn", func(b *testing.B) func() (a, p net.Conn) { return openVirtual(b, nil) }},
	{"vconn-observed", func(b *testing.B) func() (a, p net.Conn) { return openVirtual(b, unmoved{}) }},
	{"pipe", func(*testing.B) func() (a, p net.Conn) { return net.Pipe }},
	{"tcp", func(b *testing.B) func() (a, p net.Conn) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { ln.Close() })
		return func() (net.Conn, net.Conn) {
			a, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			p, err := ln.Accept()
			if err != nil {
				b.Fatal(err)
			}
			return a, p
		}
	}},
}

func openVirtual(b *testing.B, o vconn.Observer) func() (a, p net.Conn) {
	var passive *vconn.Conn
	c := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) {
		c.SetObserver(o)
		passive = c
	}))
	return func() (net.Conn, net.Conn) {
		a, err := c.Open(vconn.Options{Identity: pitag.Identity{Tag: "h2", ID: 1}, Observer: o})
		if err != nil {
			b.Fatal(err)
		}
		return a, passive
	}
}

// unmoved is an Observer that does nothing, to see what telling it costs.
type unmoved struct{}

func (unmoved) Readable(*vconn.Conn, vconn.Later)        {}
func (unmoved) Consumed(*vconn.Conn, int)                {}
func (unmoved) PeerReset(*vconn.Conn, *vconn.ResetError) {}
func (unmoved) Closed(*vconn.Conn)                       {}

// BenchmarkRoundTrip sends a message to a goroutine that sends it back.
func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range []int{1, 256} {
		for _, o := range openers {
			b.Run(fmt.Sprintf("%dB/%s", size, o.name), func(b *testing.B) {
				a, p := o.open(b)()
				defer a.Close()
				go func() {
					defer p.Close()
					buf := make([]byte, size)
					for {
						if _, err := io.ReadFull(p, buf); err != nil {
							return
						}
						if _, err := p.Write(buf); err != nil {
							return
						}
					}
				}()
				buf := make([]byte, size)
				b.ReportAllocs()
				for b.Loop() {
					exchange(b, a, buf)
				}
			})
		}
	}
}

func exchange(b *testing.B, c net.Conn, buf []byte) {
	if _, err := c.Write(buf); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRoundTripTail is BenchmarkRoundTrip with the times of each round
// trip: nothing is retried after a delay, so there is no cliff.
func BenchmarkRoundTripTail(b *testing.B) {
	for _, o := range openers {
		b.Run(o.name, func(b *testing.B) {
			a, p := o.open(b)()
			defer a.Close()
			go func() {
				defer p.Close()
				io.Copy(p, p)
			}()
			buf := make([]byte, 256)
			times := make([]time.Duration, 0, 1<<20)
			for b.Loop() {
				start := time.Now()
				exchange(b, a, buf)
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			for name, q := range map[string]float64{"p50-ns": 0.5, "p99-ns": 0.99, "p99.9-ns": 0.999} {
				b.ReportMetric(float64(times[int(q*float64(len(times)-1))]), name)
			}
		})
	}
}

// BenchmarkTransaction opens a connection, exchanges 256 bytes for 256 with a
// goroutine that is started for it, and closes both ends.
func BenchmarkTransaction(b *testing.B) {
	for _, o := range openers {
		b.Run(o.name, func(b *testing.B) {
			open := o.open(b)
			buf, served := make([]byte, 256), make([]byte, 256)
			b.ReportAllocs()
			for b.Loop() {
				a, p := open()
				go serveOnce(p, served)
				exchange(b, a, buf)
				// EOF says that the other goroutine is done with served.
				if n, err := a.Read(buf); n != 0 || err != io.EOF {
					b.Fatalf("read %d, %v after the response, want EOF", n, err)
				}
				a.Close()
			}
		})
	}
}

// BenchmarkTransactionAtOnce is what a gateway does with a short request: the
// connection is opened with the request in it, the response is written with the
// end before Open returns, and read with the close.
func BenchmarkTransactionAtOnce(b *testing.B) {
	request, response := make([]byte, 256), make([]byte, 256)
	const atTheEnd = vconn.OnPeerClosed | vconn.OnPeerReset | vconn.OnClosed
	c := vconn.NewConnector(vconn.AcceptorFunc(func(p *vconn.Conn) {
		p.Observe(unmoved{}, atTheEnd)
		view, _ := p.Peek()
		p.Discard(len(view))
		p.TryWriteClose(response, nil)
	}))
	o := vconn.Options{
		Identity: pitag.Identity{Tag: "h2", ID: 1}, Observer: unmoved{}, Events: vconn.OnReadable | vconn.OnClosed,
		Head: request, Ended: true,
	}
	b.ReportAllocs()
	for b.Loop() {
		a, err := c.Open(o)
		if err != nil {
			b.Fatal(err)
		}
		view, err := a.Peek()
		if len(view) != len(response) || err != nil {
			b.Fatal(len(view), err)
		}
		a.CloseAfter(len(view))
	}
}

func serveOnce(c net.Conn, buf []byte) {
	if _, err := io.ReadFull(c, buf); err == nil {
		c.Write(buf)
	}
	c.Close()
}

// BenchmarkStream writes 32 KiB at a time to a goroutine that reads as much at
// a time.
func BenchmarkStream(b *testing.B) {
	const size = 32 << 10
	for _, o := range openers {
		b.Run(o.name, func(b *testing.B) {
			a, p := o.open(b)()
			done := make(chan struct{})
			go func() {
				defer close(done)
				buf := make([]byte, size)
				for {
					if _, err := p.Read(buf); err != nil {
						p.Close()
						return
					}
				}
			}()
			buf := make([]byte, size)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Write(buf); err != nil {
					b.Fatal(err)
				}
			}
			a.Close()
			<-done
		})
	}
}
