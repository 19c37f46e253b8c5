package failure

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stray is an answer that belongs to nobody. It says so, and that the next one
// may follow.
const stray = "HTTP/1.1 200 OK\r\nX-Id: stray\r\nContent-Length: 5\r\n\r\nstray"

// behindIt are ways to send more than the one answer to a request. Each is sent
// together with the answer, so that no clock decides what the gateway can know.
var behindIt = map[string]func(req *http.Request) string{
	"nothing":            echo,
	"a second response":  func(r *http.Request) string { return echo(r) + stray },
	"its double":         func(r *http.Request) string { return echo(r) + echo(r) },
	"a few bytes":        func(r *http.Request) string { return echo(r) + "\x00\r\n" },
	"an empty line":      func(r *http.Request) string { return echo(r) + "\r\n" },
	"half a head":        func(r *http.Request) string { return echo(r) + "HTTP/1.1 200 OK\r\nX-Id: st" },
	"a long second body": func(r *http.Request) string { return echo(r) + strings.Repeat(stray, 1000) },
	"an interim head":    func(r *http.Request) string { return echo(r) + "HTTP/1.1 100 Continue\r\n\r\n" },
	"a body on HEAD": func(r *http.Request) string {
		if r.Method != http.MethodHead {
			return echo(r)
		}
		return echo(r) + stray // of whatever length the head said
	},
	"bytes behind the chunks": func(r *http.Request) string {
		if r.Method == http.MethodHead {
			return echo(r)
		}
		id := identity(r.Method, r.URL.RequestURI())
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Id: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", id, len(id), id) + stray
	},
	"a body on 204": func(r *http.Request) string {
		return fmt.Sprintf("HTTP/1.1 204 No Content\r\nX-Id: %s\r\n\r\n", identity(r.Method, r.URL.RequestURI())) + stray
	},
	"a body on 304": func(r *http.Request) string { // no length: net/http's client would wait for a body over HTTP/2
		return fmt.Sprintf("HTTP/1.1 304 Not Modified\r\nX-Id: %s\r\n\r\n", identity(r.Method, r.URL.RequestURI())) + stray
	},
}

// Many requests at once to an origin that sends more than it was asked for: every
// answer that comes is that of its own request.
func TestWhatNobodyAskedForReachesNobody(t *testing.T) {
	begin(t)
	var names []string
	for name := range behindIt {
		names = append(names, name)
	}
	var seed atomic.Uint64
	o := startOrigin(t, func(p *peer) {
		rnd := rand.New(rand.NewPCG(seed.Add(1), 4))
		for {
			req, _, err := p.request()
			if err != nil {
				return
			}
			if !p.send(behindIt[names[rnd.IntN(len(names))]](req)) {
				return
			}
		}
	})
	r := newRig(t, []string{o.addr()})
	callers := r.clients(overH2, overH2, overH1, overH2, overH10)
	requests := scaled(6000)
	var failed atomic.Int64
	inParallel(16, requests, func(i int) {
		c, method := callers[i%len(callers)], []string{"GET", "POST", "HEAD", "GET"}[i%4]
		target := fmt.Sprintf("/%d", i)
		a := c.do(method, target, "")
		id := identity(method, target)
		switch {
		case a.err != nil || a.status >= 500:
			failed.Add(1)
			t.Errorf("%s %s: %v", c.proto, id, &a)
		case a.header.Get("X-Id") != id || a.status == 200 && method != "HEAD" && a.body != id || a.status != 200 && a.body != "":
			t.Errorf("%s %s got another's answer: %v with %q", c.proto, id, &a, a.header)
		}
	})
	access := r.byPath(r.settle())
	if len(access) != requests {
		t.Errorf("%d access lines", len(access))
	}
	reused := 0
	for _, l := range access {
		if l.OriginReused {
			reused++
		}
	}
	if reused == 0 || o.accepted.Load() < int64(requests/2) {
		t.Errorf("%d requests on reused connections, %d connections: nothing is shown", reused, o.accepted.Load())
	}
	t.Logf("%d requests, %d failed, %d on reused connections, %d origin connections", requests, failed.Load(), reused, o.accepted.Load())
}

// Bytes that come while a connection is idle, after the answer was taken: the
// connection is closed and the next request goes elsewhere.
func TestBytesOnAnIdleConnectionEndIt(t *testing.T) {
	begin(t)
	for _, late := range []string{stray, "x", "\r\n", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"} {
		answered, spoken := make(chan struct{}), make(chan struct{})
		o := startOrigin(t, func(p *peer) {
			req, _, err := p.request()
			if err != nil || !p.send(echo(req)) {
				return
			}
			<-answered
			p.send(late)
			spoken <- struct{}{}
			if _, _, err := p.request(); err == nil {
				t.Errorf("a connection with %q on it got another request", late)
			}
		})
		r := newRig(t, []string{o.addr()})
		for i, c := range r.clients(overH2, overH1, overH10, overH2) {
			for _, method := range []string{"GET", "POST", "HEAD"} {
				target := fmt.Sprintf("/%d", i)
				a := c.do(method, target, "")
				if a.err != nil || a.header.Get("X-Id") != identity(method, target) {
					t.Errorf("%s %s: %v", method, target, &a)
				}
				answered <- struct{}{}
				<-spoken
			}
		}
		for _, l := range r.settle() {
			if l.OriginReused || l.Retries != 0 || l.Outcome != "completed" {
				t.Errorf("%+v", l)
			}
		}
	}
}

// An origin that speaks before it is asked: its greeting can only be taken for
// the answer of the request that is sent as it comes. What matters is that the
// answer to that request does not become the next one's.
func TestAnOriginThatSpeaksFirstShiftsNoAnswers(t *testing.T) {
	begin(t)
	answered := make(chan struct{}, 1000)
	o := startOrigin(t, func(p *peer) {
		p.send(stray)
		for {
			req, _, err := p.request()
			if err != nil {
				return
			}
			p.send(echo(req))
			answered <- struct{}{}
		}
	})
	r := newRig(t, []string{o.addr()})
	taken := 0
	for i, c := range r.clients(overH2, overH1, overH2) {
		for j := range 100 {
			method := []string{"GET", "POST"}[j%2]
			target := fmt.Sprintf("/%d/%d", i, j)
			a := c.do(method, target, "")
			if got := a.header.Get("X-Id"); a.status == 200 && got != "stray" && got != identity(method, target) {
				t.Errorf("%s got the answer %q", target, got)
			}
			if a.status != 200 {
				continue // the greeting came first, and the request was not sent
			}
			taken++
			select {
			case <-answered:
			case <-time.After(patience):
				t.Fatalf("%s was answered, and never came to the origin", target)
			}
		}
	}
	if taken == 0 {
		t.Error("no request was answered: nothing could have been shifted")
	}
	r.settle()
}

// An answer that comes before the request has ended is delivered, and the rest of
// the request never becomes the head of another on the same connection.
func TestAnEarlyAnswerLeavesNoHalfRequestBehind(t *testing.T) {
	begin(t)
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	var mu sync.Mutex
	var second []string
	o := startOrigin(t, func(p *peer) {
		for {
			req, err := http.ReadRequest(p.br)
			if err != nil {
				return
			}
			if p.served++; p.served > 1 {
				mu.Lock()
				second = append(second, req.Method+" "+req.URL.Path)
				mu.Unlock()
			}
			// The body is not read: it is in front of whatever comes next.
			if !p.send(echo(&http.Request{Method: req.Method, URL: req.URL})) {
				return
			}
		}
	})
	r := newRig(t, []string{o.addr()})
	callers := r.clients(overH2, overH2)
	inParallel(8, 400, func(i int) {
		c, target := callers[i%2], fmt.Sprintf("/%d", i)
		ctx, cancel := contextOf(t)
		defer cancel()
		// The client goes on sending until it is told to stop.
		a := c.send(ctx, "POST", target, &endless{text: smuggled})
		if a.status != 200 || a.header.Get("X-Id") != identity("POST", target) || a.body != identity("POST", target) {
			t.Errorf("%s: %v", target, &a)
		}
	})
	for _, l := range r.settle() {
		if l.OriginReused {
			t.Errorf("on a connection with half a request: %+v", l)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, s := range second {
		if strings.HasPrefix(s, "POST") {
			t.Errorf("the origin was sent %s behind half a request", s)
		}
	}
}
