package httpsm

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
)

func TestHTTP1ConnectionsEndForAReason(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Config)
		do     func(*tcpClient)
		origin testkit.Script
		cause  pitag.Cause
		after  time.Duration
		count  uint64
	}{
		{"no first byte", nil, func(c *tcpClient) { <-c.done }, nil, pitag.CausePrefaceTimeout, 10 * time.Second, 0},
		{"closed at once", nil, func(c *tcpClient) { c.Close() }, nil, pitag.CauseClientClosed, 0, 0},
		{"empty lines only", nil, func(c *tcpClient) { c.send("\r\n"); <-c.done }, nil, pitag.CausePrefaceTimeout, 10 * time.Second, 0},
		{"reset while idle", nil, func(c *tcpClient) { c.send(get); c.want(200, "ok"); c.Reset() }, nil, pitag.CauseClientReset, 0, 1},
		{"idle after a request", nil, func(c *tcpClient) { c.send(get); c.want(200, "ok"); <-c.done }, nil, pitag.CauseIdleTimeout, 120 * time.Second, 1},
		{"half a head", nil, func(c *tcpClient) { c.send("GET"); c.want(408, "*"); c.Close() }, nil, pitag.CauseHeadTimeout, 10 * time.Second, 1},
		// Ten seconds from its first byte, then two of reading what still comes.
		{"a head byte by byte", nil, func(c *tcpClient) {
			for _, b := range get[:30] {
				c.Conn.Write([]byte{byte(b)})
				time.Sleep(time.Second)
			}
			c.Close()
		}, nil, pitag.CauseHeadTimeout, 12 * time.Second, 1},
		{"closed in the head", nil, func(c *tcpClient) { c.send("GET"); synctest.Wait(); c.Close() }, nil, pitag.CauseClientReset, 0, 1},
		{"malformed", nil, func(c *tcpClient) { c.send("\x16\x03\x01\r\n\r\n"); c.want(400, "*"); c.Close() }, nil, pitag.CauseClientError, 0, 1},
		{"Connection: close", nil, func(c *tcpClient) {
			c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			if !c.want(200, "ok").Close {
				t.Error("no Connection: close")
			}
		}, nil, pitag.CauseServerClosed, 0, 1},
		{"HTTP/1.0", nil, func(c *tcpClient) { c.send("GET / HTTP/1.0\r\n\r\n"); c.want(200, "ok") }, nil, pitag.CauseServerClosed, 0, 1},
		{"HTTP/1.0 kept alive", nil, func(c *tcpClient) {
			for range 2 {
				c.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
				if c.want(200, "ok").Header.Get("Connection") != "keep-alive" {
					t.Error("no Connection: keep-alive")
				}
			}
			c.Close()
		}, nil, pitag.CauseClientClosed, 0, 2},
		{"body stops", nil, func(c *tcpClient) {
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
			c.want(408, "*")
			c.Close()
		}, testkit.Silent, pitag.CauseBodyTimeout, 30 * time.Second, 1},
		{"reads nothing", nil, func(c *tcpClient) { c.send(get); <-c.done },
			testkit.Serve(testkit.Reply(strings.Repeat("x", 1<<20))), pitag.CauseWriteStall, 60 * time.Second, 1},
		{"too old while idle", func(c *Config) { c.Timeouts.SessionAge = 30 * time.Second }, func(c *tcpClient) { c.send(get); c.want(200, "ok"); <-c.done },
			nil, pitag.CauseMaxAge, 30 * time.Second, 1},
		{"too old with a response", func(c *Config) { c.Timeouts.SessionAge = 30 * time.Second }, func(c *tcpClient) {
			time.Sleep(time.Second)
			c.send(get)
			if !c.want(200, "slow").Close {
				t.Error("no Connection: close")
			}
		}, func(c *testkit.OriginConn) {
			c.ReadRequest()
			c.Wait(40 * time.Second)
			c.Send(testkit.Reply("slow"))
			c.ReadToEnd()
		}, pitag.CauseMaxAge, 41 * time.Second, 1},
		{"leaves while the origin is slow", nil, func(c *tcpClient) { c.send(get); time.Sleep(time.Second); c.Close() },
			testkit.Silent, pitag.CauseClientReset, time.Second, 1},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			var scripts []testkit.Script
			if tc.origin != nil {
				scripts = append(scripts, tc.origin)
			}
			r := newRig(t, tc.change, scripts...)
			start := time.Now()
			c := r.dial()
			tc.do(c)
			rec := c.wantEnd(tc.cause)
			if d := rec.End.Sub(start); d != tc.after {
				t.Errorf("ended after %v, want %v", d, tc.after)
			}
			if rec.Streams != tc.count || len(r.records) != int(tc.count) {
				t.Errorf("streams %d, records %d, want %d", rec.Streams, len(r.records), tc.count)
			}
			c.Close()
		})
	}
}

func TestBytesOfASessionAreCounted(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil)
		c := r.dial()
		c.send(get + get)
		c.want(200, "ok")
		c.want(200, "ok")
		c.Close()
		rec := c.wantEnd(pitag.CauseClientClosed)
		if rec.BytesIn != uint64(2*len(get)) || rec.BytesOut == 0 || rec.Streams != 2 || rec.StreamsPeak != 1 {
			t.Errorf("%+v", rec)
		}
		if r.records[1].Txn != 2 || r.records[1].Session.Identity != rec.Identity {
			t.Errorf("record %+v", r.records[1])
		}
	})
}

func TestPipelinedRequestsWithBodiesKeepTheirBounds(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			for {
				q, ok := c.ReadRequest()
				if !ok {
					return
				}
				c.Wait(50 * time.Millisecond) // long enough to be watched
				c.Send(testkit.Reply(q.Target() + "=" + q.Body))
			}
		})
		c := r.dial()
		big := strings.Repeat("b", 100_000)
		go io.WriteString(c, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"+
			"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"+
			"POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"+big+get)
		c.want(200, "/1=one")
		c.want(200, "/2=two")
		c.want(200, "/3="+big)
		c.want(200, "/a?b=c=")
		c.Close()
		c.wantEnd(pitag.CauseClientClosed)
	})
}

func TestAfterAMalformedRequestNothingMoreIsRead(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil)
		c := r.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n" + get)
		if !c.want(400, "*").Close {
			t.Error("no Connection: close")
		}
		if n, err := c.br.ReadByte(); err != io.EOF {
			t.Errorf("then %q, %v", n, err)
		}
		c.Close()
		c.wantEnd(pitag.CauseClientError)
		if len(r.o.Conns()) != 0 {
			t.Error("the origin was asked")
		}
	})
}

func TestHTTP10ClientsGetNoChunksAndNoInterimHeads(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil, testkit.Serve("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
		c := r.dial()
		c.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
		b, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200 ") || !strings.HasSuffix(string(b), "Connection: close\r\n\r\nok") || strings.Contains(string(b), "chunked") {
			t.Errorf("got %q, %v", b, err)
		}
		c.Close()
		c.wantEnd(pitag.CauseServerClosed)
	})
}

func TestDrain(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			for {
				if _, ok := c.ReadRequest(); !ok {
					return
				}
				c.Wait(time.Second)
				c.Send(testkit.Reply("ok"))
			}
		})
		idle, busy := r.dial(), r.dial()
		idle.send(get)
		idle.want(200, "ok")
		busy.send(get)
		synctest.Wait()
		r.m.Drain()
		idle.wantEnd(pitag.CauseDrain)
		if !busy.want(200, "ok").Close {
			t.Error("no Connection: close")
		}
		busy.wantEnd(pitag.CauseDrain)
		late := r.dial()
		late.wantEnd(pitag.CauseDrain)
		for _, c := range []*tcpClient{idle, busy, late} {
			c.Close()
		}
	})
}

func TestTheContextOfServeConnEndsIt(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil, testkit.Silent)
		client, server := testkit.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if rec := r.m.ServeConn(ctx, server, r.session()); rec.Cause != pitag.CauseDrain {
				t.Errorf("cause %s", rec.Cause)
			}
		}()
		io.WriteString(client, get)
		synctest.Wait()
		cancel()
		<-done
		r.wantRecord(GatewayDraining, 0)
		client.Close()
	})
}

func TestExpectIsAnsweredByTheOrigin(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadHead()
			c.Wait(40 * time.Second) // longer than a body may pause
			c.Send("HTTP/1.1 100 Continue\r\n\r\n")
			c.ReadN(5)
			c.Send(testkit.Reply("ok"))
			c.ReadToEnd()
		})
		c := r.dial()
		c.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		line, err := c.br.ReadString('\n')
		if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		for line != "\r\n" {
			line, _ = c.br.ReadString('\n')
		}
		c.send("hello")
		c.want(200, "ok")
		c.Close()
		c.wantEnd(pitag.CauseClientClosed)
	})
}

// A slow upload is the client's affair: the origin's time to answer begins when
// the request is complete.
func TestTheOriginsTimeBeginsAfterTheRequest(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Limits.RequestBodyRate = -1 }, testkit.Silent)
		c := r.open()
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
		for range 10 {
			time.Sleep(20 * time.Second)
			io.WriteString(c, "x")
		}
		start := time.Now()
		wantFinal(t, r.readAll(c), 504, HTTPResponseTimeout)
		if d := time.Since(start); d != 60*time.Second {
			t.Errorf("after %v", d)
		}
		c.Close()
		r.wantRecord(HTTPResponseTimeout, 504)
	})
}
