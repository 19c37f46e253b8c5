package origin

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/netio"
	"github.com/h2gw/h2gw/internal/testkit"
)

// transports are the ways an idle connection can be looked at: a kernel
// socket, TLS over one, a connection in memory, and TLS over that.
var transports = []struct {
	name          string
	memory, overT bool
}{
	{"tcp", false, false}, {"tls", false, true}, {"memory", true, false}, {"tls in memory", true, true},
}

// eachTransport runs a test with an origin on each; script speaks inside TLS.
func eachTransport(t *testing.T, script func(nc net.Conn), test func(t *testing.T, e *Endpoint)) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			cert, pool := certificate(t, "origin.test")
			play := func(c *testkit.OriginConn) {
				nc := c.NetConn()
				if tr.overT {
					tc := tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}})
					if tc.Handshake() != nil {
						return
					}
					nc = tc
				}
				script(nc)
			}
			start := testkit.ListenOrigin
			if tr.memory {
				start = testkit.NewOrigin
			}
			o := start(t, play)
			g := groupOf(t, o, func(c *Config) {
				c.Endpoints[0].TLS = tr.overT
				c.Endpoints[0].ServerName = "origin.test"
				c.TLS = &tls.Config{RootCAs: pool}
				if !tr.memory {
					c.Dial = nil
				}
			})
			test(t, g.Endpoints()[0])
		})
	}
}

// readRequest reads the one request these tests send.
func readRequest(nc net.Conn) bool {
	_, err := io.ReadFull(nc, make([]byte, len(request)))
	return err == nil
}

// rounds is how often each case is run: a TLS handshake costs a hundred times
// as much as a connect.
func rounds(e *Endpoint) int {
	switch {
	case testing.Short():
		return 50
	case e.TLS():
		return 300
	}
	return 2000
}

func TestQuietConnectionsAreReusedOnEveryTransport(t *testing.T) {
	serve := func(nc net.Conn) {
		for readRequest(nc) {
			io.WriteString(nc, response)
		}
	}
	eachTransport(t, serve, func(t *testing.T, e *Endpoint) {
		for range rounds(e) {
			use(t, e)
		}
		if s := e.Stats(); s.Connects["ok"] != 1 || s.Reused != s.Requests-1 || s.IdleClosed+s.IdleUnexpected != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The origin answers, and then closes as soon as the response has been read
// whole and the connection put back.
func TestConnectionsClosedWhileIdleAreNotUsed(t *testing.T) {
	closing := make(chan chan bool, 1)
	serve := func(nc net.Conn) {
		if readRequest(nc) {
			io.WriteString(nc, response)
			done := <-closing
			nc.Close()
			done <- true
		}
	}
	eachTransport(t, serve, func(t *testing.T, e *Endpoint) {
		n := rounds(e)
		for range n {
			if use(t, e).Reused {
				t.Fatal("a closed connection was reused")
			}
			done := make(chan bool)
			closing <- done
			<-done
			settle(t, e)
		}
		eventually(t, func() bool { return e.Stats().IdleClosed == noticed(e, n) })
		if s := e.Stats(); s.IdleClosed != noticed(e, n) || s.IdleUnexpected != 0 || s.Connects["ok"] != uint64(n) {
			t.Errorf("%+v", s)
		}
	})
}

func TestConnectionsWithUnexpectedBytesAreNotUsed(t *testing.T) {
	speak := make(chan chan bool, 1)
	serve := func(nc net.Conn) {
		if readRequest(nc) {
			io.WriteString(nc, response)
			done := <-speak
			io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
			done <- true
			nc.Read(make([]byte, 1)) // until the client closes
		}
	}
	eachTransport(t, serve, func(t *testing.T, e *Endpoint) {
		n := rounds(e)
		for range n {
			if use(t, e).Reused {
				t.Fatal("a poisoned connection was reused")
			}
			done := make(chan bool)
			speak <- done
			<-done
			settle(t, e)
		}
		eventually(t, func() bool { return e.Stats().IdleUnexpected == noticed(e, n) })
		if s := e.Stats(); s.IdleUnexpected != noticed(e, n) || s.IdleClosed != 0 || s.Connects["ok"] != uint64(n) {
			t.Errorf("%+v", s)
		}
	})
}

// Bytes that follow the response at once can share its TLS record or its read:
// they are buffered, in the exchange or inside crypto/tls, when it is released.
func TestBytesRightBehindTheResponseEndTheConnection(t *testing.T) {
	for name, send := range map[string]func(nc net.Conn){
		"one write":  func(nc net.Conn) { io.WriteString(nc, response+"HTTP/1.1 200 OK\r\n\r\n") },
		"two writes": func(nc net.Conn) { io.WriteString(nc, response); io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			sent := make(chan bool, 1)
			serve := func(nc net.Conn) {
				if readRequest(nc) {
					send(nc)
					sent <- true
					nc.Read(make([]byte, 1))
				}
			}
			eachTransport(t, serve, func(t *testing.T, e *Endpoint) {
				for range rounds(e) / 10 {
					x := get(t, e, false)
					if x.Info().Reused {
						t.Fatal("reused")
					}
					x.Write([]byte(request))
					<-sent // both are under way before the first read
					for len(x.Buffered()) < len(response) {
						if err := x.Fill(); err != nil {
							t.Fatal(err)
						}
					}
					x.Discard(len(response))
					x.Release(true)
					settle(t, e)
				}
			})
		})
	}
}

// Part of a TLS record could be the first half of a response that nobody asked
// for.
func TestHalfATLSRecordEndsTheConnection(t *testing.T) {
	speak := make(chan chan bool, 1)
	serve := func(nc net.Conn) {
		tc, ok := nc.(*tls.Conn)
		if readRequest(nc) && ok {
			io.WriteString(nc, response)
			done := <-speak
			tc.NetConn().Write([]byte("\x17\x03\x03\x00\x40half"))
			done <- true
			nc.Read(make([]byte, 1))
		}
	}
	eachTransport(t, serve, func(t *testing.T, e *Endpoint) {
		if !e.TLS() || e.group.cfg.Dial != nil {
			t.Skip("kernel sockets with TLS only: a watcher waits for whole records")
		}
		use(t, e)
		done := make(chan bool)
		speak <- done
		<-done
		x := get(t, e, false)
		if x.Info().Reused || e.Stats().IdleUnexpected != 1 {
			t.Errorf("reused %v, %+v", x.Info().Reused, e.Stats())
		}
		x.Release(false)
	})
}

// noticed is how many of n connections spoiled one after the other are counted:
// without a poller the last one is noticed by who wants to use it.
func noticed(e *Endpoint, n int) uint64 {
	if netio.CanPoll && !e.TLS() && e.group.cfg.Dial == nil {
		return uint64(n)
	}
	return uint64(n - 1)
}

// settle waits until what the origin has sent is noticed: loopback delivers at
// once, but a poller must have run, or a watcher.
func settle(t *testing.T, e *Endpoint) {
	t.Helper()
	var w *watcher
	for start := time.Now(); ; time.Sleep(20 * time.Microsecond) { // yields a lone processor
		first := &e.pool.idle[0]
		first.mu.Lock()
		polled := false
		if n := len(first.conns); n > 0 {
			w, polled = first.conns[n-1].watcher, first.conns[n-1].poller != nil
		}
		first.mu.Unlock()
		if !polled {
			break
		}
		if time.Since(start) > patience {
			t.Fatal("the poller saw nothing")
		}
	}
	if w != nil {
		select {
		case <-w.done:
		case <-time.After(patience):
			t.Fatal("the watcher saw nothing")
		}
	}
}

// A lazy deadline may be left on an idle connection and pass there.
func TestADeadlinePassedWhileIdleDoesNotMatter(t *testing.T) {
	serve := func(nc net.Conn) {
		for readRequest(nc) {
			io.WriteString(nc, response)
		}
	}
	eachTransport(t, serve, func(t *testing.T, e *Endpoint) {
		for range 20 {
			x := get(t, e, false)
			if err := roundTrip(x); err != nil {
				t.Fatal(err)
			}
			x.SetReadDeadline(time.Now().Add(-time.Second))
			x.SetWriteDeadline(time.Now().Add(-time.Second))
			x.Release(true)
		}
		if s := e.Stats(); s.Reused != 19 {
			t.Errorf("%+v", s)
		}
	})
}

func TestManyUseAGroupAtOnce(t *testing.T) {
	serve := func(nc net.Conn) {
		for i := 0; readRequest(nc) && i < 50; i++ { // then closes as its client may be reusing it
			io.WriteString(nc, response)
		}
	}
	eachTransport(t, serve, func(t *testing.T, e *Endpoint) {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for i := range rounds(e) / 10 {
					x := get(t, e, i%10 == 9)
					if i%7 == 0 {
						wg.Go(x.Abort)
						x.Fill()
						x.Release(true)
						continue
					}
					err := roundTrip(x)
					x.Release(err == nil)
				}
			})
		}
		wg.Wait()
		s := e.Stats()
		if s.Active != 0 || s.InFlight != 0 || s.Waiting != 0 || s.Connects["error"] != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// RFC 9112 section 9.8: over TLS only an announced end is an end.
func TestTheEndOfATLSConnectionCountsOnlyIfAnnounced(t *testing.T) {
	for _, tc := range []struct {
		name           string
		close          func(nc net.Conn)
		plain, overTLS error
	}{
		{"announced", func(nc net.Conn) { nc.Close() }, io.EOF, io.EOF},
		{"cut", func(nc net.Conn) {
			if tc, ok := nc.(*tls.Conn); ok {
				nc = tc.NetConn()
			}
			nc.Close()
		}, io.EOF, io.ErrUnexpectedEOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			serve := func(nc net.Conn) {
				if readRequest(nc) {
					io.WriteString(nc, response)
					tc.close(nc)
				}
			}
			eachTransport(t, serve, func(t *testing.T, e *Endpoint) {
				x := get(t, e, false)
				if err := roundTrip(x); err != nil {
					t.Fatal(err)
				}
				want := tc.plain
				if e.TLS() {
					want = tc.overTLS
				}
				for range 2 { // it stays so
					if err := x.Fill(); err != want {
						t.Errorf("the end is %v, want %v", err, want)
					}
				}
				x.Release(true)
			})
		})
	}
}
