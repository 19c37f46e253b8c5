package frontend

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

func (r *recorder) ServeConn(c net.Conn, info *Info) {
	r.mu.Lock()
	r.served = append(r.served, info)
	r.mu.Unlock()
	r.changed <- struct{}{}
	io.Copy(c, c)
	c.Close()
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
	cfg.Listeners = []ListenerConfig{
		{Name: "tls", Addr: "127.0.0.1:0", TLS: TLSConfig(testCert)},
		{Name: "plain", Addr: "127.0.0.1:0"},
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

func TestALPNChoosesTheProtocol(t *testing.T) {
	f, h := listen(t, Config{})
	for _, tc := range []struct {
		offer []string
		want  string
	}{
		{[]string{"h2", "http/1.1"}, ProtoH2},
		{[]string{"http/1.1", "h2"}, ProtoH2},
		{[]string{"http/1.1"}, ProtoHTTP1},
		{nil, ProtoHTTP1},
	} {
		raw := dial(t, f, "tls")
		c := tls.Client(raw, clientTLS(tc.offer...))
		echo(t, c, "hello over TLS")
		info := h.lastServed(t)
		if info.Protocol != tc.want || info.TLS == nil || info.TLS.Version != tls.VersionTLS13 || info.Listener != "tls" {
			t.Errorf("offer %v: got %+v, want protocol %q", tc.offer, info, tc.want)
		}
		if want := raw.LocalAddr().String(); info.Client.String() != want {
			t.Errorf("client is %v, want %v", info.Client, want)
		}
		if want := raw.RemoteAddr().String(); info.Local.String() != want {
			t.Errorf("local is %v, want %v", info.Local, want)
		}
		c.Close()
	}
}

func TestASessionIsResumedWithATicket(t *testing.T) {
	f, h := listen(t, Config{})
	cfg := clientTLS("h2")
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i := range 2 {
		c := tls.Client(dial(t, f, "tls"), cfg)
		echo(t, c, "x") // reading takes the ticket in
		if got := h.lastServed(t).TLS.DidResume; got != (i == 1) {
			t.Errorf("connection %d: resumed is %v", i, got)
		}
		c.Close()
	}
}

// RFC 9113, 9.2.2: over TLS 1.2 only ephemeral AEAD suites; older versions
// never.
func TestProhibitedTLSIsRefused(t *testing.T) {
	f, h := listen(t, Config{})
	for _, tc := range []struct {
		name   string
		change func(*tls.Config)
		ok     bool
	}{
		{"TLS 1.3", func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, true},
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true},
		{"TLS 1.1", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false},
		{"CBC suite", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}, false},
		{"ECDHE AEAD suite", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		}, true},
		{"unknown ALPN only", func(c *tls.Config) { c.NextProtos = []string{"spdy/3"} }, false},
	} {
		cfg := clientTLS("h2", "http/1.1")
		tc.change(cfg)
		c := tls.Client(dial(t, f, "tls"), cfg)
		err := c.Handshake()
		if (err == nil) != tc.ok {
			t.Errorf("%s: handshake: %v, want success %v", tc.name, err, tc.ok)
		}
		if tc.ok {
			h.lastServed(t)
		} else if r := h.lastRefusal(t); r.reason != ReasonHandshake || r.info.TLS != nil || !r.info.Tried || r.info.Protocol != "" {
			t.Errorf("%s: refused with %+v %+v", tc.name, r, r.info)
		}
		c.Close()
	}
}

func TestPlainPortTellsTheProtocolsApart(t *testing.T) {
	f, h := listen(t, Config{})
	for _, tc := range []struct {
		name, send, want string
	}{
		{"HTTP/1.1 request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", ProtoHTTP1},
		{"a single letter", "G", ProtoHTTP1},
		{"a method that begins as the preface does", "PROPFIND / HTTP/1.1\r\n", ProtoHTTP1},
		{"an empty line first", "\r\nGET / HTTP/1.1\r\n", ProtoHTTP1},
		{"PRI, but of HTTP/1.1", "PRI * HTTP/1.1\r\n\r\n", ProtoHTTP1},
		{"preface", preface, ProtoH2C},
		{"preface with frames behind it", preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00", ProtoH2C},
		{"preface and more than one read", preface + strings.Repeat("x", 3*sniffSize), ProtoH2C},
	} {
		c := dial(t, f, "plain")
		echo(t, c, tc.send)
		if info := h.lastServed(t); info.Protocol != tc.want || info.TLS != nil || info.Listener != "plain" {
			t.Errorf("%s: got %+v, want %q", tc.name, info, tc.want)
		}
		echo(t, c, "and what follows")
		c.Close()
	}
}

func TestPrefaceInSingleBytesIsFound(t *testing.T) {
	f, h := listen(t, Config{})
	c := dial(t, f, "plain")
	for i := range len(preface) {
		if _, err := io.WriteString(c, preface[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if info := h.lastServed(t); info.Protocol != ProtoH2C {
		t.Errorf("got %q", info.Protocol)
	}
	wantBytes(t, c, preface)
}

func TestGarbageClosesTheConnection(t *testing.T) {
	f, h := listen(t, Config{})
	for _, tc := range []struct {
		listener, send string
		reason         Reason
		detail         string
	}{
		{"plain", "\x16\x03\x01\x02\x00\x01", ReasonGarbage, "speaks TLS on a cleartext listener"},
		{"plain", "\x00\x00\x00\x00", ReasonGarbage, "neither HTTP/1.1 nor the HTTP/2 preface"},
		{"plain", " GET / HTTP/1.1\r\n", ReasonGarbage, "neither"},
		{"tls", "\x00\x01\x02\x03\x04\x05\x06\x07", ReasonHandshake, "does not look like a TLS handshake"},
		{"tls", strings.Repeat("\xff", 4096), ReasonHandshake, ""},
	} {
		c := dial(t, f, tc.listener)
		if _, err := io.WriteString(c, tc.send); err != nil {
			t.Fatal(err)
		}
		r := h.lastRefusal(t)
		if r.reason != tc.reason || !strings.Contains(fmt.Sprint(r.err), tc.detail) || r.info.Protocol != "" {
			t.Errorf("%s %q: got %s: %v", tc.listener, tc.send, r.reason, r.err)
		}
		io.Copy(io.Discard, c) // an alert may come before the end
	}
}

func TestPlainHTTPOnTheTLSPortIsAnsweredInHTTP(t *testing.T) {
	f, h := listen(t, Config{})
	c := dial(t, f, "tls")
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	answer, err := io.ReadAll(c)
	head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	if err != nil || !strings.HasPrefix(head, "HTTP/1.1 400 ") || !strings.Contains(body, "https://") ||
		!strings.Contains(head, fmt.Sprintf("Content-Length: %d\r\n", len(body))) {
		t.Errorf("got %q, %v", answer, err)
	}
	if r := h.lastRefusal(t); r.reason != ReasonHandshake || !strings.Contains(r.err.Error(), "plain HTTP on a TLS listener") {
		t.Errorf("got %s: %v", r.reason, r.err)
	}
}

func TestAClientThatSaysNothingIsNotAnError(t *testing.T) {
	f, h := listen(t, Config{})
	for _, listener := range []string{"plain", "tls"} {
		dial(t, f, listener).Close()
		if r := h.lastRefusal(t); r.reason != ReasonClosed {
			t.Errorf("%s: got %s: %v", listener, r.reason, r.err)
		}
	}
	c := dial(t, f, "plain")
	io.WriteString(c, preface[:10])
	c.Close()
	if r := h.lastRefusal(t); r.reason != ReasonGarbage || !strings.Contains(r.err.Error(), "10 bytes") {
		t.Errorf("half a preface: got %s: %v", r.reason, r.err)
	}
}

func TestLimitOfAllConnections(t *testing.T) {
	f, h := listen(t, Config{MaxSessions: 2})
	first := dial(t, f, "plain")
	echo(t, first, "GET 1")
	h.next(t)
	c := dial(t, f, "plain")
	echo(t, c, "GET 2")
	h.next(t)
	wantRefused(t, f)
	if r := h.lastRefusal(t); r.reason != ReasonLimit || !strings.Contains(r.err.Error(), "limits.sessions)") {
		t.Errorf("got %s: %v", r.reason, r.err)
	}
	// One that leaves makes room for one.
	first.Close()
	waitOpen(t, f, 1)
	echo(t, dial(t, f, "plain"), "GET 3")
}

func TestLimitOfOneClientsConnections(t *testing.T) {
	f, h := listen(t, Config{MaxPerClient: 1})
	echo(t, dial(t, f, "plain"), "GET 1")
	h.next(t)
	wantRefused(t, f)
	if r := h.lastRefusal(t); r.reason != ReasonLimit || !strings.Contains(r.err.Error(), "127.0.0.1") {
		t.Errorf("got %s: %v", r.reason, r.err)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	other, err := d.Dial("tcp", f.Addr("plain").String())
	if err != nil {
		t.Skip("no second loopback address:", err)
	}
	defer other.Close()
	echo(t, other, "GET from another address")
}

func waitOpen(t *testing.T, f *Frontend, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); f.Open() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections open, want %d", f.Open(), n)
		}
	}
}

func TestClientsAreToldApartByAddressOrIPv6Network(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		a, b := clientKey(netip.MustParseAddr(tc.a)), clientKey(netip.MustParseAddr(tc.b))
		if (a == b) != tc.same {
			t.Errorf("%s and %s: keys %v and %v, want same=%v", tc.a, tc.b, a, b, tc.same)
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

func TestASilentClientIsClosedAtTheTimeout(t *testing.T) {
	for _, tc := range []struct {
		name   string
		tls    *tls.Config
		send   string
		after  time.Duration
		reason Reason
	}{
		{"cleartext, no byte", nil, "", 3 * time.Second, ReasonPrefaceTimeout},
		{"cleartext, half a preface", nil, preface[:12], 3 * time.Second, ReasonPrefaceTimeout},
		{"TLS, no byte", TLSConfig(testCert), "", 2 * time.Second, ReasonHandshakeTimeout},
		{"TLS, half a record", TLSConfig(testCert), "\x16\x03\x01\x01\x00\x01", 2 * time.Second, ReasonHandshakeTimeout},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, h, ln := bubble(Config{Handshake: 2 * time.Second, Preface: 3 * time.Second}, tc.tls)
				client, server := net.Pipe()
				start := time.Now()
				ln.ch <- server
				io.WriteString(client, tc.send)
				go io.Copy(io.Discard, client)
				<-h.changed
				if r := h.refused[0]; r.reason != tc.reason || time.Since(start) != tc.after {
					t.Errorf("refused for %s (%v) after %v, want %s after %v", r.reason, r.err, time.Since(start), tc.reason, tc.after)
				}
				client.Close()
				f.Close()
				f.Wait(t.Context())
			})
		})
	}
}

// The preface timeout must not cut a connection that is being served.
func TestTheDeadlineIsGoneOnceServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, h, ln := bubble(Config{Preface: time.Second}, nil)
		client, server := net.Pipe()
		ln.ch <- server
		go io.WriteString(client, "GET")
		wantBytes(t, client, "GET")
		<-h.changed
		time.Sleep(time.Hour)
		go io.WriteString(client, "more")
		wantBytes(t, client, "more")
		client.Close()
		f.Close()
		f.Wait(t.Context())
	})
}

func TestAFailingAcceptIsRetriedWithPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []error
		f, h, ln := bubble(Config{OnAcceptError: func(_ string, err error) { told = append(told, err) }}, nil)
		start := time.Now()
		for range 10 {
			ln.ch <- errors.New("too many open files")
		}
		// 5, 10, 20, … 640 ms, then 1 s twice.
		synctest.Wait()
		client, server := net.Pipe()
		ln.ch <- server
		if got := time.Since(start); got != 1275*time.Millisecond+2*time.Second {
			t.Errorf("ten failures took %v", got)
		}
		if len(told) != 1 {
			t.Errorf("told of %d failures, want one call", len(told))
		}
		go io.WriteString(client, "GET")
		wantBytes(t, client, "GET")
		<-h.changed
		ln.ch <- errors.New("again")
		time.Sleep(tellEvery)
		if len(told) != 1 {
			t.Errorf("told too often: %v", told)
		}
		ln.ch <- errors.New("later")
		synctest.Wait()
		if len(told) != 2 {
			t.Errorf("a later failure was not told: %v", told)
		}
		client.Close()
		f.Close() // interrupts the pause
		f.Wait(t.Context())
	})
}

func TestCloseLetsConnectionsGoOnAndAbortEndsThem(t *testing.T) {
	f, h := listen(t, Config{})
	served, quiet := dial(t, f, "plain"), dial(t, f, "tls")
	echo(t, served, "GET")
	h.next(t)
	waitOpen(t, f, 2)
	f.Close()
	if _, err := net.DialTimeout("tcp", f.Addr("plain").String(), time.Second); err == nil {
		t.Error("a closed frontend accepts")
	}
	echo(t, served, "still here")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait: %v while two connections are open", err)
	}
	f.Abort()
	wantClosed(t, served)
	wantClosed(t, quiet)
	if err := f.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if r := h.lastRefusal(t); r.reason != ReasonAborted {
		t.Errorf("the one in its handshake: %s: %v", r.reason, r.err)
	}
}

func TestCloseLeavesSilentConnectionsASecond(t *testing.T) {
	for _, conf := range []*tls.Config{nil, TLSConfig(testCert)} {
		synctest.Test(t, func(t *testing.T) {
			f, h, ln := bubble(Config{Handshake: time.Hour, Preface: time.Hour}, conf)
			client, server := net.Pipe()
			ln.ch <- server
			go io.Copy(io.Discard, client)
			synctest.Wait()
			start := time.Now()
			f.Close()
			<-h.changed
			if time.Since(start) != time.Second {
				t.Errorf("the silent connection was closed after %v", time.Since(start))
			}
			client.Close()
			f.Wait(t.Context())
		})
	}
}

func TestAPanicInTheHandshakeCostsOneConnection(t *testing.T) {
	cfg := TLSConfig()
	cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("bad callback") }
	f, err := Listen(Config{Listeners: []ListenerConfig{{Name: "tls", Addr: "127.0.0.1:0", TLS: cfg}}})
	if err != nil {
		t.Fatal(err)
	}
	h := newRecorder()
	f.Serve(h)
	c := tls.Client(dial(t, f, "tls"), clientTLS("h2"))
	if err := c.Handshake(); err == nil {
		t.Error("handshake succeeded")
	}
	if r := h.lastRefusal(t); r.reason != ReasonPanic || !strings.Contains(r.err.Error(), "bad callback") {
		t.Errorf("got %s: %v", r.reason, r.err)
	}
	f.Close()
	f.Wait(t.Context())
}

func TestListenSaysWhatIsWrongAndLeavesNothingOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tc := range []struct{ addr, want string }{
		{taken.Addr().String(), "the address is in use"},
		{"127.0.0.1", "missing port in address: use host:port, such as 127.0.0.1:8443"},
		{"127.0.0.1:99999", "invalid port: use host:port"},
		{"127.0.0.1:http-unknown", "the name or port is not known"},
		{"192.0.2.1:0", "not one of this machine"},
		{"no-such-host.invalid:443", "no-such-host.invalid"},
	} {
		f, err := Listen(Config{Listeners: []ListenerConfig{{Name: "ok", Addr: "127.0.0.1:0"}, {Name: "bad", Addr: tc.addr}}})
		if err == nil {
			f.Close()
			t.Errorf("%s: no error", tc.addr)
			continue
		}
		if !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), tc.addr) || !strings.Contains(err.Error(), "listener bad") {
			t.Errorf("%s: %v\nwant it to say %q", tc.addr, err, tc.want)
		}
	}
	if _, err := Listen(Config{}); err == nil {
		t.Error("no listeners: no error")
	}
}

func TestManyConnectionsAtOnce(t *testing.T) {
	f, _ := listen(t, Config{})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			raw, err := net.Dial("tcp", f.Addr("tls").String())
			if err != nil {
				t.Error(err)
				return
			}
			c := tls.Client(raw, clientTLS("h2"))
			defer c.Close()
			fmt.Fprintf(c, "ping\n")
			if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "ping\n" {
				t.Errorf("got %q, %v", line, err)
			}
		})
	}
	wg.Wait()
	waitOpen(t, f, 0)
}

func FuzzClassify(f *testing.F) {
	for _, s := range []string{"", "G", "PRI", preface, "PRI * HTTP/1.1", "\x16\x03", "\r\n", " "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		proto, known := classify(b)
		// Every further byte must leave a verdict as it is.
		for _, next := range []byte{'x', 'P', 0} {
			p2, k2 := classify(append(b[:len(b):len(b)], next))
			if known && (!k2 || p2 != proto) {
				t.Fatalf("%q is %q, with one byte more %q (known %v)", b, proto, p2, k2)
			}
		}
		if !known && len(b) >= len(preface) {
			t.Fatalf("%q: still not known", b)
		}
		if (proto == ProtoH2C) && known && !strings.HasPrefix(string(b), preface) {
			t.Fatalf("%q taken for HTTP/2", b)
		}
	})
}
