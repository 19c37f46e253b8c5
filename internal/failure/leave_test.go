package failure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/gateway"
	"github.com/h2gw/h2gw/internal/testkit"
)

// A conversation is all that a client sends for one POST, and where in it the
// request begins to exist for the gateway.
type conversation struct {
	text  []byte
	begun int
}

// inHTTP2 is a conversation of prior knowledge.
func inHTTP2(path string) conversation {
	var b, block bytes.Buffer
	b.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&b, nil)
	fr.WriteSettings()
	enc := hpack.NewEncoder(&block)
	fields := testkit.Request("POST", path, ":scheme", "http", "content-length", "11")
	for i := 0; i < len(fields); i += 2 {
		enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	begun := b.Len()
	fr.WriteData(1, false, []byte("hello "))
	fr.WriteData(1, true, []byte("world"))
	return conversation{b.Bytes(), begun}
}

func inHTTP1(path string) conversation {
	// From the third byte on it cannot be HTTP/2's preface any more.
	return conversation{[]byte("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world"), 2}
}

func inChunks(path string) conversation {
	return conversation{[]byte("POST " + path + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"), 2}
}

// endings are how a client can stop.
var endings = map[string]func(c *net.TCPConn){
	"close":      func(c *net.TCPConn) { c.Close() },
	"reset":      func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
	"half-close": func(c *net.TCPConn) { c.CloseWrite() },
}

// A client that goes away at any byte of its request leaves one line if there was
// a request, and the origin never sees a whole one of which a byte was missing.
func TestAClientCutOffAtAnyByte(t *testing.T) {
	begin(t)
	var mu sync.Mutex
	whole := map[string]bool{} // paths the origin saw complete
	o := startOrigin(t, func(p *peer) {
		for {
			req, body, err := p.request()
			if err != nil {
				return
			}
			mu.Lock()
			whole[req.URL.Path] = true
			mu.Unlock()
			if string(body) != "hello world" || !p.send(echo(req)) {
				return
			}
		}
	})
	r := newRig(t, []string{o.addr()}, "timeouts.session_idle=30s")
	cuts, begun := 0, atomic.Int64{}
	partial := map[string]bool{}
	var answered atomic.Int64
	type cut struct {
		conversation
		at     int
		ending func(*net.TCPConn)
	}
	var all []cut
	for kind, make := range map[string]func(string) conversation{"h2c": inHTTP2, "http1": inHTTP1, "chunks": inChunks} {
		for how, ending := range endings {
			for at := 0; ; at++ {
				path := fmt.Sprintf("/%s/%s/%d", kind, how, at)
				c := make(path)
				if at > len(c.text) {
					break
				}
				partial[path] = at < len(c.text)
				all = append(all, cut{c, at, ending})
				cuts++
			}
		}
	}
	inParallel(8, len(all), func(i int) {
		c := all[i]
		if c.at >= c.begun {
			begun.Add(1)
		}
		if strings.Contains(r.cutOff(c.text[:c.at], c.ending), "200") {
			answered.Add(1)
		}
	})
	// Some were closed before the gateway had accepted them.
	r.eventually("every connection is counted", func() bool { return r.metric("h2gw_connections_total") >= float64(len(all)) })
	access := r.settle()
	if int64(len(access)) != begun.Load() {
		t.Errorf("%d access lines for %d requests begun", len(access), begun.Load())
	}
	for path := range whole {
		if partial[path] {
			t.Errorf("the origin saw a complete request %s", path)
		}
	}
	for _, l := range access {
		if partial[l.Path] && l.Outcome == "completed" {
			t.Errorf("%+v", l)
		}
	}
	t.Logf("%d connections cut, %d requests begun, %d answered", cuts, begun.Load(), answered.Load())
}

// cutOff sends text on a connection, ends it, and returns what came until the
// gateway closed it.
func (r *rig) cutOff(text []byte, ending func(*net.TCPConn)) string {
	nc, err := net.Dial("tcp", r.Addr(gateway.ListenerPlain).String())
	if err != nil {
		r.t.Error(err)
		return ""
	}
	defer nc.Close()
	nc.Write(text)
	ending(nc.(*net.TCPConn))
	nc.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(nc)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Errorf("the connection stays open after %q", text)
	}
	return string(got)
}

// Clients that reset streams and cut connections at random places of uploads and
// downloads leave nothing behind, and disturb nobody else.
func TestClientsThatLeaveAtRandomMoments(t *testing.T) {
	begin(t)
	o := startOrigin(t, serveBulk)
	r := newRig(t, []string{o.addr()})
	callers := r.clients(overH2, overH2, overTLS1)
	honest := r.client(overH2)
	inParallel(12, scaled(1500), func(i int) {
		rnd := rand.New(rand.NewPCG(uint64(i), 5))
		if i%5 == 0 {
			if a := honest.do("GET", "/honest", ""); a.err != nil || len(a.body) != bulk {
				t.Errorf("an honest client: %v, %d bytes", &a, len(a.body))
			}
			return
		}
		ctx, cancel := contextOf(t)
		defer cancel()
		at := rnd.IntN(2 * bulk)
		c := callers[i%len(callers)]
		if i%2 == 0 {
			c.send(ctx, "POST", "/upload", &leaver{at: at, size: bulk, leave: cancel})
			return
		}
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://"+r.Addr(gateway.ListenerTLS).String()+"/download", nil)
		resp, err := c.h2.Do(req)
		if err == nil {
			io.CopyN(io.Discard, resp.Body, int64(at))
			cancel()
			resp.Body.Close()
		}
	})
	access := r.settle()
	aborted := 0
	for _, l := range access {
		switch l.Outcome {
		case "completed":
		case "client_abort":
			aborted++
		default:
			t.Errorf("%+v", l)
		}
	}
	if aborted < scaled(100) {
		t.Errorf("%d requests were aborted: nothing is shown", aborted)
	}
	t.Logf("%d access lines, %d of them client_abort", len(access), aborted)
}

const bulk = 200_000

// serveBulk takes uploads, and answers with bulk bytes.
func serveBulk(p *peer) {
	for {
		req, err := http.ReadRequest(p.br)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		if !p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", bulk)) || !p.send(strings.Repeat("b", bulk)) {
			return
		}
	}
}

// A leaver is a body in the middle of which the client goes away.
type leaver struct {
	at, size, n int
	leave       func()
}

func (l *leaver) Read(b []byte) (int, error) {
	if l.n >= l.at {
		l.leave()
	}
	if l.n >= l.size {
		return 0, io.EOF
	}
	n := min(len(b), l.size-l.n, 5000)
	l.n += n
	return n, nil
}

// Streams that are reset as soon as they are opened, or a little later, have one
// line each.
func TestStreamsResetAtOnceHaveOneLineEach(t *testing.T) {
	begin(t)
	o := startOrigin(t, serveBulk)
	r := newRig(t, []string{o.addr()}, "floods.resets=off", "floods.provoked_resets=off", "floods.refused=off")
	nc, err := net.Dial("tcp", r.Addr(gateway.ListenerPlain).String())
	if err != nil {
		t.Fatal(err)
	}
	c := testkit.NewClient(t, nc)
	c.Handshake()
	rnd := rand.New(rand.NewPCG(6, 6))
	const streams = 2000
	for i := range uint32(streams) {
		id := 2*i + 1
		switch rnd.IntN(4) {
		case 0:
			c.Get(id, "/get", ":scheme", "http")
		case 1:
			c.Post(id, "/post", ":scheme", "http", "content-length", "10")
		case 2:
			c.Post(id, "/post", ":scheme", "http", "content-length", "10")
			c.Data(id, false, "hello")
		case 3:
			c.Post(id, "/post", ":scheme", "http")
			c.Data(id, true, "")
		}
		if back := uint32(rnd.IntN(40)); rnd.IntN(2) == 0 || id <= 2*back {
			c.Reset(id, 8)
		} else {
			c.Reset(id-2*back, 8)
			c.Reset(id, 8)
		}
	}
	c.Ping("are you?")
	r.eventually("all streams have ended", func() bool { return r.metric("h2gw_streams_total") == streams })
	c.Close()
	access := r.settle()
	outcomes := map[string]int{}
	for _, l := range access {
		outcomes[l.Outcome]++
	}
	if len(access) != streams {
		t.Errorf("%d lines, want %d", len(access), streams)
	}
	t.Logf("%v", outcomes)
}

// A client that leaves is known to the origin at once, whatever the transaction
// waits for: the origin waits for nothing but that.
func TestTheOriginLearnsThatTheClientHasLeft(t *testing.T) {
	begin(t)
	type seen struct{ at time.Time }
	ready, gone := make(chan struct{}), make(chan seen)
	o := startOrigin(t, func(p *peer) {
		req, err := http.ReadRequest(p.br)
		if err != nil {
			return
		}
		if strings.HasPrefix(req.URL.Path, "/body") {
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
		}
		ready <- struct{}{}
		p.gone()
		gone <- seen{time.Now()}
	})
	r := newRig(t, []string{o.addr()})
	const rounds = 25
	var worst time.Duration
	for _, how := range []string{"h2 RST_STREAM", "h2 connection cut", "http/1.1 close", "http/1.1 reset"} {
		for _, phase := range []string{"/head", "/body", "/upload"} {
			var took []time.Duration
			for range rounds {
				nc, err := net.Dial("tcp", r.Addr(gateway.ListenerPlain).String())
				if err != nil {
					t.Fatal(err)
				}
				leave := begins(t, how, phase, nc.(*net.TCPConn))
				<-ready
				start := time.Now()
				leave()
				s := <-gone
				took = append(took, s.at.Sub(start))
				nc.Close()
			}
			slices.Sort(took)
			worst = max(worst, took[len(took)-1])
			t.Logf("%-18s in %-8s p50 %8v  max %8v", how, phase, took[len(took)/2].Round(time.Microsecond), took[len(took)-1].Round(time.Microsecond))
		}
	}
	if worst > slack {
		t.Errorf("the origin learned of it after %v", worst)
	}
	for _, l := range r.settle() {
		if l.Outcome != "client_abort" {
			t.Errorf("%+v", l)
		}
	}
}

// begins sends a request on nc and returns how its client leaves.
func begins(t *testing.T, how, phase string, nc *net.TCPConn) (leave func()) {
	if strings.HasPrefix(how, "h2") {
		c := testkit.NewClient(t, nc)
		c.Handshake()
		if phase == "/upload" {
			c.Post(1, phase, ":scheme", "http", "content-length", "100")
			c.Data(1, false, "hello")
		} else {
			c.Get(1, phase, ":scheme", "http")
		}
		if how == "h2 RST_STREAM" {
			return func() { c.Reset(1, 8) }
		}
		return func() { nc.Close() }
	}
	if phase == "/upload" {
		io.WriteString(nc, "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello")
	} else {
		io.WriteString(nc, "GET "+phase+" HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	return func() {
		if how == "http/1.1 reset" {
			nc.SetLinger(0)
		}
		nc.Close()
	}
}
