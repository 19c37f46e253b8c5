package origin

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

// withOrigin runs a test on an exchange with an origin in a bubble.
func withOrigin(t *testing.T, script testkit.Script, test func(t *testing.T, o *testkit.Origin, x Exchange), change ...func(*Config)) {
	synctest.Test(t, func(t *testing.T) {
		o := testkit.NewOrigin(t, script)
		g := groupOf(t, o, change...)
		test(t, o, get(t, g.Endpoints()[0], false))
	})
}

func TestBufferedGrowsWithEachFill(t *testing.T) {
	script := func(c *testkit.OriginConn) {
		c.Send("HTTP/1.1 ")
		c.Wait(time.Second)
		c.Send("200 OK\r\n")
		c.Wait(time.Second)
		c.Send("\r\n")
	}
	withOrigin(t, script, func(t *testing.T, o *testkit.Origin, x Exchange) {
		if x.Buffered() != nil {
			t.Error("bytes before the first Fill")
		}
		for _, want := range []string{"HTTP/1.1 ", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n\r\n"} {
			if err := x.Fill(); err != nil || string(x.Buffered()) != want {
				t.Fatalf("%q, %v; want %q", x.Buffered(), err, want)
			}
		}
		x.Discard(9)
		if string(x.Buffered()) != "200 OK\r\n\r\n" {
			t.Errorf("after Discard: %q", x.Buffered())
		}
		if err := x.Fill(); err != io.EOF || string(x.Buffered()) != "200 OK\r\n\r\n" {
			t.Errorf("at the end: %v, %q", err, x.Buffered())
		}
		x.Release(true)
	})
}

func TestFillKeepsEveryByteWhileItsBufferMovesAndGrows(t *testing.T) {
	const size = 3 << 20
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i * 7 / 3)
	}
	for name, leave := range map[string]int{ // unread bytes kept at each step
		"discarding all": 0, "keeping one": 1, "keeping much": 12 << 10, "keeping nearly all": 120 << 10,
	} {
		t.Run(name, func(t *testing.T) {
			withOrigin(t, func(c *testkit.OriginConn) { c.Send(string(body)) }, func(t *testing.T, o *testkit.Origin, x Exchange) {
				var got bytes.Buffer
				for {
					if n := len(x.Buffered()); n > leave {
						got.Write(x.Buffered()[:n-leave])
						x.Discard(n - leave)
					}
					if err := x.Fill(); err == io.EOF {
						break
					} else if err != nil {
						t.Fatal(err)
					}
				}
				got.Write(x.Buffered())
				if !bytes.Equal(got.Bytes(), body) {
					t.Errorf("%d bytes, not those that were sent", got.Len())
				}
				x.Release(false)
			})
		})
	}
}

func TestFillIsBounded(t *testing.T) {
	for name, limit := range map[string]int{"default": 0, "least": 1, "odd": 20000, "large": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			withOrigin(t, func(c *testkit.OriginConn) { c.Send(strings.Repeat("x", 2<<20)) },
				func(t *testing.T, o *testkit.Origin, x Exchange) {
					var err error
					for err == nil {
						err = x.Fill()
					}
					want := Config{MaxBuffer: limit}.withDefaults().MaxBuffer
					if n := len(x.Buffered()); err != ErrBufferFull || n < want || n > 4*want {
						t.Errorf("%v with %d bytes, want ErrBufferFull with %d or little more", err, n, want)
					}
					x.Discard(len(x.Buffered()))
					if err := x.Fill(); err != nil {
						t.Errorf("with room again: %v", err)
					}
					x.Release(false)
				}, func(c *Config) { c.MaxBuffer = limit })
		})
	}
}

func TestLongBodiesAreReadInLargePieces(t *testing.T) {
	withOrigin(t, func(c *testkit.OriginConn) { c.Send(strings.Repeat("x", 1<<20)) },
		func(t *testing.T, o *testkit.Origin, x Exchange) {
			fills := 0
			for x.Fill() == nil {
				x.Discard(len(x.Buffered()))
				fills++
			}
			if fills > 20 {
				t.Errorf("%d reads for 1 MiB", fills)
			}
			x.Release(false)
		})
}

func TestDiscardingTooMuchPanics(t *testing.T) {
	withOrigin(t, func(c *testkit.OriginConn) { c.Send("abc") }, func(t *testing.T, o *testkit.Origin, x Exchange) {
		defer x.Release(false)
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		x.Fill()
		x.Discard(4)
	})
}

func TestReleasingTwicePanics(t *testing.T) {
	withOrigin(t, testkit.Silent, func(t *testing.T, o *testkit.Origin, x Exchange) {
		x.Release(true)
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		x.Release(true)
	})
}

func TestReadDeadlines(t *testing.T) {
	withOrigin(t, testkit.Silent, func(t *testing.T, o *testkit.Origin, x Exchange) {
		defer x.Release(false)
		start := time.Now()
		at := func(d time.Duration) time.Time { return start.Add(d) }
		expect := func(d time.Duration) {
			t.Helper()
			err := x.Fill()
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != d {
				t.Errorf("%v after %v, want the deadline at %v", err, time.Since(start), d)
			}
		}
		x.SetReadDeadline(at(2 * time.Second))
		x.SetReadDeadline(at(5 * time.Second)) // later
		expect(5 * time.Second)
		expect(5 * time.Second) // still
		x.SetReadDeadline(at(9 * time.Second))
		x.SetReadDeadline(at(7 * time.Second)) // earlier
		expect(7 * time.Second)
		x.SetReadDeadline(at(8 * time.Second))
		x.SetReadDeadline(time.Time{}) // none
		go func() {
			time.Sleep(time.Hour - 7*time.Second)
			x.SetReadDeadline(at(2 * time.Hour)) // while Fill waits, longer
			x.SetReadDeadline(at(time.Hour + time.Second))
		}()
		expect(time.Hour + time.Second)
	})
}

func TestADeadlineEndsWithItsExchange(t *testing.T) {
	script := func(c *testkit.OriginConn) {
		for i := 0; ; i++ {
			if _, ok := c.ReadRequest(); !ok {
				return
			}
			c.Wait(time.Duration(i) * time.Hour)
			c.Send(response)
		}
	}
	withOrigin(t, script, func(t *testing.T, o *testkit.Origin, x Exchange) {
		e := x.Info().Endpoint
		if err := roundTrip(x); err != nil {
			t.Fatal(err)
		}
		x.Release(true)
		time.Sleep(59 * time.Second) // its deadline was a minute
		x = get(t, e, false)
		x.Write([]byte(request))
		if err := x.Fill(); err != nil || !x.Info().Reused {
			t.Errorf("reused %v, %v", x.Info().Reused, err)
		}
		x.Release(false)
	})
}

func TestWriteDeadlines(t *testing.T) {
	withOrigin(t, testkit.Hang, func(t *testing.T, o *testkit.Origin, x Exchange) {
		defer x.Release(false)
		start := time.Now()
		x.SetWriteDeadline(start.Add(time.Second))
		x.SetWriteDeadline(start.Add(3 * time.Second))
		n, err := x.Write(make([]byte, 1<<20))
		if n != 256<<10 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("wrote %d, %v, after %v", n, err, time.Since(start))
		}
	})
}

func TestALazyWriteDeadlineLosesNoByte(t *testing.T) {
	script := func(c *testkit.OriginConn) {
		for range 100 {
			c.Wait(time.Second)
			c.ReadN(10 << 10)
		}
		c.Expect("!")
	}
	withOrigin(t, script, func(t *testing.T, o *testkit.Origin, x Exchange) {
		start := time.Now()
		x.SetWriteDeadline(start.Add(20 * time.Second))
		x.SetWriteDeadline(start.Add(time.Hour))
		body := append(make([]byte, 1000<<10), '!')
		if n, err := x.Write(body); n != len(body) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		<-o.Conn(1).Done()
		if d := time.Since(start); d != 100*time.Second {
			t.Errorf("took %v", d)
		}
		x.Release(false)
	})
}

func TestAbortUnblocksReadingAndWriting(t *testing.T) {
	withOrigin(t, testkit.Hang, func(t *testing.T, o *testkit.Origin, x Exchange) {
		start := time.Now()
		x.SetReadDeadline(start.Add(time.Hour))
		x.SetWriteDeadline(start.Add(time.Hour))
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := x.Fill(); err != ErrAborted {
				t.Errorf("Fill: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := x.Write(make([]byte, 1<<20)); err != ErrAborted {
				t.Errorf("Write: %v", err)
			}
		})
		synctest.Wait()
		x.Abort()
		wg.Wait()
		if time.Since(start) != 0 {
			t.Errorf("took %v", time.Since(start))
		}
		if err := x.Fill(); err != ErrAborted {
			t.Errorf("Fill after: %v", err)
		}
		x.Release(true)
	})
}

func TestATunnelHasNoDeadline(t *testing.T) {
	withOrigin(t, func(c *testkit.OriginConn) { c.Send("abc"); c.Wait(time.Hour); c.Send("d") }, func(t *testing.T, o *testkit.Origin, x Exchange) {
		x.SetReadDeadline(time.Now().Add(time.Second))
		x.Fill()
		nc := x.NetConn()
		b := make([]byte, 9)
		n, err := nc.Read(b)
		if string(x.Buffered()) != "abc" || string(b[:n]) != "d" || err != nil {
			t.Errorf("%q then %q, %v", x.Buffered(), b[:n], err)
		}
		x.Release(true)
		if _, err := nc.Read(b); err == nil {
			t.Error("not closed")
		}
	})
}

func TestAResetShows(t *testing.T) {
	withOrigin(t, func(c *testkit.OriginConn) { c.Send("x"); c.Wait(time.Second); c.Reset() }, func(t *testing.T, o *testkit.Origin, x Exchange) {
		e := x.Info().Endpoint
		x.Fill()
		x.Discard(1)
		if err := x.Fill(); !testkit.IsReset(err) {
			t.Errorf("%v", err)
		}
		x.Release(true)
		if s := e.Stats(); s.Idle != 0 {
			t.Error("a broken connection was kept")
		}
	})
}
