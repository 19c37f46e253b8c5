package h2session

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/vconn"
)

func window(n uint32) http2.Setting {
	return http2.Setting{ID: http2.SettingInitialWindowSize, Val: n}
}

// send answers every request with n bytes.
func send(n int) handler {
	return func(_ *http.Request, c *vconn.Conn) { respond(c, 200, strings.Repeat("x", n)) }
}

func TestResponseWaitsForTheStreamWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, send(10))
		cl.Handshake(window(3))
		cl.Get(1, "/")
		cl.WantHeaders(1, false)
		if got := cl.WantData(1, false); len(got) != 3 {
			t.Errorf("got %q", got)
		}
		cl.WantIdle()
		time.Sleep(2 * time.Second)
		cl.Window(1, 4)
		if got := cl.WantData(1, false); len(got) != 4 {
			t.Errorf("got %q", got)
		}
		cl.Window(1, 3)
		if got := cl.WantData(1, true); len(got) != 3 {
			t.Errorf("got %q", got)
		}
		cl.WantIdle()
		if d := cl.srv.Stats().Stalled["stream_window"]; d != 2*time.Second {
			t.Errorf("stalled for %v, want 2s", d)
		}
		cl.end()
	})
}

// END_STREAM needs no window: a body that fits it exactly ends at once, whatever
// its framing in HTTP/1.1.
func TestExactWindow(t *testing.T) {
	for name, text := range map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
		"close":   "HTTP/1.1 200 OK\r\n\r\nhello",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, func(_ *http.Request, c *vconn.Conn) { io.WriteString(c, text) })
				cl.Handshake(window(5))
				cl.Get(1, "/")
				cl.WantHeaders(1, false)
				if body, _ := cl.WantBody(1); string(body) != "hello" {
					t.Errorf("body %q", body)
				}
				cl.end()
			})
		})
	}
}

func TestResponseWaitsForTheSessionWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, send(60_000))
		cl.Handshake(window(1 << 20))
		cl.Get(1, "/")
		cl.WantHeaders(1, false)
		cl.WantBody(1)
		cl.Get(3, "/")
		cl.WantHeaders(3, false)
		if got := len(cl.WantData(3, false)); got != 65535-60_000 {
			t.Errorf("got %d bytes", got)
		}
		cl.Get(5, "/") // heads need no window
		cl.WantHeaders(5, false)
		cl.WantIdle()
		time.Sleep(time.Second)
		cl.Window(0, 1<<20)
		seen := map[uint32]int{}
		for ends := 0; ends < 2; {
			f, err := cl.Next()
			if err != nil {
				t.Fatal(err)
			}
			seen[f.Stream] += len(f.Payload)
			if f.End() {
				ends++
			}
		}
		if seen[3] != 120_000-65535 || seen[5] != 60_000 {
			t.Errorf("got %v", seen)
		}
		cl.WantIdle()
		if d := cl.srv.Stats().Stalled["session_window"]; d != 2*time.Second { // two streams
			t.Errorf("stalled for %v, want 2s", d)
		}
		cl.end()
	})
}

// A SETTINGS that shrinks windows can make them negative (RFC 9113, 6.9.2).
func TestNegativeWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, send(10))
		cl.Handshake(window(8))
		cl.Get(1, "/")
		cl.WantHeaders(1, false)
		cl.WantData(1, false)
		cl.Settings(window(3)) // the stream's window is -5 now
		cl.WantSettingsAck()
		cl.Window(1, 5) // 0
		cl.WantIdle()
		cl.Window(1, 1)
		if got := cl.WantData(1, false); len(got) != 1 {
			t.Errorf("got %q", got)
		}
		cl.Settings(window(8)) // grows by 5
		cl.WantSettingsAck()
		if got := cl.WantData(1, true); len(got) != 1 {
			t.Errorf("got %q", got)
		}
		cl.end()
	})
}

// The credit of a request body returns when the transaction reads it, not before.
func TestCreditReturnsWhenRead(t *testing.T) {
	for _, length := range []string{"", "100000"} {
		t.Run("length="+length, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				read := make(chan int)
				cl := start(t, Config{StreamWindow: 100_000, SessionWindow: 100_000}, func(r *http.Request, c *vconn.Conn) {
					for n := range read {
						if _, err := io.CopyN(io.Discard, r.Body, int64(n)); err != nil {
							t.Error(err)
						}
					}
					respond(c, 200, "")
				})
				cl.Handshake()
				cl.Credit(0) // what made the session window larger than the default
				if length == "" {
					cl.Post(1, "/")
				} else {
					cl.Post(1, "/", "content-length", length)
				}
				for range 10 {
					cl.Data(1, false, strings.Repeat("x", 10_000))
				}
				cl.WantIdle()
				if n, m := cl.Credit(1), cl.Credit(0); n != 0 || m != 0 {
					t.Errorf("credit %d, %d before anything was read", n, m)
				}
				read <- 40_000
				cl.WantIdle()
				if n, m := cl.Credit(1), cl.Credit(0); n != 0 || m != 0 {
					t.Errorf("credit %d, %d for less than half a window", n, m)
				}
				read <- 40_000
				cl.WantIdle()
				n, m := cl.Credit(1), cl.Credit(0)
				if n < 50_000 || n > 90_000 || m != n {
					t.Errorf("credit %d, %d after 80,000 bytes were read", n, m)
				}
				read <- 20_000
				close(read)
				cl.Data(1, true, "")
				cl.WantHeaders(1, true)
				cl.end()
			})
		})
	}
}

func TestClientExceedsWindows(t *testing.T) {
	big := strings.Repeat("x", 16<<10)
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{StreamWindow: 70_000, SessionWindow: 1 << 20}, waitOr(nil))
		cl.Handshake()
		cl.Post(1, "/wait")
		for range 4 {
			cl.Data(1, false, big)
		}
		cl.WantIdle()
		cl.Data(1, false, big)
		cl.WantReset(1, codeFlowControl)
		cl.end()
	})
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{StreamWindow: 70_000, SessionWindow: 70_000}, waitOr(nil))
		cl.Handshake()
		cl.Post(1, "/wait")
		for range 4 {
			cl.Data(1, false, big)
		}
		cl.Post(3, "/wait")
		cl.WantIdle()
		cl.Data(3, false, big)
		cl.WantGoAway(codeFlowControl)
		cl.WantClosed()
		cl.end()
	})
}

// What nobody is going to read is given back to the session at once: streams
// that are reset, closed, or whose transaction stopped reading.
func TestDiscardedBytesAreRefunded(t *testing.T) {
	data := strings.Repeat("x", 10_000)
	tests := map[string]func(cl *bench, id uint32){
		"reset by the client": func(cl *bench, id uint32) {
			cl.Post(id, "/wait")
			cl.Data(id, false, data)
			cl.Reset(id, codeCancel)
		},
		"reset by us": func(cl *bench, id uint32) {
			cl.Headers(id, false, Bad...)
			cl.WantReset(id, codeProtocol)
			cl.Data(id, false, data)
		},
		"padding": func(cl *bench, id uint32) {
			cl.Post(id, "/wait")
			for range 40 {
				cl.PaddedData(id, false, "", 249)
			}
			cl.Reset(id, codeCancel)
		},
		"refused": func(cl *bench, id uint32) {
			cl.Post(id, "/wait", "content-length", "1")
			cl.Data(id, false, data)
			cl.WantReset(id, codeProtocol)
		},
		"answered early": func(cl *bench, id uint32) {
			cl.Post(id, "/early")
			cl.WantHeaders(id, true)
			cl.WantReset(id, codeNo)
			cl.Data(id, false, data)
		},
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{SessionWindow: 70_000, Floods: noBounds()}, waitOr(func(_ *http.Request, c *vconn.Conn) { respond(c, 200, "") }))
				cl.Handshake()
				cl.Credit(0)
				total := 0
				for id := uint32(1); id < 21; id += 2 { // 100,000 bytes in all
					f(cl, id)
					cl.WantIdle()
					total += cl.Credit(0)
				}
				if total < 60_000 || total > 100_000 {
					t.Errorf("%d bytes of credit returned", total)
				}
				cl.end()
			})
		})
	}
}

// One stalled transaction does not take the window from the others.
func TestStalledUploadLeavesRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, waitOr(hello))
		set := cl.Handshake()
		cl.Post(1, "/wait")
		left := int(set[http2.SettingInitialWindowSize])
		for ; left > 0; left -= min(left, 16<<10) {
			cl.Data(1, false, strings.Repeat("x", min(left, 16<<10)))
		}
		cl.Post(3, "/")
		cl.Data(3, true, "abc")
		cl.WantHeaders(3, false)
		cl.WantBody(3)
		cl.end()
	})
}

// Ready streams take turns.
func TestStreamsTakeTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 200_000
		cl := start(t, Config{}, send(n))
		cl.Handshake(window(closedWindow / 2)) // which is no closed one
		cl.Window(0, 1<<20)
		cl.Get(1, "/")
		cl.Get(3, "/")
		synctest.Wait()
		cl.Settings(window(1 << 20)) // both are ready now
		got := map[uint32]int{}
		for got[1] < n || got[3] < n {
			f, err := cl.Next()
			if err != nil {
				t.Fatal(err)
			}
			got[f.Stream] += len(f.Payload)
			// As far as both have something to say, which is what their virtual
			// connections hold.
			if d := got[1] - got[3]; max(got[1], got[3]) < 60_000 && (d > sliceSize || d < -sliceSize) {
				t.Fatalf("one stream is ahead of the other: %v", got)
			}
		}
		cl.end()
	})
}

// Tiny DATA frames cost six times their size as chunks; they fit all the same.
func TestTinyFrames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		go_ := make(chan bool)
		cl := start(t, Config{StreamWindow: 1 << 10}, func(r *http.Request, c *vconn.Conn) {
			<-go_
			hello(r, c)
		})
		cl.Handshake()
		cl.Post(1, "/")
		cl.WantIdle()
		for range 1000 {
			cl.Data(1, false, "x")
		}
		cl.Data(1, true, "")
		cl.WantIdle()
		close(go_)
		cl.WantHeaders(1, false)
		if body, _ := cl.WantBody(1); string(body) != "hello "+strings.Repeat("x", 1000) {
			t.Errorf("body of %d bytes", len(body))
		}
		cl.end()
	})
}

func TestInflow(t *testing.T) {
	f := newInflow(100)
	if f.take(101) || !f.take(100) || f.take(1) {
		t.Error("take does not keep to the window")
	}
	if f.give(49) != 0 || f.give(1) != 50 || f.give(50) != 50 || !f.take(100) {
		t.Error("credit is lost or comes early")
	}
	var o outflow
	if !o.add(maxWindow) || o.add(1) || !o.add(-maxWindow-5) || o != -5 {
		t.Error("outflow", fmt.Sprint(o))
	}
}
