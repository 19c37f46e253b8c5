package failure

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

// A client that leaves while its request waits for a connection, being made or
// being used by others, takes its request with it.
func TestAClientThatLeavesBeforeThereIsAConnection(t *testing.T) {
	hung := func(p *peer) { p.gone() }
	for _, tc := range []struct {
		name string
		addr func(t *testing.T) string
		set  []string
		busy bool // a first request has the only connection
	}{
		{"connecting", blackHole, []string{"timeouts.connect=60s"}, false},
		{"queueing", func(t *testing.T) string { return startOrigin(t, hung).addr() }, []string{"timeouts.connect=60s", "limits.origin_connections=1"}, true},
		{"in a TLS handshake", func(t *testing.T) string { return "https://" + startOrigin(t, hung).addr() }, []string{"timeouts.connect=60s"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			begin(t)
			r := newRig(t, []string{tc.addr(t)}, tc.set...)
			want := 2
			c := testkit.NewClient(t, r.dial())
			c.Handshake()
			if tc.busy {
				want++
				c.Get(1, "/first", ":scheme", "http")
				r.eventually("the connection is in use", func() bool { return r.metric("h2gw_origin_connections", `state="active"`) == 1 })
			}
			c.Get(3, "/h2", ":scheme", "http")
			nc := r.dial()
			io.WriteString(nc, "GET /h1 HTTP/1.1\r\nHost: x\r\n\r\n")
			r.eventually("both requests wait", func() bool { return r.metric("h2gw_streams_active") == float64(want) })
			start := time.Now()
			c.Reset(3, 8)
			nc.Close()
			r.eventually("both are gone", func() bool { return r.metric("h2gw_streams_active") == float64(want-2) })
			t.Logf("gone after %v", time.Since(start).Round(time.Millisecond))
			for _, l := range r.settle() {
				if l.Outcome != "client_abort" || l.Status != 499 {
					t.Errorf("%+v", l)
				}
			}
		})
	}
}

// An HTTP/1.1 client that leaves while its upload is held up by an origin that
// does not read cannot be seen to leave: its last bytes are in front of its end.
// The origin's bound for not reading is the bound for both. Over HTTP/2 the
// reset is seen at once.
func TestAClientThatLeavesAHeldUpUpload(t *testing.T) {
	begin(t)
	o := startOrigin(t, func(p *peer) {
		http.ReadRequest(p.br)
		p.hang()
	})
	const bound = 5 * time.Second // longer than it takes to get there, usually
	r := newRig(t, []string{o.addr()}, "timeouts.response_head=5s")
	ctx, cancel := contextOf(t)
	defer cancel()
	var wg sync.WaitGroup
	h2 := r.client(overH2)
	wg.Go(func() { h2.send(ctx, "POST", "/h2", &endless{text: "u"}) })
	begun := time.Now()
	nc := r.dial()
	io.WriteString(nc, "POST /h1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
	r.eventually("both uploads are under way", func() bool { return r.metric("h2gw_streams_active") == 2 || time.Since(begun) >= bound })
	block := make([]byte, 1<<20)
	for err := error(nil); err == nil; { // until no buffer on the way takes any more
		nc.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		_, err = nc.Write(block)
	}
	start := time.Now()
	late := start.Sub(begun) >= bound // the origin's bound may have been sooner
	cancel()
	nc.Close()
	wg.Wait()
	r.eventually("one is gone", func() bool { return r.metric("h2gw_streams_active") <= 1 })
	first := time.Since(start)
	r.eventually("both are gone", func() bool { return r.metric("h2gw_streams_active") == 0 })
	t.Logf("gone after %v and %v", first.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	for _, l := range r.settle() {
		if l.Outcome != "client_abort" && !((l.Path == "/h1" || late) && l.Outcome == "http_response_timeout") {
			t.Errorf("%+v", l)
		}
	}
}

// A client that reads slowly, and longer in all than timeouts.write_stall, gets
// everything: only standing still is bounded.
func TestASlowReaderGetsEverything(t *testing.T) {
	begin(t)
	const size = 24 << 20
	o := startOrigin(t, func(p *peer) {
		if _, _, err := p.request(); err == nil {
			p.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + strings.Repeat("s", size))
		}
	})
	r := newRig(t, []string{o.addr()}, "timeouts.write_stall=8s", "timeouts.response_body_idle=8s")
	slowly := func(name string, resp *http.Response, err error) {
		if err != nil {
			t.Error(name, err)
			return
		}
		defer resp.Body.Close()
		start, n := time.Now(), int64(0)
		for err == nil {
			var m int64
			m, err = io.CopyN(io.Discard, resp.Body, size/24)
			n += m
			time.Sleep(350 * time.Millisecond)
		}
		if took := time.Since(start); err != io.EOF || n != size || took < 8*time.Second {
			t.Errorf("%s: %d bytes of %d, %v after %v", name, n, size, err, took)
		}
	}
	ctx, cancel := contextOf(t)
	defer cancel()
	var wg sync.WaitGroup
	for _, proto := range []string{overH2, overTLS1} {
		c := r.client(proto)
		wg.Go(func() {
			req, _ := http.NewRequestWithContext(ctx, "GET", "https://"+r.Addr("tls").String()+"/"+proto, nil)
			resp, err := c.h2.Do(req)
			slowly(proto, resp, err)
		})
	}
	nc := r.dial()
	wg.Go(func() {
		io.WriteString(nc, "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		slowly("plain", resp, err)
	})
	wg.Wait()
	for _, l := range r.settle() {
		if l.Outcome != "completed" || l.BytesOut != size {
			t.Errorf("%+v", l)
		}
	}
}
