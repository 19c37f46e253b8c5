package h2session

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// connectWS are the fields of an extended CONNECT, as RFC 8441 section 5.1 has it.
func connectWS(extra ...string) []string {
	return append([]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "example.com", ":path", "/chat"}, extra...)
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\n"

// tunnelling is a handler that switches protocols and then runs play.
func tunnelling(play func(c *vconn.Conn)) handler {
	return func(_ *http.Request, c *vconn.Conn) {
		io.WriteString(c, switching)
		play(c)
	}
}

func echoTunnel(c *vconn.Conn) {
	io.Copy(c, c)
	c.CloseWrite()
}

func TestAnExtendedConnectIsAnUpgrade(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, tunnelling(echoTunnel))
		cl.Handshake()
		cl.Headers(1, false, connectWS("sec-websocket-version", "13", "sec-websocket-protocol", "chat", "sec-websocket-key", "mine", "cookie", "a=b")...)
		f := cl.WantHeaders(1, false)
		if got := []string{f.Get(":status"), f.Get("sec-websocket-protocol"), f.Get("sec-websocket-accept"), f.Get("upgrade"), f.Get("connection")}; strings.Join(got, "|") != "200|chat|||" {
			t.Errorf("answer %q", got)
		}
		head, rest, _ := strings.Cut(cl.request(0), "Sec-WebSocket-Key: ")
		const want = "GET /chat HTTP/1.1\r\nHost: example.com\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: chat\r\n" +
			"cookie: a=b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		if head != want || len(rest) != 28 || !strings.HasSuffix(rest, "\r\n\r\n") {
			t.Errorf("the transaction got %q%q", head, rest)
		}
		if nonce, err := base64.StdEncoding.DecodeString(rest[:24]); len(nonce) != 16 || err != nil {
			t.Errorf("key %q", rest[:24])
		}
		cl.Data(1, false, "hello")
		if got := cl.WantData(1, false); string(got) != "hello" {
			t.Errorf("got %q", got)
		}
		cl.Data(1, true, "")
		if got := cl.WantData(1, true); len(got) != 0 {
			t.Errorf("got %q", got)
		}
		cl.WantIdle()
		if r := cl.end(); r.Cause != pitag.CauseClientClosed || r.ResetsIn+r.ResetsOut != 0 {
			t.Errorf("record %+v", r)
		}
	})
}

func TestTheKeysOfTwoTunnelsDiffer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, tunnelling(echoTunnel))
		cl.Handshake()
		for id := uint32(1); id <= 3; id += 2 {
			cl.Headers(id, true, connectWS()...)
			cl.WantHeaders(id, false)
			cl.WantData(id, true)
		}
		if cl.request(0) == cl.request(1) {
			t.Errorf("twice %q", cl.request(0))
		}
		cl.end()
	})
}

func TestExtendedConnectsThatAreMalformed(t *testing.T) {
	without := func(name string) []string {
		f := connectWS()
		for i := 0; i < len(f); i += 2 {
			if f[i] == name {
				return append(f[:i:i], f[i+2:]...)
			}
		}
		return f
	}
	with := func(name, value string) []string {
		f := connectWS()
		for i := 0; i < len(f); i += 2 {
			if f[i] == name {
				f[i+1] = value
			}
		}
		return f
	}
	for name, fields := range map[string][]string{
		"no :scheme":                 without(":scheme"),
		"no :path":                   without(":path"),
		"no :authority":              without(":authority"),
		"no :protocol":               without(":protocol"), // a plain CONNECT must have no :scheme
		":protocol twice":            append([]string{":protocol", "websocket"}, connectWS()...),
		":protocol with GET":         with(":method", "GET"),
		":protocol with POST":        with(":method", "POST"),
		"empty :protocol":            with(":protocol", ""),
		":protocol that is no token": with(":protocol", "web socket"),
		":protocol after a field":    append(without(":protocol"), "a", "b", ":protocol", "websocket"),
		"path without a slash":       with(":path", "chat"),
		"path *":                     with(":path", "*"),
		"scheme wss":                 with(":scheme", "wss"),
		"upgrade":                    connectWS("upgrade", "websocket"),
		"connection":                 connectWS("connection", "upgrade"),
		"content-length":             connectWS("content-length", "5"),
		"transfer-encoding":          connectWS("transfer-encoding", "chunked"),
		"host that differs":          connectWS("host", "example.org"),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, nil)
				cl.Handshake()
				cl.Headers(1, false, fields...)
				cl.WantReset(1, codeProtocol)
				cl.wantRefusal(outcomeRequestError)
				if len(cl.requests) > 0 {
					t.Errorf("a transaction got %q", cl.request(0))
				}
				cl.Get(3, "/")
				cl.WantStatus(3, "200")
				cl.WantBody(3)
				cl.end()
			})
		})
	}
}

func TestOtherProtocolsAreNotImplemented(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.Handshake()
		fields := connectWS()
		fields[3] = "connect-udp"
		cl.Headers(1, true, fields...)
		cl.WantStatus(1, "501")
		cl.WantBody(1)
		if r := cl.wantRefusal(outcomeRequestDenied); r.Status != 501 || r.Method != "CONNECT" || r.Path != "/chat" {
			t.Errorf("refusal %+v", r)
		}
		cl.end()
	})
}

func TestSettingsOfConnectProtocol(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.Handshake(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
		cl.Settings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 2})
		cl.WantGoAway(codeProtocol)
		cl.wantCause(pitag.CauseClientError)
	})
}

// Only a 101 opens a tunnel.
func TestAnswersToAnExtendedConnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, func(_ *http.Request, c *vconn.Conn) { respond(c, 403, "no") })
		cl.Handshake()
		cl.Headers(1, false, connectWS()...)
		cl.WantStatus(1, "403")
		if body, _ := cl.WantBody(1); string(body) != "no" {
			t.Errorf("body %q", body)
		}
		cl.WantReset(1, codeNo)
		cl.end()
	})
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, func(_ *http.Request, c *vconn.Conn) {
			io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
			respond(c, 200, "not a tunnel")
		})
		cl.Handshake()
		cl.Headers(1, false, connectWS()...)
		cl.WantStatus(1, "103")
		cl.WantReset(1, codeInternal)
		cl.end()
	})
}

// After END_STREAM of one side the other may go on, in either order.
func TestBothDirectionsOfATunnelEndByThemselves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, tunnelling(func(c *vconn.Conn) {
			io.WriteString(c, "bye")
			c.CloseWrite()
			io.ReadAll(c)
		}))
		cl.Handshake()
		cl.Headers(1, false, connectWS()...)
		cl.WantStatus(1, "200")
		if body, _ := cl.WantBody(1); string(body) != "bye" {
			t.Errorf("got %q", body)
		}
		cl.WantIdle()
		for range 200 { // credit still comes
			cl.Data(1, false, strings.Repeat("x", 16<<10))
			synctest.Wait()
		}
		if s, c := cl.Credit(1), cl.Credit(0); s < 1<<20 || c < 1<<20 {
			t.Errorf("credit %d and %d", s, c)
		}
		if n := cl.srv.Stats().Streams; n != 1 {
			t.Errorf("%d streams open, want 1", n)
		}
		cl.Data(1, true, "last")
		cl.WantIdle()
		if n := cl.srv.Stats().Streams; n != 0 {
			t.Errorf("%d streams open, want none", n)
		}
		if r := cl.end(); r.ResetsIn+r.ResetsOut != 0 {
			t.Errorf("record %+v", r)
		}
	})
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, tunnelling(func(c *vconn.Conn) {
			io.ReadAll(c)
			time.Sleep(time.Minute)
			io.WriteString(c, strings.Repeat("x", 1<<20))
		}))
		cl.Handshake(window(1 << 20))
		cl.Window(0, 1<<20)
		cl.Headers(1, true, connectWS()...)
		cl.WantStatus(1, "200")
		time.Sleep(time.Minute)
		if body, _ := cl.WantBody(1); len(body) != 1<<20 {
			t.Errorf("got %d bytes", len(body))
		}
		if r := cl.end(); r.ResetsIn+r.ResetsOut != 0 {
			t.Errorf("record %+v", r)
		}
	})
}

// A transaction that has left when its direction had ended reads no more: the
// client is told to stop.
func TestATunnelThatNobodyReads(t *testing.T) {
	for name, wait := range map[string]time.Duration{"at once": 0, "later": time.Minute} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, tunnelling(func(c *vconn.Conn) {
					io.WriteString(c, "bye")
					c.CloseWrite()
					time.Sleep(wait)
				}))
				cl.Handshake()
				cl.Headers(1, false, connectWS()...)
				cl.WantStatus(1, "200")
				cl.WantBody(1)
				time.Sleep(wait)
				cl.WantReset(1, codeNo)
				if n := cl.srv.Stats().Streams; n != 0 {
					t.Errorf("%d streams open, want none", n)
				}
				cl.end()
			})
		})
	}
}

func TestResetsOfTunnels(t *testing.T) {
	t.Run("by the transaction", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			cl := start(t, Config{}, tunnelling(func(c *vconn.Conn) {
				io.WriteString(c, "half of it")
				synctest.Wait()
				c.Reset(uint32(codeCancel))
			}))
			cl.Handshake()
			cl.Headers(1, false, connectWS()...)
			cl.WantStatus(1, "200")
			cl.WantData(1, false)
			cl.WantReset(1, codeCancel)
			cl.end()
		})
	})
	t.Run("by the transaction, when its direction had ended", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			cl := start(t, Config{}, tunnelling(func(c *vconn.Conn) {
				c.CloseWrite()
				time.Sleep(time.Second)
				c.Reset(uint32(codeCancel))
			}))
			cl.Handshake()
			cl.Headers(1, false, connectWS()...)
			cl.WantStatus(1, "200")
			cl.WantData(1, true)
			cl.WantReset(1, codeCancel)
			cl.end()
		})
	})
	t.Run("by the client", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			got := make(chan error, 1)
			cl := start(t, Config{}, tunnelling(func(c *vconn.Conn) {
				_, err := io.ReadAll(c)
				got <- err
			}))
			cl.Handshake()
			cl.Headers(1, false, connectWS()...)
			cl.WantStatus(1, "200")
			cl.Data(1, false, "hello")
			cl.Reset(1, codeCancel)
			if re, ok := errors.AsType[*vconn.ResetError](<-got); !ok || re.Code != uint32(codeCancel) {
				t.Errorf("the transaction read %v", re)
			}
			cl.end()
		})
	})
}

// RFC 9113, section 8.5: on a tunnel nothing but DATA and stream management.
func TestHeadersInATunnelAreAStreamError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, tunnelling(echoTunnel))
		cl.Handshake()
		cl.Headers(1, false, connectWS()...)
		cl.WantStatus(1, "200")
		cl.Headers(1, true, "x", "y")
		cl.WantReset(1, codeProtocol)
		cl.Get(3, "/")
		cl.WantReset(3, codeInternal) // a 101 to what was no upgrade
		cl.end()
	})
}

// DATA before the 200 waits in the virtual connection, within the window.
func TestEarlyDataOfATunnel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{StreamWindow: 64 << 10}, func(_ *http.Request, c *vconn.Conn) {
			time.Sleep(time.Minute)
			io.WriteString(c, switching)
			echoTunnel(c)
		})
		cl.Handshake()
		cl.Headers(1, false, connectWS()...)
		synctest.Wait() // the head has been read, alone
		early := strings.Repeat("x", 16<<10)
		for range 4 {
			cl.Data(1, false, early)
		}
		cl.WantIdle() // no credit while nobody reads
		time.Sleep(time.Minute)
		cl.WantStatus(1, "200")
		cl.Window(0, 1<<20)
		cl.Window(1, 1<<20)
		cl.WantCredit(1)
		cl.Data(1, true, "")
		if body, _ := cl.WantBody(1); string(body) != strings.Repeat(early, 4) {
			t.Errorf("got %d bytes", len(body))
		}
		cl.end()
	})
}

// A client that sends more than its window is not let through by a tunnel, and
// one that opens none gets no more than it allows.
func TestFlowControlOfATunnel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, tunnelling(func(c *vconn.Conn) {
			io.WriteString(c, strings.Repeat("x", 100))
			c.CloseWrite()
			io.ReadAll(c)
		}))
		cl.Handshake(window(60))
		cl.Headers(1, false, connectWS()...)
		cl.WantStatus(1, "200")
		if got := cl.WantData(1, false); len(got) != 60 {
			t.Errorf("%d bytes", len(got))
		}
		cl.WantIdle()
		cl.Window(1, 100)
		if got := cl.WantData(1, true); len(got) != 40 {
			t.Errorf("%d bytes", len(got))
		}
		cl.Data(1, true, "")
		cl.end()
	})
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{StreamWindow: 64 << 10}, tunnelling(func(c *vconn.Conn) { time.Sleep(time.Hour) }))
		cl.Handshake()
		cl.Headers(1, false, connectWS()...)
		cl.WantStatus(1, "200")
		for range 5 {
			cl.Data(1, false, strings.Repeat("x", 16<<10))
		}
		cl.WantReset(1, codeFlowControl)
		cl.end()
	})
}

func TestATunnelHoldsUpADrainUntilItIsAborted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		why := make(chan vconn.Reason, 1)
		cl := start(t, Config{}, tunnelling(func(c *vconn.Conn) {
			io.Copy(c, c)
			cause, _ := c.ResetCause()
			why <- cause.Reason
		}))
		cl.Handshake()
		cl.Headers(1, false, connectWS()...)
		cl.WantStatus(1, "200")
		cl.srv.Drain()
		cl.WantGoAway(codeNo)
		cl.PingAck(cl.WantPing(false))
		cl.WantGoAway(codeNo)
		cl.Data(1, false, "still here")
		if got := cl.WantData(1, false); string(got) != "still here" {
			t.Errorf("got %q", got)
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		cl.srv.Shutdown(ended)
		if w := <-why; w != vconn.ReasonShutdown {
			t.Errorf("the transaction was reset because of %v", w)
		}
		cl.wantCause(pitag.CauseDrain)
	})
}
