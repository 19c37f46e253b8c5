package httpsm

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
)

// overBoth runs f with a client on an HTTP/1.1 connection and with one on a
// virtual connection.
func overBoth(t *testing.T, name string, f func(t *testing.T, dial func(r *rig) net.Conn)) {
	t.Run(name, func(t *testing.T) {
		bubble(t, "tcp", func(t *testing.T) {
			f(t, func(r *rig) net.Conn { return r.dial() })
		})
		bubble(t, "vconn", func(t *testing.T) {
			f(t, func(r *rig) net.Conn { return r.open() })
		})
	})
}

// trickle sends a request of total bytes, size bytes at a time and pause after
// each, until the connection ends; done is closed then.
func trickle(c net.Conn, total, size int, pause time.Duration) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		send(c, total, size, pause)
	}()
	return done
}

func send(c net.Conn, total, size int, pause time.Duration) {
	head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", total)
	if _, err := io.WriteString(c, head); err != nil {
		return
	}
	for left := total; left > 0; left -= size {
		if _, err := io.WriteString(c, strings.Repeat("x", min(size, left))); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// firstAnswer reads the head of the response.
func firstAnswer(t *testing.T, c net.Conn) string {
	t.Helper()
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), "\r\n\r\n") {
		n, err := c.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			t.Fatalf("%q, %v", got.String(), err)
		}
	}
	return got.String()
}

// A client that is never silent for long and yet will never be done (slow POST)
// is told 408 when its first span is over.
func TestABodySlowerThanTheRateIsRefused(t *testing.T) {
	overBoth(t, "a byte a second", func(t *testing.T, dial func(r *rig) net.Conn) {
		r := newRig(t, nil, testkit.Silent)
		c := dial(r)
		start := time.Now()
		done := trickle(c, 1<<20, 1, time.Second)
		wantStatus(t, firstAnswer(t, c), 408)
		if d := time.Since(start); d < 30*time.Second || d > 32*time.Second {
			t.Errorf("after %v, want 30s", d)
		}
		c.Close()
		<-done
		r.wantRecord(ClientTimeout, 408)
		if h, ok := c.(*tcpClient); ok {
			h.wantEnd(pitag.CauseBodyTimeout)
		}
	})
}

// Slow is not stopped: who sends as much as is asked on an average, however
// unevenly, may take as long as it likes.
func TestASlowButHonestBodyIsTaken(t *testing.T) {
	for _, tc := range []struct {
		name  string
		total int
		size  int
		pause time.Duration
	}{
		{"steadily", 600 * 250, 250, time.Second},
		{"in bursts", 20 * 8000, 8000, 29 * time.Second},
		{"all but at once", 1 << 20, 32 << 10, time.Millisecond},
	} {
		overBoth(t, tc.name, func(t *testing.T, dial func(r *rig) net.Conn) {
			r := newRig(t, nil)
			c := dial(r)
			done := trickle(c, tc.total, tc.size, tc.pause)
			wantStatus(t, firstAnswer(t, c), 200)
			c.Close()
			<-done
			if rec := r.wantRecord(Completed, 200); rec.BytesIn != int64(tc.total) {
				t.Errorf("bytes_in %d, want %d", rec.BytesIn, tc.total)
			}
		})
	}
}

// A client that is held back, because the origin takes the body slowly, is not
// to blame for the pace.
func TestAClientHeldBackByTheOriginIsNotBlamed(t *testing.T) {
	overBoth(t, "", func(t *testing.T, dial func(r *rig) net.Conn) {
		const total = 2 << 20
		r := newRig(t, func(c *Config) { c.Limits.RequestBodyRate, c.Timeouts.ResponseHead = 10_000, time.Hour }, func(c *testkit.OriginConn) {
			c.ReadHead()
			for left := total; left > 0; left -= 64 << 10 {
				time.Sleep(50 * time.Second)
				c.ReadN(64 << 10)
			}
			c.Send(testkit.Reply("ok"))
			c.ReadToEnd()
		})
		c := dial(r)
		start := time.Now()
		done := trickle(c, total, 32<<10, 0)
		wantStatus(t, firstAnswer(t, c), 200)
		if d := time.Since(start); d < 20*time.Minute {
			t.Errorf("after %v: the origin did not hold anybody back", d)
		}
		c.Close()
		<-done
		r.wantRecord(Completed, 200)
	})
}

// When the response has begun, both may be talking in turns.
func TestThePaceIsNotAskedForInAConversation(t *testing.T) {
	overBoth(t, "", func(t *testing.T, dial func(r *rig) net.Conn) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadHead()
			c.Send("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")
			for range 40 {
				c.Send(c.ReadN(1))
			}
			c.ReadToEnd()
		})
		c := dial(r)
		done := trickle(c, 40, 1, 20*time.Second)
		b, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(string(b), "\r\n\r\n"+strings.Repeat("x", 40)) {
			t.Errorf("%q, %v", b, err)
		}
		c.Close()
		<-done
		r.wantRecord(Completed, 200)
	})
}

// Off is off: then only silence ends it.
func TestThePaceCanBeOff(t *testing.T) {
	overBoth(t, "", func(t *testing.T, dial func(r *rig) net.Conn) {
		r := newRig(t, func(c *Config) { c.Limits.RequestBodyRate = -1 })
		c := dial(r)
		done := trickle(c, 100, 1, 29*time.Second)
		wantStatus(t, firstAnswer(t, c), 200)
		c.Close()
		<-done
		r.wantRecord(Completed, 200)
	})
}

// With request_body_idle off the pace is still asked for, over 30 seconds.
func TestThePaceIsAskedForWithoutAnIdleTimeout(t *testing.T) {
	overBoth(t, "", func(t *testing.T, dial func(r *rig) net.Conn) {
		r := newRig(t, func(c *Config) { c.Timeouts.RequestBodyIdle = -1 }, testkit.Silent)
		c := dial(r)
		start := time.Now()
		done := trickle(c, 1000, 1, 20*time.Second)
		wantStatus(t, firstAnswer(t, c), 408)
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("after %v, want 30s", d)
		}
		c.Close()
		<-done
		r.wantRecord(ClientTimeout, 408)
	})
}

// A client that waits for 100 Continue waits for the origin (RFC 9110 section
// 10.1.1): that it sends nothing is not its fault, until it was told to.
func TestWhoIsSilentWhen100ContinueIsExpected(t *testing.T) {
	const expect = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
	overBoth(t, "the origin", func(t *testing.T, dial func(r *rig) net.Conn) {
		r := newRig(t, nil, testkit.Silent)
		c := dial(r)
		start := time.Now()
		io.WriteString(c, expect)
		wantFinal(t, firstAnswer(t, c), 504, HTTPResponseTimeout)
		if d := time.Since(start); d != 60*time.Second {
			t.Errorf("after %v, want 60s", d)
		}
		c.Close()
		r.wantRecord(HTTPResponseTimeout, 504)
	})
	overBoth(t, "the client, asked to go on", func(t *testing.T, dial func(r *rig) net.Conn) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadHead()
			c.Wait(50 * time.Second)
			c.Send("HTTP/1.1 100 Continue\r\n\r\n")
			c.ReadToEnd()
		})
		c := dial(r)
		start := time.Now()
		io.WriteString(c, expect)
		if got := firstAnswer(t, c); !strings.HasPrefix(got, "HTTP/1.1 100 Continue") {
			t.Fatalf("%q", got)
		}
		wantFinal(t, firstAnswer(t, c), 408, ClientTimeout)
		if d := time.Since(start); d != 80*time.Second {
			t.Errorf("after %v, want 30s after the 100 Continue", d)
		}
		c.Close()
		r.wantRecord(ClientTimeout, 408)
	})
}
