package vconn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/h2gw/h2gw/vconn"
)

// The cases are those of Apache Traffic Server's own test of its network
// connections, in bytes and terminal events per side. A virtual connection, TCP
// and TLS (over TCP and over a virtual connection) must all give the same.

// A party is what one side does, and what it must see.
type party struct {
	send, chunk int // writes send bytes, chunk at a time
	recv        int // reads recv bytes, or to the end if that is sooner
	// giveUp: once recv bytes are read, stop reading for good.
	giveUp bool
	// close: close once all is sent and read, not when the other has finished.
	close bool
	// awaitGiveUp: after the first chunk, send no more until the other side
	// has given up.
	awaitGiveUp bool
	// readLimit, writeLimit: deadlines, set once readAfter bytes are read, or
	// at the start.
	readLimit, writeLimit time.Duration
	readAfter             int

	wantRead            int
	readEnd, writeEnd   string // done, eof, timeout, error
	mayEndReadingByTime bool   // eof or timeout
}

var conformance = []struct {
	name string
	// tight: the smallest buffers TCP has, so that it too is full soon.
	tight bool
	a, b  party
}{
	{name: "basic",
		a: party{send: 2000, recv: 2000, chunk: 50, wantRead: 2000, readEnd: "done", writeEnd: "done"},
		b: party{send: 2000, recv: 2000, chunk: 50, wantRead: 2000, readEnd: "done", writeEnd: "done"}},
	{name: "basic2",
		a: party{send: 10001, recv: 5001, chunk: 1024, wantRead: 5001, readEnd: "done", writeEnd: "done"},
		b: party{send: 5001, recv: 10001, chunk: 1024, wantRead: 10001, readEnd: "done", writeEnd: "done"}},
	{name: "large",
		a: party{send: 1000000, recv: 500000, chunk: 8192, wantRead: 500000, readEnd: "done", writeEnd: "done"},
		b: party{send: 500000, recv: 1000000, chunk: 8192, wantRead: 1000000, readEnd: "done", writeEnd: "done"}},
	{name: "larget",
		a: party{send: 1000000, recv: 500000, chunk: 40000, wantRead: 500000, readEnd: "done", writeEnd: "done"},
		b: party{send: 500000, recv: 1000000, chunk: 40000, wantRead: 1000000, readEnd: "done", writeEnd: "done"}},
	{name: "eos",
		a: party{send: 4000, recv: 10, chunk: 1000, close: true, wantRead: 10, readEnd: "done", writeEnd: "done"},
		b: party{send: 10, recv: 6000, chunk: 10, wantRead: 4000, readEnd: "eof", writeEnd: "done"}},
	{name: "werr",
		a: party{send: 4000, chunk: 129, awaitGiveUp: true, readEnd: "done", writeEnd: "error"},
		b: party{recv: 10, giveUp: true, wantRead: 10, readEnd: "done", writeEnd: "done"}},
	{name: "itimeout",
		a: party{send: 6000, chunk: 1000, recv: 1, readLimit: 100 * time.Millisecond, readEnd: "timeout", writeEnd: "done"},
		b: party{recv: 8000, readLimit: 50 * time.Millisecond, readAfter: 6000, wantRead: 6000, readEnd: "timeout",
			mayEndReadingByTime: true, writeEnd: "done"}},
	{name: "smallt",
		a: party{send: 700, recv: 500, chunk: 1, wantRead: 500, readEnd: "done", writeEnd: "done"},
		b: party{send: 500, recv: 700, chunk: 1, wantRead: 700, readEnd: "done", writeEnd: "done"}},
	{name: "overflow", tight: true,
		a: party{send: 1000000, chunk: 1, writeLimit: 300 * time.Millisecond, readEnd: "done", writeEnd: "timeout"},
		b: party{readEnd: "done", writeEnd: "done"}},
}

func TestConformance(t *testing.T) {
	for _, tr := range transports(t) {
		for _, tc := range conformance {
			t.Run(tc.name+"/"+tr.name, func(t *testing.T) {
				t.Parallel()
				a, b := tr.connect(t, tc.tight)
				var wg, ready sync.WaitGroup
				gaveUp := make(chan struct{})
				ready.Add(2)
				run := func(who string, c net.Conn, p party) {
					wg.Go(func() {
						p.run(t, who, c, gaveUp)
						ready.Done()
						if !p.close {
							ready.Wait() // nobody is cut off by the other's end
						}
						c.Close()
					})
				}
				run("A", a, tc.a)
				run("B", b, tc.b)
				wg.Wait()
			})
		}
	}
}

// run plays the party and checks what it saw.
func (p party) run(t *testing.T, who string, c net.Conn, gaveUp chan struct{}) {
	var sending sync.WaitGroup
	var sent int
	var writeErr error
	if p.writeLimit > 0 {
		c.SetWriteDeadline(time.Now().Add(p.writeLimit))
	}
	sending.Go(func() {
		for sent < p.send && writeErr == nil {
			var n int
			n, writeErr = c.Write(pattern(sent, min(p.chunk, p.send-sent)))
			sent += n
			if p.awaitGiveUp && sent == p.chunk {
				<-gaveUp
			}
		}
	})
	read, readErr := p.read(t, who, c)
	if p.giveUp {
		stopReading(c)
		close(gaveUp)
	}
	sending.Wait()
	if got := ending(writeErr); got != p.writeEnd {
		t.Errorf("%s: writing ended %q (%v) after %d bytes, want %q", who, got, writeErr, sent, p.writeEnd)
	}
	if p.writeEnd != "done" && sent >= p.send {
		t.Errorf("%s: all %d bytes were taken", who, sent)
	}
	end := ending(readErr)
	if read != p.wantRead || (end != p.readEnd && !(p.mayEndReadingByTime && end == "eof")) {
		t.Errorf("%s: reading ended %q (%v) after %d bytes, want %q after %d", who, end, readErr, read, p.readEnd, p.wantRead)
	}
}

func (p party) read(t *testing.T, who string, c net.Conn) (read int, err error) {
	buf := make([]byte, 4096)
	limited := false
	for read < p.recv {
		if !limited && p.readLimit > 0 && read >= p.readAfter {
			c.SetReadDeadline(time.Now().Add(p.readLimit))
			limited = true
		}
		var n int
		n, err = c.Read(buf[:min(len(buf), p.recv-read)])
		if string(buf[:n]) != string(pattern(read, n)) {
			t.Errorf("%s: wrong bytes after %d", who, read)
		}
		read += n
		if err != nil {
			return read, err
		}
	}
	return read, nil
}

// stopReading closes the read side where that fails the peer's writes. On TCP
// only closing the connection does.
func stopReading(c net.Conn) {
	if v, ok := c.(*vconn.Conn); ok {
		v.CloseRead()
		return
	}
	c.Close()
}

func ending(err error) string {
	switch {
	case err == nil:
		return "done"
	case err == io.EOF:
		return "eof"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	}
	return "error"
}

// pattern returns n bytes of an endless text whose every position differs from
// its neighbours a chunk away.
func pattern(at, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((at + i) % 251)
	}
	return b
}

type transport struct {
	name    string
	connect func(t *testing.T, tight bool) (a, b net.Conn)
}

func transports(t *testing.T) []transport {
	config := selfSigned(t)
	overTLS := func(a, b net.Conn) (net.Conn, net.Conn) {
		client, server := tls.Client(a, &tls.Config{InsecureSkipVerify: true}), tls.Server(b, config)
		// Now, because a side that never reads would never shake hands.
		var both sync.WaitGroup
		for _, c := range []*tls.Conn{client, server} {
			both.Go(func() {
				if err := c.Handshake(); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		return client, server
	}
	virtual := func(t *testing.T, _ bool) (net.Conn, net.Conn) {
		a, p := open(t, vconn.Options{})
		return a, p
	}
	return []transport{
		{"tcp", dialTCP},
		{"tls", func(t *testing.T, tight bool) (net.Conn, net.Conn) { return overTLS(dialTCP(t, tight)) }},
		{"vconn", virtual},
		{"tls over vconn", func(t *testing.T, tight bool) (net.Conn, net.Conn) { return overTLS(virtual(t, tight)) }},
	}
}

func dialTCP(t *testing.T, tight bool) (a, b net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	if tight {
		a.(*net.TCPConn).SetWriteBuffer(1)
		b.(*net.TCPConn).SetReadBuffer(1)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func selfSigned(t *testing.T) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
