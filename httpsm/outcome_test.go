package httpsm

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
)

// broken is an origin that takes a request and sends exactly this, then closes.
func broken(response string) testkit.Script {
	return func(c *testkit.OriginConn) {
		if _, ok := c.ReadRequest(); ok {
			c.Send(response)
		}
	}
}

// What an origin does wrong is a 502 or 504 with its word while that is
// possible, and a reset when it no longer is; never a complete message.
func TestOriginFailures(t *testing.T) {
	stall := func(prefix string) testkit.Script {
		return func(c *testkit.OriginConn) {
			c.ReadRequest()
			c.Send(prefix)
			c.ReadToEnd()
		}
	}
	for _, tc := range []struct {
		name    string
		origin  testkit.Script
		status  int // 0: reset after the head
		outcome Outcome
	}{
		{"closes without a byte", broken(""), 502, ConnectionTerminated},
		{"closes in the head", broken("HTTP/1.1 200 OK\r\nA: b"), 502, HTTPResponseIncomplete},
		{"closes after 103", broken("HTTP/1.1 103 Early Hints\r\n\r\n"), 502, HTTPResponseIncomplete},
		{"resets", func(c *testkit.OriginConn) { c.ReadRequest(); c.Reset() }, 502, ConnectionTerminated},
		{"short body", broken("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour"), 0, HTTPResponseIncomplete},
		{"no last chunk", broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n"), 0, HTTPResponseIncomplete},
		{"bad chunk", broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), 0, HTTPProtocolError},
		{"not HTTP", broken("SSH-2.0-OpenSSH_9.9\r\n\r\n"), 502, HTTPProtocolError},
		{"two lengths", broken("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"), 502, HTTPProtocolError},
		{"bare LF", broken("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), 502, HTTPProtocolError},
		{"obs-fold", broken("HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"), 502, HTTPProtocolError},
		{"Connection names Content-Length", broken("HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 1\r\n\r\nx"), 502, HTTPProtocolError},
		{"101 unasked", broken("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), 502, HTTPProtocolError},
		{"17 interim heads", broken(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 17) + testkit.Reply("x")), 502, HTTPProtocolError},
		{"head over 64 KiB", broken("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 70<<10)), 502, HTTPProtocolError},
		{"never answers", testkit.Silent, 504, HTTPResponseTimeout},
		{"stops in the head", stall("HTTP/1.1 200 OK\r\nA:"), 504, HTTPResponseTimeout},
		{"stops in the body", stall("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour"), 0, HTTPResponseTimeout},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			r := newRig(t, nil, tc.origin)
			got := r.ask(get)
			if tc.status == 0 {
				if !strings.Contains(got, "\n!") {
					t.Errorf("answer %q looks complete", got)
				}
				status := 0 // of a client that was reset before it could read the head
				if strings.HasPrefix(got, "HTTP/1.1 200") {
					status = 200
				}
				rec := r.wantRecord(tc.outcome, status)
				if rec.H2Error != "INTERNAL_ERROR" {
					t.Errorf("reset with %q", rec.H2Error)
				}
				return
			}
			wantFinal(t, got, tc.status, tc.outcome)
			rec := r.wantRecord(tc.outcome, tc.status)
			var te *TxnError
			if !errors.As(rec.Err, &te) || te.Source != SourceOrigin || te.Outcome != tc.outcome {
				t.Errorf("error %#v", rec.Err)
			}
		})
	}
}

// wantFinal checks an error reply of ours, behind any interim heads.
func wantFinal(t *testing.T, answer string, status int, o Outcome) {
	t.Helper()
	for strings.HasPrefix(answer, "HTTP/1.1 1") {
		_, answer, _ = strings.Cut(answer, "\r\n\r\n")
	}
	wantStatus(t, answer, status)
	if !strings.Contains(answer, "\r\nProxy-Status: h2gw; error="+string(o)+"\r\n") {
		t.Errorf("no Proxy-Status with %s in %q", o, answer)
	}
}

// The same on an HTTP/1.1 connection: a broken message, not a short one.
func TestTruncationBreaksTheConnection(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil, broken("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour"))
		c := r.dial()
		c.send(get)
		b, err := io.ReadAll(c)
		if strings.HasSuffix(string(b), "four") == false || err == nil && strings.Contains(string(b), "chunked") {
			t.Errorf("got %q, %v", b, err)
		}
		<-c.done
		r.wantRecord(HTTPResponseIncomplete, 200)
	})
}

func TestConnectFailures(t *testing.T) {
	dialError := func(err error) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) { return nil, err }
	}
	hang := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, tc := range []struct {
		name    string
		cfg     origin.Config
		status  int
		outcome Outcome
		retries int
	}{
		{"black hole", origin.Config{Dial: hang}, 504, ConnectionTimeout, 2},
		{"no such name", origin.Config{Dial: dialError(&net.DNSError{Err: "no such host", Name: "a", IsNotFound: true})}, 503, DestinationUnavailable, 2},
		{"unreachable", origin.Config{Dial: dialError(errors.New("network is unreachable"))}, 503, DestinationUnavailable, 2},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			tc.cfg.Endpoints = []origin.EndpointConfig{{Addr: "192.0.2.9:80"}}
			g, err := origin.NewGroup(tc.cfg)
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t, func(c *Config) { c.Origins = g })
			wantFinal(t, r.ask(get), tc.status, tc.outcome)
			rec := r.wantRecord(tc.outcome, tc.status)
			if rec.Retries != tc.retries || rec.Origin != "192.0.2.9:80" {
				t.Errorf("retries %d, origin %q", rec.Retries, rec.Origin)
			}
			if n := r.retries(retryConnect); n != uint64(tc.retries) {
				t.Errorf("counted %d retries", n)
			}
		})
	}
	bubble(t, "refused", func(t *testing.T) {
		r := newRig(t, nil)
		r.o.Refuse()
		wantFinal(t, r.ask(get), 502, ConnectionRefused)
		r.wantRecord(ConnectionRefused, 502)
	})
	bubble(t, "tls", func(t *testing.T) {
		o := testkit.NewOrigin(t, broken("this is no TLS"), broken("this is no TLS"))
		g, err := origin.NewGroup(origin.Config{
			Endpoints: []origin.EndpointConfig{{Addr: o.Addr(), TLS: true, ServerName: "a"}},
			Dial: func(ctx context.Context, n, a string) (net.Conn, error) {
				client, server := testkit.Pipe()
				go func() { server.Write([]byte("HTTP/1.1 400 no\r\n\r\n")); server.CloseWrite() }()
				return client, nil
			},
			TLS: &tls.Config{},
		})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, func(c *Config) { c.Origins = g; c.Retries = -1 })
		wantFinal(t, r.ask(get), 502, TLSProtocolError)
		r.wantRecord(TLSProtocolError, 502)
	})
	bubble(t, "limit", func(t *testing.T) {
		o := testkit.NewOrigin(t, testkit.Silent)
		g, err := origin.NewGroup(origin.Config{
			Endpoints: []origin.EndpointConfig{{Addr: o.Addr()}}, Dial: o.Dial, MaxConns: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, func(c *Config) { c.Origins = g })
		first := r.open()
		io.WriteString(first, get)
		synctest.Wait()
		wantFinal(t, r.ask(get), 503, ConnectionLimitReached)
		r.wantRecord(ConnectionLimitReached, 503)
		first.Reset(codeCancel)
		synctest.Wait()
	})
	bubble(t, "no group", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Origins = nil })
		wantFinal(t, r.ask(get), 503, DestinationUnavailable)
		r.wantRecord(DestinationUnavailable, 503)
	})
}

func TestRequestsThatAreRefused(t *testing.T) {
	small := func(c *Config) { c.Limits.RequestBody = 4 }
	for _, tc := range []struct {
		name, request string
		change        func(*Config)
		status        int
		outcome       Outcome
	}{
		{"not HTTP", "hello\r\n\r\n", nil, 400, HTTPRequestError},
		{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", nil, 400, HTTPRequestError},
		{"unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", nil, 501, HTTPRequestError},
		{"no host", "GET / HTTP/1.1\r\n\r\n", nil, 400, HTTPRequestError},
		{"HTTP/3.0", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", nil, 505, HTTPRequestError},
		{"long target", "GET /" + strings.Repeat("a", 17<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", nil, 414, HTTPRequestError},
		{"many fields", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: b\r\n", 128) + "\r\n", nil, 431, HTTPRequestError},
		{"Connection names Host", "GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n", nil, 400, HTTPRequestError},
		{"length over limit", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde", small, 413, HTTPRequestError},
		{"chunks over limit", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", small, 413, HTTPRequestError},
		{"bad chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", nil, 400, HTTPRequestError},
		{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", nil, 405, HTTPRequestDenied},
		{"WebSocket without a key", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", nil, 400, HTTPRequestError},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			r := newRig(t, tc.change)
			wantFinal(t, r.ask(tc.request), tc.status, tc.outcome)
			rec := r.wantRecord(tc.outcome, tc.status)
			if rec.Err == nil {
				t.Error("no detail")
			}
			for _, sent := range r.o.Received() {
				if sent != "" {
					t.Errorf("the origin saw %q", sent)
				}
			}
		})
	}
}

func TestALoopIsRefused(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil)
		via := func(v string) string { return "GET / HTTP/1.1\r\nHost: a\r\nVia: " + v + "\r\n\r\n" }
		wantFinal(t, r.ask(via("1.1 x, 2 "+string(r.m.pseudonym)+", 1.1 y")), 508, HTTPRequestDenied)
		r.wantRecord(HTTPRequestDenied, 508)
		// Another instance of the same name is no loop, nor is one we begin like.
		wantStatus(t, r.ask(via("1.1 h2gw-00000000")), 200)
		wantStatus(t, r.ask(via("1.1 "+string(r.m.pseudonym)+"0")), 200)
	})
}

func TestClientFailures(t *testing.T) {
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
	bubble(t, "leaves while the origin is waited for", func(t *testing.T) {
		r := newRig(t, nil, testkit.Silent)
		c := r.open()
		io.WriteString(c, get)
		synctest.Wait()
		c.Reset(codeCancel)
		rec := r.wantRecord(ClientAbort, 499)
		if rec.H2Error != "CANCEL" {
			t.Errorf("h2 error %q", rec.H2Error)
		}
		<-r.o.Conn(1).Done() // and the origin learnt of it
	})
	bubble(t, "closes while the origin is waited for", func(t *testing.T) {
		r := newRig(t, nil, testkit.Silent)
		c := r.open()
		io.WriteString(c, get)
		synctest.Wait()
		c.Close()
		r.wantRecord(ClientAbort, 499)
	})
	bubble(t, "leaves before a byte is read", func(t *testing.T) {
		r := newRig(t, nil)
		r.open().Reset(codeCancel)
		r.wantRecord(ClientAbort, 499)
	})
	bubble(t, "leaves while connecting", func(t *testing.T) {
		g, _ := origin.NewGroup(origin.Config{
			Endpoints: []origin.EndpointConfig{{Addr: "192.0.2.9:80"}},
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		r := newRig(t, func(c *Config) { c.Origins = g })
		start := time.Now()
		c := r.open()
		io.WriteString(c, get)
		synctest.Wait()
		c.Reset(codeCancel)
		r.wantRecord(ClientAbort, 499)
		tcp := r.dial()
		tcp.send(get)
		time.Sleep(30 * time.Millisecond)
		tcp.Close()
		<-tcp.done
		if d := time.Since(start); d > 100*time.Millisecond {
			t.Errorf("took %v", d)
		}
	})
	bubble(t, "does not take the whole response", func(t *testing.T) {
		r := newRig(t, nil, testkit.Serve(testkit.Reply(strings.Repeat("x", 1000))))
		c := r.open()
		io.WriteString(c, get)
		c.CloseWrite()
		buf := make([]byte, 500)
		if _, err := io.ReadFull(c, buf); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.Reset(codeCancel)
		rec := r.wantRecord(ClientAbort, 200)
		if head := strings.Index(string(buf), "\r\n\r\n") + 4; rec.BytesOut != int64(500-head) {
			t.Errorf("bytes_out %d, want %d", rec.BytesOut, 500-head)
		}
	})
	bubble(t, "takes none of the response", func(t *testing.T) {
		r := newRig(t, nil)
		c := r.open()
		io.WriteString(c, get)
		c.CloseWrite()
		synctest.Wait()
		c.Reset(codeCancel)
		if rec := r.wantRecord(ClientAbort, 499); rec.BytesOut != 0 {
			t.Errorf("bytes_out %d", rec.BytesOut)
		}
	})
	bubble(t, "ends its body early", func(t *testing.T) {
		r := newRig(t, nil, testkit.Silent)
		wantFinal(t, r.ask(post+"four"), 400, HTTPRequestError)
		r.wantRecord(HTTPRequestError, 400)
	})
	bubble(t, "sends more than its length", func(t *testing.T) {
		r := newRig(t, nil, testkit.Silent)
		wantFinal(t, r.ask(post+"0123456789x"), 400, HTTPRequestError)
		r.wantRecord(HTTPRequestError, 400)
		for _, sent := range r.o.Received() {
			if strings.Contains(sent, "0123456789") {
				t.Errorf("the origin saw a complete request: %q", sent)
			}
		}
	})
	bubble(t, "stops sending its body", func(t *testing.T) {
		r := newRig(t, nil, testkit.Silent)
		c := r.open()
		defer c.Close()
		start := time.Now()
		io.WriteString(c, post+"four")
		wantFinal(t, r.readAll(c), 408, ClientTimeout)
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("after %v", d)
		}
		c.Close()
		r.wantRecord(ClientTimeout, 408)
	})
	bubble(t, "breaks its chunks after the origin has begun to answer", func(t *testing.T) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadHead()
			c.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
			c.ReadToEnd()
		})
		c := r.open()
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
		synctest.Wait()
		head, _ := c.Peek() // taken: a reset takes back what is not
		c.Discard(len(head))
		io.WriteString(c, "nonsense\r\n")
		r.readAll(c)
		c.Close()
		if rec := r.wantRecord(HTTPRequestError, 200); rec.H2Error != "PROTOCOL_ERROR" {
			t.Errorf("h2 error %q", rec.H2Error)
		}
	})
	bubble(t, "does not read", func(t *testing.T) {
		r := newRig(t, nil, testkit.Serve(testkit.Reply(strings.Repeat("x", 1<<20))))
		c := r.open()
		start := time.Now()
		io.WriteString(c, get)
		c.CloseWrite()
		time.Sleep(31 * time.Second)
		c.Close()
		rec := r.wantRecord(ClientTimeout, 0)
		if rec.H2Error != "CANCEL" || rec.End.Sub(start) > 32*time.Second {
			t.Errorf("%q after %v", rec.H2Error, rec.End.Sub(start))
		}
	})
	bubble(t, "half a head, then nothing", func(t *testing.T) {
		r := newRig(t, nil)
		c := r.open()
		start := time.Now()
		io.WriteString(c, "GET / HTTP/1.1\r\nHo")
		wantFinal(t, r.readAll(c), 408, ClientTimeout)
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("after %v", d)
		}
		c.Close()
		r.wantRecord(ClientTimeout, 408)
	})
}

func TestShutdownAbortsWhatIsLeft(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil, testkit.Silent)
		c := r.open()
		io.WriteString(c, get)
		synctest.Wait()
		go func() { // as a session would when its stream is reset
			io.ReadAll(c)
			c.Close()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if err := r.m.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("Shutdown: %v", err)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("took %v", d)
		}
		if rec := r.wantRecord(GatewayDraining, 0); rec.H2Error != "CANCEL" {
			t.Errorf("h2 error %q", rec.H2Error)
		}
		// A transaction that comes after that never reaches an origin.
		late := r.open()
		io.WriteString(late, get)
		r.readAll(late)
		late.Close()
		synctest.Wait()
		if last := r.records[len(r.records)-1]; last.H2Error != "REFUSED_STREAM" || last.Outcome != GatewayDraining {
			t.Errorf("late: %+v", last)
		}
	})
	bubble(t, "in time", func(t *testing.T) {
		r := newRig(t, nil)
		c := r.dial()
		c.send(get)
		c.want(200, "ok")
		if err := r.m.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		c.wantEnd("drain")
	})
}
