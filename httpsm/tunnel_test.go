package httpsm

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// The key and answer of RFC 6455 section 1.3.
const (
	wsKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	wsAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	wsFields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: " + wsKey + "\r\nSec-WebSocket-Version: 13\r\n"
	wsAsk    = "GET /chat HTTP/1.1\r\nHost: a\r\n" + wsFields + "\r\n"
	ws101    = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + wsAccept + "\r\n"
)

// switched is a script that switches protocols and plays on.
func switched(play testkit.Script) testkit.Script {
	return func(c *testkit.OriginConn) {
		if _, ok := c.ReadHead(); !ok {
			return
		}
		c.Send(ws101 + "X-Origin: 1\r\n\r\n")
		play(c)
	}
}

// halfConn is either side of a client's connection.
type halfConn interface {
	net.Conn
	CloseWrite() error
}

// bothWays runs a test of a tunnel over an HTTP/1.1 connection and over a
// virtual one.
func bothWays(t *testing.T, name string, change func(*Config), script testkit.Script, f func(t *testing.T, r *rig, c halfConn)) {
	bubble(t, name+"/tcp", func(t *testing.T) {
		r := newRig(t, change, script)
		c := r.dial()
		f(t, r, c)
		c.Close()
		<-c.done
	})
	bubble(t, name+"/vconn", func(t *testing.T) {
		r := newRig(t, change, script)
		c := r.open()
		f(t, r, c)
		c.Close()
	})
}

// openTunnel asks, and reads the 101.
func openTunnel(t *testing.T, c halfConn) *bufio.Reader {
	t.Helper()
	io.WriteString(c, wsAsk)
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	h := res.Header
	if res.StatusCode != 101 || h.Get("Upgrade") != "websocket" || h.Get("Connection") != "Upgrade" ||
		h.Get("Sec-WebSocket-Accept") != wsAccept || h.Get("X-Origin") != "1" || h.Get("Via") != "1.1 h2gw" {
		t.Fatalf("answer %v %v", res.Status, h)
	}
	return br
}

func wantBytes(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Fatalf("read %q, %v; want %q", b[:n], err, want)
	}
}

func wantEOF(t *testing.T, r io.Reader) {
	t.Helper()
	if b, err := io.ReadAll(r); err != nil || len(b) > 0 {
		t.Fatalf("read %q, %v; want the end", b, err)
	}
}

func echo(c *testkit.OriginConn) {
	io.Copy(c.NetConn(), c.NetConn())
	c.CloseWrite()
}

func TestATunnelCarriesBytesBothWaysUntilBothHaveEnded(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	bothWays(t, "the client ends first", nil, switched(echo), func(t *testing.T, r *rig, c halfConn) {
		br := openTunnel(t, c)
		io.WriteString(c, "hello")
		wantBytes(t, br, "hello")
		go io.WriteString(c, big)
		wantBytes(t, br, big)
		c.CloseWrite()
		wantEOF(t, br)
		rec := r.wantClosed(c, Completed, 101)
		if n := int64(len(big) + 5); rec.BytesIn != n || rec.BytesOut != n {
			t.Errorf("bytes in %d, out %d, want %d", rec.BytesIn, rec.BytesOut, n)
		}
		if rec.Method != "GET" || rec.OriginStatus != 101 || rec.Path != "/chat" {
			t.Errorf("record %+v", rec)
		}
	})
	bothWays(t, "the origin ends first", nil, switched(func(c *testkit.OriginConn) {
		c.Send("bye")
		c.CloseWrite()
		c.Expect("one more thing")
		c.ExpectEOF()
	}), func(t *testing.T, r *rig, c halfConn) {
		br := openTunnel(t, c)
		wantBytes(t, br, "bye")
		wantEOF(t, br)
		time.Sleep(time.Minute)
		io.WriteString(c, "one more thing")
		c.CloseWrite()
		r.wantClosed(c, Completed, 101)
	})
	bothWays(t, "the origin is gone altogether", nil, switched(func(c *testkit.OriginConn) {
		c.Send("bye")
	}), func(t *testing.T, r *rig, c halfConn) {
		br := openTunnel(t, c)
		wantBytes(t, br, "bye")
		wantEOF(t, br)
		for range 3 {
			io.WriteString(c, "nobody reads this")
			synctest.Wait()
		}
		r.wantClosed(c, Completed, 101)
	})
	bothWays(t, "bytes right behind the 101", nil, func(c *testkit.OriginConn) {
		c.ReadHead()
		c.Send(ws101 + "X-Origin: 1\r\n\r\nfirst words")
		c.ExpectEOF()
	}, func(t *testing.T, r *rig, c halfConn) {
		br := openTunnel(t, c)
		wantBytes(t, br, "first words")
		c.CloseWrite()
		wantEOF(t, br)
		if rec := r.wantClosed(c, Completed, 101); rec.BytesOut != 11 || rec.BytesIn != 0 {
			t.Errorf("bytes in %d, out %d", rec.BytesIn, rec.BytesOut)
		}
	})
}

// wantClosed closes the client's side and returns the only record; no origin
// connection may be in use, and nothing be left of the transaction.
func (r *rig) wantClosed(c net.Conn, o Outcome, status int) Record {
	r.t.Helper()
	if vc, ok := c.(*vconn.Conn); ok {
		synctest.Wait()
		vc.Close() // as a session does when its stream has ended both ways
	}
	rec := r.wantRecord(o, status)
	for _, ep := range r.group.Stats() {
		if ep.Active+ep.InFlight != 0 {
			r.t.Errorf("origin connections: %d in use by %d, want none", ep.Active, ep.InFlight)
		}
	}
	if n := r.m.Stats().Active; n != 0 {
		r.t.Errorf("%d transactions left", n)
	}
	return rec
}

func TestWhatTheOriginSeesOfAnUpgrade(t *testing.T) {
	ask := "GET /chat HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: keep-alive, UPGRADE, x-mine\r\nX-Mine: 1\r\n" +
		"Upgrade: foo/2, WebSocket\r\nSec-WebSocket-Key: " + wsKey + "\r\nSec-WebSocket-Protocol: chat\r\nContent-Length: 0\r\n\r\n"
	bothWays(t, "head", nil, switched(echo), func(t *testing.T, r *rig, c halfConn) {
		io.WriteString(c, ask)
		c.CloseWrite()
		io.ReadAll(c)
		synctest.Wait()
		head, _, _ := strings.Cut(r.o.Received()[0], "Via: ")
		const want = "GET /chat HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: " + wsKey + "\r\nSec-WebSocket-Protocol: chat\r\n"
		if head != want || !strings.Contains(r.o.Received()[0], "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n") {
			t.Errorf("the origin saw %q", r.o.Received()[0])
		}
	})
}

// What a client sends before it may must not reach the origin as a request.
func TestEarlyBytesWaitForThe101(t *testing.T) {
	const smuggled = "GET /secret HTTP/1.1\r\nHost: a\r\n\r\n"
	var atHead string
	script := func(status string) testkit.Script {
		return func(c *testkit.OriginConn) {
			c.ReadHead()
			c.Wait(time.Second)
			atHead = c.Received()
			c.Send(status)
			c.ReadToEnd()
			c.CloseWrite()
		}
	}
	bothWays(t, "accepted", nil, script(ws101+"X-Origin: 1\r\n\r\n"), func(t *testing.T, r *rig, c halfConn) {
		io.WriteString(c, wsAsk+smuggled)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != 101 {
			t.Fatalf("%v, %v", res, err)
		}
		c.CloseWrite()
		wantEOF(t, c)
		got := r.o.Received()[0]
		if strings.Contains(atHead, "secret") {
			t.Errorf("before its 101 the origin had %q", atHead)
		}
		if !strings.HasSuffix(got, "\r\n\r\n"+smuggled) {
			t.Errorf("the origin got %q", got)
		}
		r.wantClosed(c, Completed, 101)
	})
	bubble(t, "refused/vconn", func(t *testing.T) {
		r := newRig(t, nil, script("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
		c := r.open()
		io.WriteString(c, wsAsk+smuggled)
		got := r.readAll(c)
		wantStatus(t, got, 403)
		c.Close()
		synctest.Wait()
		if got := r.o.Received()[0]; strings.Contains(got, "secret") {
			t.Errorf("the origin got %q", got)
		}
		r.wantRecord(Completed, 403)
	})
}

func TestOtherAnswersToAnUpgradeAreOrdinary(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		status       int
		outcome      Outcome
	}{
		{"403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, Completed},
		{"426", "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\n", 426, Completed},
		{"200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, Completed},
		{"wrong accept", strings.Replace(ws101, wsAccept, wsKey, 1) + "\r\n", 502, HTTPProtocolError},
		{"no accept", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502, HTTPProtocolError},
		{"accept twice", ws101 + "Sec-WebSocket-Accept: " + wsAccept + "\r\n\r\n", 502, HTTPProtocolError},
		{"no Connection", strings.Replace(ws101, "Connection: Upgrade\r\n", "", 1) + "\r\n", 502, HTTPProtocolError},
		{"no Upgrade", strings.Replace(ws101, "Upgrade: websocket\r\n", "", 1) + "\r\n", 502, HTTPProtocolError},
		{"other protocol", strings.Replace(ws101, "Upgrade: websocket", "Upgrade: h2c", 1) + "\r\n", 502, HTTPProtocolError},
		{"HTTP/1.0", strings.Replace(ws101, "HTTP/1.1", "HTTP/1.0", 1) + "\r\n", 502, HTTPProtocolError},
		{"with a body", ws101 + "Content-Length: 5\r\n\r\nhello", 502, HTTPProtocolError},
		{"chunked", ws101 + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502, HTTPProtocolError},
	} {
		bothWays(t, tc.name, nil, func(c *testkit.OriginConn) {
			c.ReadHead()
			c.Send(tc.answer)
			c.ReadToEnd()
		}, func(t *testing.T, r *rig, c halfConn) {
			io.WriteString(c, wsAsk)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || res.StatusCode != tc.status {
				t.Fatalf("%v, %v; want %d", res, err, tc.status)
			}
			io.ReadAll(res.Body)
			c.CloseWrite()
			r.wantClosed(c, tc.outcome, tc.status)
		})
	}
}

func TestUpgradesThatAreRefusedOrIgnored(t *testing.T) {
	without := func(s string) string { return strings.Replace(wsAsk, s, "", 1) }
	for _, tc := range []struct {
		name, ask string
		status    int // 400, or 200 when the request is an ordinary one
	}{
		{"POST", strings.Replace(wsAsk, "GET", "POST", 1), 400},
		{"body", strings.Replace(wsAsk, "\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nhi", 1), 400},
		{"no key", without("Sec-WebSocket-Key: " + wsKey + "\r\n"), 400},
		{"key twice", strings.Replace(wsAsk, "\r\n\r\n", "\r\nSec-WebSocket-Key: "+wsKey+"\r\n\r\n", 1), 400},
		{"short key", strings.Replace(wsAsk, wsKey, "dGhlIHNhbXBsZQ==", 1), 400},
		{"long key", strings.Replace(wsAsk, wsKey, "dGhlIHNhbXBsZSBub25jZSBy", 1), 400},
		{"bad key", strings.Replace(wsAsk, wsKey, "dGhlIHNhbXBsZSBub25jZ!==", 1), 400},
		{"HTTP/1.0", strings.Replace(wsAsk, "HTTP/1.1", "HTTP/1.0", 1), 200},
		{"no Connection", without("Connection: Upgrade\r\n"), 200},
		{"Connection of another", strings.Replace(wsAsk, "Connection: Upgrade", "Connection: Upgraded", 1), 200},
		{"h2c", strings.Replace(wsAsk, "Upgrade: websocket", "Upgrade: h2c", 1), 200},
	} {
		bothWays(t, tc.name, nil, testkit.Serve(testkit.Reply("plain")), func(t *testing.T, r *rig, c halfConn) {
			io.WriteString(c, tc.ask)
			c.CloseWrite()
			got := r.readAll(c)
			wantStatus(t, got, tc.status)
			if c, ok := c.(*vconn.Conn); ok {
				c.Close()
			}
			synctest.Wait()
			if tc.status == 400 {
				if len(r.o.Received()) > 0 {
					t.Errorf("the origin saw %q", r.o.Received())
				}
				r.wantRecord(HTTPRequestError, 400)
				return
			}
			if seen := r.o.Received()[0]; strings.Contains(seen, "Upgrade") {
				t.Errorf("the origin saw %q", seen)
			}
			r.wantRecord(Completed, 200)
		})
	}
}

// The idle limit is for both directions together.
func TestTheIdleLimitOfATunnel(t *testing.T) {
	const idle = 10 * time.Second
	limit := func(c *Config) { c.Timeouts.TunnelIdle = idle }
	fires := func(t *testing.T, r *rig, c halfConn, br io.Reader) {
		began := time.Now()
		_, err := io.ReadAll(br)
		if took := time.Since(began); took < idle-time.Second || took > idle+time.Second {
			t.Errorf("ended after %v", took)
		}
		re, isReset := errors.AsType[*vconn.ResetError](err)
		if _, ok := c.(*vconn.Conn); ok && (!isReset || re.Code != codeCancel) {
			t.Errorf("the client's side ended by %v", err)
		}
		r.wantClosed(c, ConnectionReadTimeout, 101)
		<-r.o.Conn(1).Done()
	}
	bothWays(t, "nothing moves", limit, switched(func(c *testkit.OriginConn) { c.ReadToEnd() }), func(t *testing.T, r *rig, c halfConn) {
		fires(t, r, c, openTunnel(t, c))
	})
	bothWays(t, "half-closed", limit, switched(func(c *testkit.OriginConn) { c.CloseWrite(); c.ReadToEnd() }), func(t *testing.T, r *rig, c halfConn) {
		br := openTunnel(t, c)
		wantEOF(t, br)
		time.Sleep(idle + time.Second)
		r.wantClosed(c, ConnectionReadTimeout, 101)
	})
	bothWays(t, "bytes from the client", limit, switched(func(c *testkit.OriginConn) { c.ReadToEnd() }), func(t *testing.T, r *rig, c halfConn) {
		br := openTunnel(t, c)
		for range 30 {
			io.WriteString(c, ".")
			time.Sleep(idle - time.Second)
		}
		io.WriteString(c, ".")
		fires(t, r, c, br)
	})
	bothWays(t, "bytes from the origin", limit, switched(func(c *testkit.OriginConn) {
		for range 30 {
			c.Send(".")
			c.Wait(idle - time.Second)
		}
		c.Send(".")
		c.ReadToEnd()
	}), func(t *testing.T, r *rig, c halfConn) {
		br := openTunnel(t, c)
		wantBytes(t, br, strings.Repeat(".", 31))
		fires(t, r, c, br)
	})
	bothWays(t, "off", func(c *Config) { c.Timeouts.TunnelIdle = -1 }, switched(echo), func(t *testing.T, r *rig, c halfConn) {
		br := openTunnel(t, c)
		time.Sleep(1000 * time.Hour)
		io.WriteString(c, "still here")
		wantBytes(t, br, "still here")
		c.CloseWrite()
		wantEOF(t, br)
		r.wantClosed(c, Completed, 101)
	})
}

func TestAResetOfOneSideIsAResetOfTheOther(t *testing.T) {
	read := func(c *testkit.OriginConn) { io.Copy(io.Discard, c.NetConn()) }
	bothWays(t, "the client", nil, switched(read), func(t *testing.T, r *rig, c halfConn) {
		openTunnel(t, c)
		switch c := c.(type) {
		case *vconn.Conn:
			c.Reset(codeCancel)
		case *tcpClient:
			c.Conn.Reset()
		}
		rec := r.wantClosed(c, ClientAbort, 101)
		if _, ok := c.(*vconn.Conn); ok && rec.H2Error != "CANCEL" {
			t.Errorf("h2_error %q", rec.H2Error)
		}
		<-r.o.Conn(1).Done()
	})
	bothWays(t, "the origin", nil, switched(func(c *testkit.OriginConn) { c.ReadN(5); c.Reset() }), func(t *testing.T, r *rig, c halfConn) {
		br := openTunnel(t, c)
		io.WriteString(c, "hello")
		_, err := io.ReadAll(br)
		if re, ok := errors.AsType[*vconn.ResetError](err); ok != isVConn(c) || ok && re.Code != codeCancel {
			t.Errorf("the client's side ended by %v", err)
		}
		r.wantClosed(c, ConnectionTerminated, 101)
	})
	bothWays(t, "the client, when the origin has ended", nil, switched(func(c *testkit.OriginConn) { c.Send("bye"); c.CloseWrite(); c.ReadToEnd() }),
		func(t *testing.T, r *rig, c halfConn) {
			br := openTunnel(t, c)
			wantBytes(t, br, "bye")
			wantEOF(t, br)
			switch c := c.(type) {
			case *vconn.Conn:
				c.Reset(codeCancel)
			case *tcpClient:
				c.Conn.Reset()
			}
			r.wantClosed(c, Completed, 101)
		})
}

func isVConn(c net.Conn) bool { _, ok := c.(*vconn.Conn); return ok }

// Whoever does not read holds up whoever sends, and costs bounded memory.
func TestBackPressureHoldsInATunnel(t *testing.T) {
	var sent atomic.Int64
	bothWays(t, "the client does not read", func(c *Config) { c.Timeouts.WriteStall = time.Minute }, switched(func(c *testkit.OriginConn) {
		sent.Store(0)
		chunk := bytes.Repeat([]byte("x"), 4<<10)
		for {
			n, err := c.NetConn().Write(chunk)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}), func(t *testing.T, r *rig, c halfConn) {
		openTunnel(t, c)
		time.Sleep(time.Second)
		if most := int64(4*testkit.PipeCapacity + 256<<10); sent.Load() > most {
			t.Errorf("the origin could send %d bytes, want at most %d", sent.Load(), most)
		}
		time.Sleep(3 * time.Minute)
		c.Close()
		rec := r.wantRecord(ClientTimeout, 101)
		if rec.BytesOut > sent.Load() {
			t.Errorf("%d bytes out of %d", rec.BytesOut, sent.Load())
		}
	})
}

func TestATunnelEndsWithTheMachine(t *testing.T) {
	bothWays(t, "shutdown", nil, switched(echo), func(t *testing.T, r *rig, c halfConn) {
		br := openTunnel(t, c)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		done := make(chan error)
		go func() { done <- r.m.Shutdown(ctx) }()
		time.Sleep(29 * time.Second)
		io.WriteString(c, "still served")
		wantBytes(t, br, "still served")
		time.Sleep(2 * time.Second)
		if _, err := io.ReadAll(br); err == nil && isVConn(c) {
			t.Error("the tunnel ended as if it was complete")
		}
		c.Close()
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		r.wantClosed(c, GatewayDraining, 101)
	})
}

func TestHooksSeeAnUpgrade(t *testing.T) {
	var log []string
	hooks := func(c *Config) {
		log = nil
		c.Hooks = traced(&log)
		c.Hooks.On(SendRequestHead, func(t *Txn) Verdict {
			t.OriginRequest().Fields.Del("Upgrade")
			t.OriginRequest().Fields.Set("Sec-WebSocket-Key", "mine")
			return Continue
		})
		c.Hooks.On(SendResponseHead, func(t *Txn) Verdict {
			t.Response().Fields.Set("Sec-WebSocket-Accept", "mine")
			t.Response().Fields.Set("Content-Length", "5")
			return Continue
		})
	}
	bothWays(t, "all points", hooks, switched(echo), func(t *testing.T, r *rig, c halfConn) {
		br := openTunnel(t, c)
		c.CloseWrite()
		wantEOF(t, br)
		r.wantClosed(c, Completed, 101)
		const want = "TxnStart in readRequestHead ReadRequestHead in readRequestHead PreRoute in route PostRoute in route " +
			"OriginSelected in selectOrigin SendRequestHead in sendRequestHead ReadResponseHead in exchange SendResponseHead in exchange TxnClose in finish"
		if got := strings.Join(log, " "); got != want {
			t.Errorf("hooks %s", got)
		}
	})
	bothWays(t, "a hook that answers instead", func(c *Config) {
		c.Hooks = new(Hooks)
		c.Hooks.On(ReadResponseHead, func(t *Txn) Verdict { return t.Reply(403, nil, []byte("no")) })
	}, switched(func(c *testkit.OriginConn) { c.ReadToEnd() }), func(t *testing.T, r *rig, c halfConn) {
		io.WriteString(c, wsAsk)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != 403 {
			t.Fatalf("%v, %v", res, err)
		}
		io.ReadAll(res.Body)
		c.CloseWrite()
		r.wantClosed(c, ProxyInternalResponse, 403)
	})
	bothWays(t, "a hook that changes the status", func(c *Config) {
		c.Hooks = new(Hooks)
		c.Hooks.On(SendResponseHead, func(t *Txn) Verdict {
			if t.Response().Status() == 101 {
				t.Response().SetStatus(200, "")
			}
			return Continue
		})
	}, switched(func(c *testkit.OriginConn) { c.ReadToEnd() }), func(t *testing.T, r *rig, c halfConn) {
		io.WriteString(c, wsAsk)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != 500 {
			t.Fatalf("%v, %v", res, err)
		}
		io.ReadAll(res.Body)
		c.CloseWrite()
		r.wantClosed(c, ProxyInternalError, 500)
	})
}

// The client's connection carries nothing after a tunnel, and its record counts
// every byte.
func TestTheConnectionEndsWithItsTunnel(t *testing.T) {
	bubble(t, "record", func(t *testing.T) {
		r := newRig(t, nil, switched(echo))
		c := r.dial()
		br := openTunnel(t, c)
		io.WriteString(c, "hello")
		wantBytes(t, br, "hello")
		c.CloseWrite()
		wantEOF(t, br)
		rec := c.wantEnd(pitag.CauseClientClosed)
		if want := uint64(len(wsAsk) + 5); rec.BytesIn != want || rec.Streams != 1 || rec.BytesOut <= 5 {
			t.Errorf("session record: in %d (want %d), out %d, streams %d", rec.BytesIn, want, rec.BytesOut, rec.Streams)
		}
	})
}

// An extended CONNECT is recorded as its client sees it.
func TestAnHTTP2ClientsTunnelIsRecordedAsItSeesIt(t *testing.T) {
	open := func(r *rig) *vconn.Conn {
		s := &pitag.Session{Identity: pitag.Identity{Tag: pitag.TagH2, ID: 9}, Client: clientAddr, Local: localAddr, Start: time.Now()}
		c, err := vconn.NewConnector(r.m).For(s).Open(vconn.Options{Identity: s.Identity, Stream: 1, Txn: 1})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, wsAsk)
		return c
	}
	bubble(t, "tunnel", func(t *testing.T) {
		r := newRig(t, nil, switched(echo))
		c := open(r)
		c.CloseWrite()
		if got := r.readAll(c); !strings.HasPrefix(got, "HTTP/1.1 101 ") {
			t.Errorf("the session got %q", got)
		}
		if rec := r.wantClosed(c, Completed, 200); rec.Method != "CONNECT" || rec.OriginStatus != 101 || rec.Proto != "HTTP/2.0" {
			t.Errorf("record %+v", rec)
		}
	})
	bubble(t, "success without 101 is none", func(t *testing.T) {
		r := newRig(t, nil, testkit.Serve(testkit.Reply("hello")))
		c := open(r)
		wantStatus(t, r.readAll(c), 502)
		c.Close()
		r.wantRecord(HTTPProtocolError, 502)
	})
	bubble(t, "a refusal passes", func(t *testing.T) {
		r := newRig(t, nil, testkit.Serve(fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\nno", 2)))
		c := open(r)
		wantStatus(t, r.readAll(c), 403)
		c.Close()
		if rec := r.wantRecord(Completed, 403); rec.Method != "CONNECT" {
			t.Errorf("method %s", rec.Method)
		}
	})
}

// Over real sockets a reset arrives as one, an end in order as one, and over TLS
// as close_notify: the origin is not to take one for the other.
func TestHowAnOriginSeesTheEndOfATunnel(t *testing.T) {
	pair, pool := selfSigned(t)
	for _, tc := range []struct {
		name string
		tls  bool
		end  func(c *vconn.Conn)
		want error
	}{
		{"in order", false, func(c *vconn.Conn) { c.CloseWrite() }, nil},
		{"in order over TLS", true, func(c *vconn.Conn) { c.CloseWrite() }, nil},
		{"reset", false, func(c *vconn.Conn) { c.Reset(codeCancel) }, syscall.ECONNRESET},
		{"reset over TLS", true, func(c *vconn.Conn) { c.Reset(codeCancel) }, syscall.ECONNRESET},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ended := make(chan error, 1)
			o := testkit.ListenOrigin(t, func(c *testkit.OriginConn) {
				nc := c.NetConn()
				if tc.tls {
					nc = tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{pair}})
				}
				br := bufio.NewReader(nc)
				if _, err := http.ReadRequest(br); err != nil {
					ended <- err
					return
				}
				io.WriteString(nc, ws101+"X-Origin: 1\r\n\r\n")
				_, err := io.Copy(nc, br)
				ended <- err
				nc.Close()
			})
			oc := origin.Config{Endpoints: []origin.EndpointConfig{{Addr: o.Addr(), TLS: tc.tls}}}
			if tc.tls {
				oc.TLS = &tls.Config{RootCAs: pool}
			}
			g, err := origin.NewGroup(oc)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			recs := make(chan Record, 1)
			m := New(Config{Origins: g, OnRecord: func(r *Record) { recs <- *r }})
			defer m.dismiss()
			c, err := vconn.NewConnector(m).Connect(netip.AddrPort{})
			if err != nil {
				t.Fatal(err)
			}
			br := openTunnel(t, c)
			io.WriteString(c, "hello")
			wantBytes(t, br, "hello")
			tc.end(c)
			if err := <-ended; !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Errorf("the origin's side ended by %v, want %v", err, tc.want)
			}
			if tc.want == nil {
				wantEOF(t, br)
			}
			c.Close()
			want := Completed
			if tc.want != nil {
				want = ClientAbort
			}
			if rec := <-recs; rec.Outcome != want || rec.BytesIn != 5 || rec.BytesOut != 5 {
				t.Errorf("record %s, %d bytes in, %d out (%v)", rec.Outcome, rec.BytesIn, rec.BytesOut, rec.Err)
			}
		})
	}
}

// selfSigned is a certificate for loopback, and the pool that trusts it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return srv.TLS.Certificates[0], pool
}
