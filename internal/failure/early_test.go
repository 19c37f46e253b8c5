package failure

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
)

const tooLarge = "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbig!"

// An origin that refuses an upload in its middle is heard, when it lingers as RFC
// 9112 section 9.6 asks for: the client gets the origin's word, not ours.
func TestAnUploadRefusedInTheMiddleGetsTheOriginsAnswer(t *testing.T) {
	begin(t)
	o := startOrigin(t, func(p *peer) {
		if _, err := http.ReadRequest(p.br); err != nil {
			return
		}
		io.CopyN(io.Discard, p.br, 10_000)
		p.send(tooLarge)
		p.CloseWrite()
		p.gone()
	})
	r := newRig(t, []string{o.addr()})
	body := strings.Repeat("u", 1<<20)
	callers := r.clients(overH2, overH1, overH2)
	inParallel(6, 300, func(i int) {
		c := callers[i%3]
		if a := c.do("POST", fmt.Sprintf("/%d", i), body); a.status != 413 || a.body != "big!" || a.err != nil {
			t.Errorf("%s: %v", c.proto, &a)
		}
	})
	for _, l := range r.settle() {
		if l.Outcome != "completed" || l.Status != 413 {
			t.Errorf("%+v", l)
		}
	}
}

// One that does not linger takes its answer back with the reset, at times. Then
// it is a 502, and never a wait.
func TestAnUploadCutOffInTheMiddleIsAnHonest502(t *testing.T) {
	begin(t)
	o := startOrigin(t, func(p *peer) {
		req, err := http.ReadRequest(p.br)
		if err != nil {
			return
		}
		part := strings.Split(req.URL.Path, "/")
		n, _ := strconv.Atoi(part[1])
		io.CopyN(io.Discard, p.br, int64(n)*1000)
		switch part[2] {
		case "answer":
			p.send(tooLarge)
		case "reset":
			p.reset()
		case "part":
			p.send(tooLarge[:20])
		}
	})
	r := newRig(t, []string{o.addr()})
	body := strings.Repeat("u", 1<<20)
	callers := r.clients(overH2, overH1, overH2)
	var heard atomic.Int64
	hows := []string{"answer", "reset", "part", "close"}
	inParallel(6, 400, func(i int) {
		c, how := callers[i%3], hows[i/3%4]
		a := c.do("POST", fmt.Sprintf("/%d/%s/%d", i%50, how, i), body)
		switch {
		case a.err == nil && a.status == 502 && a.header.Get("Proxy-Status") != "":
		case how == "answer" && a.err == nil && a.status == 413:
			heard.Add(1)
		default:
			t.Errorf("%s %s: %v", c.proto, how, &a)
		}
	})
	for _, l := range r.settle() {
		if l.Status == 502 && l.Outcome != "connection_terminated" && l.Outcome != "http_response_incomplete" || l.OriginReused || l.Retries != 0 {
			t.Errorf("%+v", l)
		}
	}
	t.Logf("%d answers were heard in spite of the reset", heard.Load())
}

// A client that waits for 100 Continue from an origin that does not say it is not
// left waiting.
func TestAnOriginThatIgnoresExpectLeavesNobodyWaiting(t *testing.T) {
	begin(t)
	o := startOrigin(t, func(p *peer) { p.gone() })
	r := newRig(t, []string{o.addr()}, "timeouts.response_head=200ms", "timeouts.request_body_idle=200ms")
	h1, h2 := r.dial(), r.dial()
	io.WriteString(h1, "POST /h1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	c := testkit.NewClient(t, h2)
	c.Handshake()
	c.Post(1, "/h2", ":scheme", "http", "expect", "100-continue")
	b, err := io.ReadAll(h1)
	if status, _, _ := strings.Cut(string(b), "\r\n"); err != nil || !strings.Contains(status, " 504 ") {
		t.Errorf("over HTTP/1.1: %q, %v", b, err)
	}
	if f, err := c.Next(); err != nil || f.Get(":status") != "504" {
		t.Errorf("over HTTP/2: %v, %v", &f, err)
	}
	for _, l := range r.settle() {
		if l.Outcome != "http_response_timeout" {
			t.Errorf("%s: %d %s", l.PITag, l.Status, l.Outcome)
		}
	}
}
