package frontend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m)) }

// A recorder is a Handler that echoes what it is sent and remembers all it was
// told.
type recorder struct {
	mu      sync.Mutex
	served  []*Info
	refused []refusal
	changed chan struct{} // one value per call
}

type refusal struct {
	info   *Info
	reason Reason
	err    error
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{}, 10000)} }

func (r *recorder) ServeConn(c net.Conn, info *Info, done func()) {
	r.mu.Lock()
	r.served = append(r.served, info)
	r.mu.Unlock()
	r.changed <- struct{}{}
	go func() { // ServeConn must not wait
		defer done()
		io.Copy(c, c)
		c.Close()
	}()
}

func (r *recorder) Refused(info *Info, reason Reason, err error) {
	r.mu.Lock()
	r.refused = append(r.refused, refusal{info, reason, err})
	r.mu.Unlock()
	r.changed <- struct{}{}
}

// next waits for one more call.
func (r *recorder) next(t *testing.T) {
	t.Helper()
	select {
	case <-r.changed:
	case <-time.After(10 * time.Second):
		t.Fatal("the handler was not called")
	}
}

func (r *recorder) lastRefusal(t *testing.T) refusal {
	t.Helper()
	r.next(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.refused) == 0 {
		t.Fatalf("served as %q instead of refused", r.served[len(r.served)-1].Protocol)
	}
	return r.refused[len(r.refused)-1]
}

func (r *recorder) lastServed(t *testing.T) *Info {
	t.Helper()
	r.next(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.served) == 0 {
		t.Fatalf("refused (%s: %v) instead of served", r.refused[0].reason, r.refused[0].err)
	}
	return r.served[len(r.served)-1]
}

var testCert = func() tls.Certificate {
	c, err := SelfSigned(time.Now())
	if err != nil {
		panic(err)
	}
	return c
}()

func clientTLS(alpn ...string) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(testCert.Leaf)
	return &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: alpn}
}

// listen starts a frontend on loopback sockets, one listener of each kind.
func listen(t *testing.T, cfg Config) (*Frontend, *recorder) {
	t.Helper()
	return listenAt(t, cfg, "127.0.0.1:0")
}

// listenAt is listen, at an address for cleartext.
func listenAt(t *testing.T, cfg Config, plain string) (*Frontend, *recorder) {
	t.Helper()
	cfg.Listeners = []ListenerConfig{
		{Name: "tls", Addr: "127.0.0.1:0", TLS: TLSConfig(testCert)},
		{Name: "plain", Addr: plain},
	}
	f, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := newRecorder()
	f.Serve(h)
	t.Cleanup(func() {
		f.Close()
		f.Abort()
		if err := f.Wait(context.Background()); err != nil {
			t.Error(err)
		}
		if n := f.Open(); n != 0 {
			t.Errorf("%d connections are still counted at the end", n)
		}
	})
	return f, h
}

func dial(t *testing.T, f *Frontend, listener string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", f.Addr(listener).String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// echo sends s and expects it back: nothing was lost on the way in.
func echo(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, c, s)
}

func wantBytes(t *testing.T, r io.Reader, s string) {
	t.Helper()
	got := make([]byte, len(s))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != s {
		t.Fatalf("read %q (%v), want %q", got, err, s)
	}
}

func wantClosed(t *testing.T, c net.Conn) {
	t.Helper()
	var one [1]byte
	if n, err := c.Read(one[:]); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the connection is still open: read %q, %v", one[:n], err)
	}
}

// wantRefused connects and expects to be reset, which may come so early that
// already connecting fails.
func wantRefused(t *testing.T, f *Frontend) {
	t.Helper()
	if c, err := net.Dial("tcp", f.Addr("plain").String()); err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		wantClosed(t, c)
	}
}

func waitOpen(t *testing.T, f *Frontend, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); f.Open() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections open, want %d", f.Open(), n)
		}
	}
}

// pipeListener accepts the connections it is given, and fails as told.
type pipeListener struct {
	ch   chan any // net.Conn or error
	done chan struct{}
	once sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{ch: make(chan any), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case v := <-l.ch:
		if err, ok := v.(error); ok {
			return nil, err
		}
		return v.(net.Conn), nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// bubble runs a frontend on an in-memory listener; call it in a synctest
// bubble.
func bubble(cfg Config, tlsConf *tls.Config) (*Frontend, *recorder, *pipeListener) {
	cfg.Listeners = []ListenerConfig{{Name: "mem", TLS: tlsConf}}
	f := newFrontend(cfg)
	ln := newPipeListener()
	f.listeners = []net.Listener{ln}
	h := newRecorder()
	f.Serve(h)
	return f, h, ln
}
