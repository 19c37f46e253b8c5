package frontend

import (
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A dribble writes a byte at a time.
type dribble struct{ net.Conn }

func (d dribble) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// However a handshake comes, in whatever pieces and beside how many others, it is
// gone on with: nothing of it, or of what comes behind it, is lost.
func TestAHandshakeInSingleBytes(t *testing.T) {
	f, h := listen(t, Config{})
	var clients sync.WaitGroup
	for _, proto := range []string{ProtoH2, ProtoHTTP1, ""} {
		for range 4 {
			raw := dial(t, f, "tls")
			clients.Go(func() {
				cfg := clientTLS(proto)
				if proto == "" {
					cfg.NextProtos = nil
				}
				c := tls.Client(dribble{raw}, cfg)
				if err := c.Handshake(); err != nil {
					t.Errorf("%q: %v", proto, err)
					return
				}
				c.Write([]byte("hello"))
				b := make([]byte, 5)
				for n := 0; n < len(b); {
					m, err := c.Read(b[n:])
					if n += m; err != nil {
						t.Errorf("%q: %v", proto, err)
						return
					}
				}
				if string(b) != "hello" {
					t.Errorf("%q: %q came back", proto, b)
				}
			})
		}
	}
	clients.Wait()
	for range 12 {
		h.next(t)
	}
	if len(h.refused) != 0 {
		t.Errorf("refused: %+v", h.refused)
	}
}

// hello is a ClientHello.
func hello(t *testing.T) string {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		defer server.Close()
		tls.Client(server, clientTLS("h2")).Handshake()
	}()
	b := make([]byte, 4<<10)
	n, err := client.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// Wherever a handshake stops, it ends, and is counted out with the reason.
func TestAHandshakeThatStopsEnds(t *testing.T) {
	whole := hello(t)
	for name, tc := range map[string]struct {
		sends  string
		end    func(f *Frontend, c *net.TCPConn)
		cfg    Config
		reason Reason
		says   string
	}{
		"the client leaves before":            {"", func(_ *Frontend, c *net.TCPConn) { c.Close() }, Config{}, ReasonClosed, "EOF"},
		"the client leaves in its hello":      {whole[:50], func(_ *Frontend, c *net.TCPConn) { c.Close() }, Config{}, ReasonHandshake, "EOF"},
		"the client leaves after its hello":   {whole, func(_ *Frontend, c *net.TCPConn) { c.CloseWrite() }, Config{}, ReasonClosed, "EOF"},
		"the client resets after its hello":   {whole, func(_ *Frontend, c *net.TCPConn) { c.SetLinger(0); c.Close() }, Config{}, ReasonHandshake, "reset"},
		"the client says nothing":             {"", nil, Config{Handshake: 30 * time.Millisecond}, ReasonHandshakeTimeout, "timeout"},
		"the client says nothing more":        {whole, nil, Config{Handshake: 30 * time.Millisecond}, ReasonHandshakeTimeout, "timeout"},
		"the frontend aborts before":          {"", func(f *Frontend, _ *net.TCPConn) { f.Abort() }, Config{}, ReasonAborted, "closed"},
		"the frontend aborts after a hello":   {whole, func(f *Frontend, _ *net.TCPConn) { f.Abort() }, Config{}, ReasonAborted, "closed"},
		"the client speaks something else":    {"SSH-2.0-OpenSSH_9.2\r\n", nil, Config{}, ReasonHandshake, "TLS"},
		"the client says what makes no sense": {whole[:60] + strings.Repeat("\xff", len(whole)-60), nil, Config{}, ReasonHandshake, "tls"},
	} {
		t.Run(name, func(t *testing.T) {
			f, h := listen(t, tc.cfg)
			c := dial(t, f, "tls").(*net.TCPConn)
			if tc.end != nil { // else its time may be up before anybody has looked
				waitOpen(t, f, 1)
			}
			c.Write([]byte(tc.sends))
			if len(tc.sends) == len(whole) && tc.end != nil { // it is answered first
				c.Read(make([]byte, 1))
			}
			if tc.end != nil {
				tc.end(f, c)
			}
			if r := h.lastRefusal(t); r.reason != tc.reason || !strings.Contains(r.err.Error(), tc.says) {
				t.Errorf("%s: %v, want %s, %q", r.reason, r.err, tc.reason, tc.says)
			}
			waitOpen(t, f, 0)
		})
	}
}
