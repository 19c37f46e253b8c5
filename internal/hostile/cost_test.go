package hostile

import (
	"net"
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

// What is counted against limits.memory is what is held: not much less, or the
// process would be killed before the limit is reached, and not far more.
func TestWhatIsCountedIsWhatIsHeld(t *testing.T) {
	for _, tt := range []struct {
		name          string
		sessions, per int  // sessions, and streams on each
		answers       bool // the origin begins to answer, with more than anybody takes
	}{
		{"sessions", 300, 0, false},
		{"streams that wait for an answer", 4, 200, false},
		{"streams that wait for their client", 4, 200, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := silentOrigin(t, tt.answers)
			r := newRigTo(t, "http://"+addr)
			var ws []*wire
			dial := func() {
				for range tt.sessions {
					w := r.dial()
					w.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
					w.send()
					w.awaitFrames(http2.FrameSettings, 3)
					ws = append(ws, w)
				}
			}
			n, before := tt.sessions, heap()
			dial()
			if tt.per > 0 {
				n, before = tt.sessions*tt.per, heap()
				for _, w := range ws {
					for i := range tt.per {
						w.request(id(i), true, "GET", "/")
					}
					w.send()
				}
				r.eventually("all requests are at the origin", func() bool {
					return r.metric("h2gw_origin_connections", `state="active"`) == float64(n)
				})
				for _, w := range ws {
					if tt.answers {
						w.awaitFrames(http2.FrameHeaders, int64(tt.per))
					}
				}
			}
			// Buffers fill behind what has been seen: it is no time to compare
			// while that goes on.
			counted, held := 0, 0
			r.eventually("buffers are filled", func() bool {
				counted = int(r.metric("h2gw_memory_buffered_bytes"))
				held = int(heap()) - int(before)
				return int(r.metric("h2gw_memory_buffered_bytes")) == counted
			})
			t.Logf("each of %d holds %d bytes, counted are %d", n, held/n, counted/n)
			if held > counted*3/2 {
				t.Error("that is counted too low")
			}
			if counted > 4*held {
				t.Error("that is counted too high")
			}
			for _, w := range ws {
				w.conn.Close()
			}
		})
	}
}

// silentOrigin accepts, and says nothing more than the beginning of an answer.
func silentOrigin(t *testing.T, answers bool) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			if answers {
				// The kernel's buffers take it without a goroutine that waits.
				c.(*net.TCPConn).SetWriteBuffer(1 << 20)
				c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"))
				for range 6 {
					c.Write(piece)
				}
			}
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
		for _, c := range conns {
			c.Close()
		}
	})
	return ln.Addr().String()
}
