package frontend

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

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
