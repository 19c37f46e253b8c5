package gateway

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/config"
)

// What streams hold that wait for their client: memory that anyone can have us
// hold for as long as the timeouts allow.
const (
	waitingSessions = 2
	waitingStreams  = 100 // of each
)

// waitingOrigin reads a head from each connection and writes as much of a large
// response as the connection takes. It holds next to nothing for that.
type waitingOrigin struct {
	net.Listener
	serving sync.WaitGroup
	begun   chan struct{} // an answer has been written as far as it goes
}

func newWaitingOrigin(tb testing.TB) *waitingOrigin {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	o := &waitingOrigin{Listener: l, begun: make(chan struct{}, waitingSessions*waitingStreams)}
	response := shape{fields: 5, body: 16 << 20}.response()
	var mu sync.Mutex
	var conns []net.Conn
	o.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			o.serving.Go(func() {
				head := make([]byte, 1024)
				if n, _ := c.Read(head); bytes.HasPrefix(head[:n], []byte("GET")) {
					c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
					c.Write(response)
				}
				o.begun <- struct{}{}
			})
		}
	})
	tb.Cleanup(func() {
		l.Close()
		for _, c := range conns {
			c.Close()
		}
		o.serving.Wait()
	})
	return o
}

// heldPerStream opens streams that wait, and returns what each of them holds of
// heap and stacks.
func heldPerStream(t *testing.T, s shape, window uint16, set ...string) int {
	t.Helper()
	o := newWaitingOrigin(t)
	cfg := Config{Plain: "127.0.0.1:0", To: []string{"http://" + o.Addr().String()},
		AccessLogOff: true, Settings: config.Defaults(), Log: zerolog.Nop()}
	for _, v := range set {
		if err := cfg.Settings.Set(v); err != nil {
			t.Fatal(err)
		}
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g.Start()
	var clients []net.Conn
	t.Cleanup(func() {
		for _, c := range clients {
			c.Close()
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		g.Shutdown(ctx) // what waits is aborted
	})
	for range waitingSessions {
		c, err := net.Dial("tcp", g.Addr(ListenerPlain).String())
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
		out := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), appendFrame(nil, frameSettings, 0, 0, 6)...)
		out = append(out, 0, 4, 0, 0, byte(window>>8), byte(window))
		out = append(appendFrame(out, frameWindow, 0, 0, 4), leanWindow>>24, 0, 0, 0)
		c.Write(out)
		go io.Copy(io.Discard, c)
	}
	ask := func(c net.Conn, from, n int) {
		var block, out bytes.Buffer
		e := hpack.NewEncoder(&block)
		for i := range n {
			b := s.request(e, &block)
			flags := byte(5)
			if s.post > 0 {
				flags = 4
			}
			out.Write(appendFrame(nil, frameHeaders, flags, uint32(2*(from+i)+1), len(b)))
			out.Write(b)
		}
		c.Write(out.Bytes())
	}
	time.Sleep(100 * time.Millisecond)
	before := inUse()
	for _, c := range clients {
		ask(c, 0, waitingStreams)
	}
	for range waitingSessions * waitingStreams {
		<-o.begun
	}
	time.Sleep(300 * time.Millisecond)
	held := inUse() - before
	return held / (waitingSessions * waitingStreams)
}

// inUse is the heap and the stacks in use, pools emptied.
func inUse() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

func TestAStreamThatWaitsForItsClientHoldsLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes stacks and heap larger")
	}
	get, post := shape{method: "GET", fields: 5}, shape{method: "POST", fields: 5, post: 10000}
	for _, c := range []struct {
		name   string
		s      shape
		window uint16
		most   int
	}{
		{"a response, with the window closed from the start", get, 0, 70 << 10},
		{"a response, with a window that was used up", get, 65535, 240 << 10},
		{"a request without its body", post, 65535, 28 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			held := heldPerStream(t, c.s, c.window)
			t.Logf("%d bytes per stream", held)
			if held > c.most {
				t.Errorf("want at most %d", c.most)
			}
		})
	}
}
