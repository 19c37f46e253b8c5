package failure

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
)

const (
	huge = 64 << 20 // a response that no buffer on the way can hold
	// held is what may be read of it for a client that reads nothing: windows,
	// our buffers, and what two kernel sockets take by themselves.
	held = 16 << 20
)

// A pourer is an origin whose response is huge; it counts what was taken of it.
type pourer struct {
	taken sync.Map // path to *atomic.Int64
	ended chan string
}

func (o *pourer) script(p *peer) {
	req, _, err := p.request()
	if err != nil {
		return
	}
	taken := new(atomic.Int64)
	o.taken.Store(req.URL.Path, taken)
	p.SetWriteBuffer(64 << 10)
	p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", huge))
	block := strings.Repeat("p", 32<<10)
	for range huge / len(block) {
		if !p.send(block) {
			break
		}
		taken.Add(int64(len(block)))
	}
	o.ended <- req.URL.Path
}

// idlers are clients that ask for much and stop reading: at once, or in the
// middle. Each returns when it has stopped.
var idlers = []struct {
	name string
	run  func(t *testing.T, nc *net.TCPConn, path string)
}{
	{"h2-no-window", func(t *testing.T, nc *net.TCPConn, path string) {
		c := testkit.NewClient(t, nc)
		c.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		c.Get(1, path, ":scheme", "http")
	}},
	{"h2-window-ends", func(t *testing.T, nc *net.TCPConn, path string) {
		c := testkit.NewClient(t, nc)
		c.Handshake()
		c.Get(1, path, ":scheme", "http")
		c.WantStatus(1, "200")
		for n := 0; n < 65535; {
			n += len(c.WantData(1, false))
		}
	}},
	{"h2-socket-unread", func(_ *testing.T, nc *net.TCPConn, path string) {
		nc.Write(unbounded(path))
	}},
	{"h1-unread", func(_ *testing.T, nc *net.TCPConn, path string) {
		io.WriteString(nc, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	}},
	{"h1-stops", func(t *testing.T, nc *net.TCPConn, path string) {
		io.WriteString(nc, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := io.CopyN(io.Discard, nc, 1<<20); err != nil {
			t.Error(err)
		}
	}},
}

// unbounded is a request of a client whose windows allow everything.
func unbounded(path string) []byte {
	var b strings.Builder
	b.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&b, nil)
	fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	fr.WriteWindowUpdate(0, 1<<31-1-65535)
	c := inHTTP2(path)
	b.Write(c.text[len(http2.ClientPreface)+9:]) // without its preface and SETTINGS
	return []byte(b.String())
}

// A client that does not read stops the origin from being read, and after
// timeouts.write_stall it is given up; the origin's connection with it.
func TestAClientThatDoesNotReadHoldsUpItsOriginBounded(t *testing.T) {
	begin(t)
	pour := &pourer{ended: make(chan string, len(idlers))}
	o := startOrigin(t, pour.script)
	r := newRig(t, []string{o.addr()}, "timeouts.write_stall=5s")
	start := time.Now()
	for _, idler := range idlers {
		nc := r.dial()
		nc.SetReadBuffer(64 << 10)
		idler.run(t, nc, "/"+idler.name)
	}
	for range idlers {
		select {
		case <-pour.ended:
		case <-time.After(patience):
			t.Fatal("an origin is held up for ever")
		}
	}
	t.Logf("all given up after %v", time.Since(start).Round(time.Millisecond))
	access := r.byPath(r.settle())
	for _, idler := range idlers {
		path := "/" + idler.name
		n, _ := pour.taken.Load(path)
		if n == nil {
			t.Errorf("%s never reached the origin", path)
			continue
		}
		l := access[path]
		taken := n.(*atomic.Int64).Load()
		t.Logf("%-17s the origin could send %5d KiB; logged %s, status %d, bytes_out %d, h2_error %s", idler.name, taken>>10, l.Outcome, l.Status, l.BytesOut, l.H2Error)
		if taken > held {
			t.Errorf("%s: the origin could send %d bytes for a client that did not read", path, taken)
		}
		if l.Outcome != "client_timeout" {
			t.Errorf("%s: outcome %s, want client_timeout", path, l.Outcome)
		}
		if idler.name == "h2-window-ends" && l.BytesOut != 65535 {
			t.Errorf("%s: bytes_out %d, and the client took 65535", path, l.BytesOut)
		}
	}
}

// An uploader is a client that stops in the middle of its body, open still.
type uploader struct {
	name    string
	chunked bool
	run     func(t *testing.T, nc *net.TCPConn, path string) error
}

var uploaders = []uploader{
	{"h2-length", false, func(t *testing.T, nc *net.TCPConn, path string) error {
		c := stopsInHTTP2(t, nc, path, "content-length", "100")
		return wantTimeout(c)
	}},
	{"h2-chunked", true, func(t *testing.T, nc *net.TCPConn, path string) error {
		return wantTimeout(stopsInHTTP2(t, nc, path))
	}},
	{"h1-length", false, func(_ *testing.T, nc *net.TCPConn, path string) error {
		io.WriteString(nc, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello")
		return want408(nc)
	}},
	{"h1-chunked", true, func(_ *testing.T, nc *net.TCPConn, path string) error {
		io.WriteString(nc, "POST "+path+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
		return want408(nc)
	}},
	{"h1-in-chunk", true, func(_ *testing.T, nc *net.TCPConn, path string) error {
		io.WriteString(nc, "POST "+path+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhello")
		return want408(nc)
	}},
	{"h1-before-trailers", true, func(_ *testing.T, nc *net.TCPConn, path string) error {
		io.WriteString(nc, "POST "+path+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")
		return want408(nc)
	}},
}

func stopsInHTTP2(t *testing.T, nc net.Conn, path string, extra ...string) *testkit.Client {
	c := testkit.NewClient(t, nc)
	c.Handshake()
	c.Post(1, path, append([]string{":scheme", "http"}, extra...)...)
	c.Data(1, false, "hello")
	return c
}

// wantTimeout: 408, and then the stream ends.
func wantTimeout(c *testkit.Client) error {
	status := ""
	for {
		f, err := c.Next()
		switch {
		case err != nil:
			return err
		case f.Type == http2.FrameHeaders:
			status = f.Get(":status")
		}
		if f.End() || f.Type == http2.FrameRSTStream {
			if status != "408" {
				return fmt.Errorf("status %q, then %v", status, &f)
			}
			return nil
		}
	}
}

func want408(nc net.Conn) error {
	nc.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(nc)
	if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 408 ") || !strings.Contains(string(b), "Connection: close") {
		return fmt.Errorf("%q, %v", b, err)
	}
	return nil
}

// A request body that stops is waited for as long as the setting says; then the
// client gets a 408, and the origin has never seen a whole request.
func TestARequestBodyThatStopsIsA408(t *testing.T) {
	begin(t)
	var whole atomic.Int64
	got := make(chan string, len(uploaders))
	o := startOrigin(t, func(p *peer) {
		var text strings.Builder
		io.Copy(&text, p.br)
		head, body, _ := strings.Cut(text.String(), "\r\n\r\n")
		if strings.HasSuffix(body, "0\r\n\r\n") || len(body) >= 100 {
			whole.Add(1)
		}
		if !strings.HasPrefix(head, "POST ") || !strings.Contains(body, "hello") {
			t.Errorf("the origin got %q", text.String())
		}
		got <- body
	})
	const idle = 5 * time.Second // the beginning of each body is to be there in time
	r := newRig(t, []string{o.addr()}, "timeouts.request_body_idle=5s")
	var wg sync.WaitGroup
	for _, u := range uploaders {
		nc := r.dial()
		wg.Go(func() {
			start := time.Now()
			err := u.run(t, nc, "/"+u.name)
			if took := time.Since(start); err != nil || took < idle || took > idle+slack {
				t.Errorf("%s: %v after %v", u.name, err, took)
			}
		})
	}
	wg.Wait()
	for range uploaders {
		<-got
	}
	if n := whole.Load(); n != 0 {
		t.Errorf("the origin saw %d complete requests", n)
	}
	for _, l := range r.settle() {
		if l.Outcome != "client_timeout" || l.Status != 408 || l.BytesIn != 5 {
			t.Errorf("%+v", l)
		}
	}
}

// When the response has begun already there is no status to give: the stream is
// reset, the connection is cut.
func TestARequestBodyThatStopsBehindTheResponseHeadIsCutOff(t *testing.T) {
	begin(t)
	ended := make(chan string, 2)
	o := startOrigin(t, func(p *peer) {
		if _, err := http.ReadRequest(p.br); err != nil {
			return
		}
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		var rest strings.Builder
		io.Copy(&rest, p.br)
		ended <- rest.String()
	})
	r := newRig(t, []string{o.addr()}, "timeouts.request_body_idle=5s") // by then there is a response head
	nc := r.dial()
	c := stopsInHTTP2(t, nc, "/h2")
	c.WantStatus(1, "200")
	c.WantData(1, false)
	c.WantReset(1, 8)
	h1 := r.dial()
	io.WriteString(h1, "POST /h1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(h1), nil); err != nil {
		t.Error(err)
	} else if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a cut response looks complete: %q", b)
	}
	for range 2 {
		if rest := <-ended; strings.HasSuffix(rest, "0\r\n\r\n") {
			t.Errorf("the origin saw a complete request: %q", rest)
		}
	}
	for _, l := range r.settle() {
		if l.Outcome != "client_timeout" || l.Status != 200 {
			t.Errorf("%+v", l)
		}
	}
}
