package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
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
	begun   atomic.Int64 // answers that have been written as far as it goes
}

func newWaitingOrigin(tb testing.TB) *waitingOrigin {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	o := &waitingOrigin{Listener: l}
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
					for rest, n := response, 1; n > 0; rest = rest[n:] {
						c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
						n, _ = c.Write(rest)
					}
				}
				o.begun.Add(1)
			})
		}
	})
	tb.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		o.serving.Wait()
	})
	return o
}

// A waitingClient counts what it gets, and never opens a window again.
type waitingClient struct {
	net.Conn
	acked, heads, data atomic.Int64 // settings acknowledged; responses begun; bytes of bodies
}

// newWaitingClient begins a session whose streams have windows of that size.
func newWaitingClient(t *testing.T, addr string, window uint16) *waitingClient {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &waitingClient{Conn: nc}
	out := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), appendFrame(nil, frameSettings, 0, 0, 6)...)
	out = append(out, 0, 4, 0, 0, byte(window>>8), byte(window))
	out = append(appendFrame(out, frameWindow, 0, 0, 4), leanWindow>>24, 0, 0, 0)
	c.Write(out)
	go c.count()
	return c
}

func (c *waitingClient) count() {
	in := bufio.NewReader(c)
	for head := make([]byte, 9); ; {
		if _, err := io.ReadFull(in, head); err != nil {
			return
		}
		length := int(binary.BigEndian.Uint32(head) >> 8)
		switch kind, flags := head[3], head[4]; {
		case kind == frameSettings && flags&1 != 0:
			c.acked.Add(1)
		case kind == frameHeaders:
			c.heads.Add(1)
		case kind == frameData:
			c.data.Add(int64(length))
		}
		if _, err := in.Discard(length); err != nil {
			return
		}
	}
}

// ask opens waitingStreams streams.
func (c *waitingClient) ask(s shape) {
	var block, out bytes.Buffer
	e := hpack.NewEncoder(&block)
	for i := range waitingStreams {
		b := s.request(e, &block)
		flags := byte(5)
		if s.post > 0 {
			flags = 4
		}
		out.Write(appendFrame(nil, frameHeaders, flags, uint32(2*i+1), len(b)))
		out.Write(b)
	}
	c.Write(out.Bytes())
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
	var clients []*waitingClient
	t.Cleanup(func() {
		for _, c := range clients {
			c.Close()
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		g.Shutdown(ctx) // what waits is aborted
	})
	for range waitingSessions {
		clients = append(clients, newWaitingClient(t, g.Addr(ListenerPlain).String(), window))
	}
	for _, c := range clients {
		eventually(t, "the session has begun", func() bool { return c.acked.Load() == 1 })
	}
	before := settled(t)
	for _, c := range clients {
		c.ask(s)
	}
	eventually(t, "no origin can write more", func() bool { return o.begun.Load() == waitingSessions*waitingStreams })
	for _, c := range clients {
		want := int64(waitingStreams)
		if s.post > 0 {
			want = 0
		}
		eventually(t, "every response has begun", func() bool { return c.heads.Load() == want })
		eventually(t, "every window is used up", func() bool { return c.data.Load() == want*int64(window) })
	}
	held := settled(t) - before
	return held / (waitingSessions * waitingStreams)
}

// settled is what is in use once that does not change any more: everything waits,
// and what it needed to come to that has been given back.
func settled(t *testing.T) int {
	t.Helper()
	const little, enough = 16 << 10, 5
	last, same := inUse(), 0
	eventually(t, "the memory in use does not change any more", func() bool {
		now := inUse()
		if same++; max(now-last, last-now) > little {
			same = 0
		}
		last = now
		return same == enough
	})
	return last
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
		{"a response, with the window closed from the start", get, 0, 62 << 10},
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
