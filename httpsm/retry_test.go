package httpsm

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
)

// onceThenClose serves one request well and closes the connection on the next,
// without a byte: what a restart looks like.
func onceThenClose(c *testkit.OriginConn) {
	if _, ok := c.ReadRequest(); ok {
		c.Send(testkit.Reply("first"))
	}
	c.ReadRequest()
}

func TestARequestIsSentAgainOnlyWhereThatIsSafe(t *testing.T) {
	body := "\r\nContent-Length: 2\r\n\r\nhi"
	for _, tc := range []struct {
		name, request string
		status        int
		retries       int
	}{
		{"GET", get, 200, 1},
		{"DELETE", "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1},
		{"PUT held whole", "PUT / HTTP/1.1\r\nHost: a" + body, 200, 1},
		{"POST", "POST / HTTP/1.1\r\nHost: a" + body, 502, 0},
		{"PATCH", "PATCH / HTTP/1.1\r\nHost: a" + body, 502, 0},
		{"unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 502, 0},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			selected := 0
			hooks := new(Hooks)
			hooks.On(OriginSelected, func(*Txn) Verdict { selected++; return Continue })
			sends := 0
			hooks.On(SendRequestHead, func(*Txn) Verdict { sends++; return Continue })
			r := newRig(t, func(c *Config) { c.Hooks = hooks }, onceThenClose, testkit.Serve(testkit.Reply("second")))
			wantStatus(t, r.ask(get), 200)
			synctest.Wait()
			r.records = nil
			wantStatus(t, r.ask(tc.request), tc.status)
			outcome := Completed
			if tc.status == 502 {
				outcome = ConnectionTerminated
			}
			rec := r.wantRecord(outcome, tc.status)
			if rec.Retries != tc.retries || r.retries(retryReused) != uint64(tc.retries) {
				t.Errorf("retries %d, counted %v", rec.Retries, r.m.Stats().Retries)
			}
			if rec.OriginReused != (tc.retries == 0) {
				t.Errorf("reused %v", rec.OriginReused)
			}
			if selected != 2+tc.retries || sends != 2 {
				t.Errorf("OriginSelected ran %d times, SendRequestHead %d", selected, sends)
			}
			if tc.retries == 1 {
				a, b := r.o.Conn(1).Received(), r.o.Conn(2).Received()
				if a[len(a)-len(b):] != b {
					t.Errorf("sent first %q, then %q", a, b)
				}
			}
		})
	}
	bubble(t, "a large upload is not", func(t *testing.T) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadRequest()
			c.Send(testkit.Reply("first"))
			c.ReadHead()
		}, testkit.Serve(testkit.Reply("second")))
		wantStatus(t, r.ask(get), 200)
		synctest.Wait()
		r.records = nil
		c := r.open()
		c.Write([]byte("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"))
		synctest.Wait()
		wantStatus(t, r.readAll(c), 502)
		c.Close()
		r.wantRecord(ConnectionTerminated, 502)
	})
	bubble(t, "never with retries off", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Retries = -1 }, onceThenClose, testkit.Serve(testkit.Reply("second")))
		wantStatus(t, r.ask(get), 200)
		synctest.Wait()
		wantStatus(t, r.ask(get), 502)
	})
	bubble(t, "not after a byte of the response", func(t *testing.T) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadRequest()
			c.Send(testkit.Reply("first"))
			c.ReadRequest()
			c.Send("H")
		}, testkit.Serve(testkit.Reply("second")))
		wantStatus(t, r.ask(get), 200)
		synctest.Wait()
		wantStatus(t, r.ask(get), 502)
	})
}

// unwritable is a connection that breaks before it takes a byte.
type unwritable struct{ net.Conn }

func (unwritable) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestWhatNeverLeftIsSentAgainWhateverTheMethod(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		o := testkit.NewOrigin(t, testkit.Serve(testkit.Reply("ok")))
		var dials atomic.Int32
		g, err := origin.NewGroup(origin.Config{
			Endpoints: []origin.EndpointConfig{{Addr: o.Addr()}},
			Dial: func(ctx context.Context, n, a string) (net.Conn, error) {
				c, err := o.Dial(ctx, n, a)
				if dials.Add(1) == 1 {
					return unwritable{c}, err
				}
				return c, err
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		r := newRig(t, func(c *Config) { c.Origins = g })
		wantStatus(t, r.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"), 200)
		if rec := r.wantRecord(Completed, 200); rec.Retries != 1 || r.retries(retryNotSent) != 1 {
			t.Errorf("retries %d, counted %v", rec.Retries, r.m.Stats().Retries)
		}
	})
}

func TestARetryAfterAFailedConnectGoesElsewhere(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		o := testkit.NewOrigin(t, testkit.Serve(testkit.Reply("ok")))
		g, err := origin.NewGroup(origin.Config{
			Endpoints: []origin.EndpointConfig{{Addr: "192.0.2.8:80"}, {Addr: "192.0.2.9:80"}},
			Dial: func(ctx context.Context, n, a string) (net.Conn, error) {
				if a == "192.0.2.8:80" {
					return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
				}
				return o.Dial(ctx, n, a)
			},
			Rand: func(int) int { return 0 },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		r := newRig(t, func(c *Config) { c.Origins = g })
		for range 5 {
			wantStatus(t, r.ask(get), 200)
		}
	})
}

func TestOriginConnectionsAreReusedAfterExactEnds(t *testing.T) {
	for _, tc := range []struct {
		name, response string
		conns          int
	}{
		{"length", testkit.Reply("ok"), 1},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1},
		{"none", "HTTP/1.1 204 No Content\r\n\r\n", 1},
		{"origin says close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 3},
		{"HTTP/1.0 origin", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 3},
		{"too many bytes", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", 3},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			r := newRig(t, nil, testkit.Serve(tc.response))
			for range 3 {
				r.ask(get)
				synctest.Wait()
			}
			if n := len(r.o.Conns()); n != tc.conns {
				t.Errorf("%d origin connections, want %d", n, tc.conns)
			}
			for i, rec := range r.records {
				if rec.OriginReused != (i > 0 && tc.conns == 1) || rec.OriginConn == 0 {
					t.Errorf("record %d: %+v", i, rec)
				}
			}
		})
	}
}

func TestAnEarlyResponseIsDeliveredAndTheUploadStopped(t *testing.T) {
	early := func(c *testkit.OriginConn) {
		c.ReadHead()
		c.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
		c.ReadToEnd()
	}
	head := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
	bubble(t, "vconn", func(t *testing.T) {
		r := newRig(t, nil, early)
		c := r.open()
		fmt.Fprint(c, head+"some")
		got := r.readAll(c)
		wantStatus(t, got, 413)
		if _, err := c.Write([]byte("more")); err == nil {
			t.Error("the upload can go on")
		}
		c.Close()
		r.wantRecord(Completed, 413)
		<-r.o.Conn(1).Done() // not kept
	})
	bubble(t, "tcp", func(t *testing.T) {
		r := newRig(t, nil, early)
		c := r.dial()
		c.send(head + "some")
		if res := c.want(413, "big"); !res.Close {
			t.Error("no Connection: close")
		}
		c.Close()
		c.wantEnd("server_closed")
		r.wantRecord(Completed, 413)
	})
}

func TestBothDirectionsFlowAtOnce(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadHead()
			c.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for range 3 {
				c.Expect("4\r\nping\r\n")
				c.Send("4\r\npong\r\n")
			}
			c.Expect("0\r\n\r\n")
			c.Send("0\r\n\r\n")
			c.ReadToEnd()
		})
		c := r.open()
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range 3 {
			time.Sleep(20 * time.Second) // slow, but not too slow
			fmt.Fprint(c, "4\r\nping\r\n")
			synctest.Wait()
			if b, _ := c.Peek(); len(b) == 0 {
				t.Fatal("no answer to this part")
			} else {
				c.Discard(len(b))
			}
		}
		fmt.Fprint(c, "0\r\n\r\n")
		c.CloseWrite()
		r.readAll(c)
		c.Close()
		r.wantRecord(Completed, 200)
	})
}
