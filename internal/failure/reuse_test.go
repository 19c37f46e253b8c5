package failure

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// A connection that the origin closed while it was idle is seen before it is
// used: nobody notices, not even a POST, and nothing is sent twice.
func TestAConnectionClosedWhileIdleIsNotUsed(t *testing.T) {
	begin(t)
	closed := make(chan struct{})
	var resets atomic.Bool
	o := startOrigin(t, func(p *peer) {
		req, _, err := p.request()
		if err != nil {
			return
		}
		p.send(echo(req)) // which allows the connection to be kept
		if <-closed; resets.Load() {
			p.reset()
		} else {
			p.Close()
		}
		closed <- struct{}{}
	})
	r := newRig(t, []string{o.addr()})
	n := 0
	for _, reset := range []bool{false, true} {
		resets.Store(reset)
		for _, c := range r.clients(overH2, overH1) {
			for range 50 {
				for _, method := range []string{"GET", "POST"} {
					n++
					target := fmt.Sprintf("/%s/%d", c.proto, n)
					if a := c.do(method, target, ""); a.err != nil || a.body != identity(method, target) {
						t.Errorf("%s %s: %v", method, target, &a)
					}
					closed <- struct{}{}
					<-closed
				}
			}
		}
	}
	access := r.settle()
	if len(access) != n || o.accepted.Load() != int64(n) {
		t.Errorf("%d access lines and %d origin connections, want %d", len(access), o.accepted.Load(), n)
	}
	for _, l := range access {
		if l.Outcome != "completed" || l.Retries != 0 || l.OriginReused {
			t.Errorf("%+v", l)
		}
	}
}

// An impatientOrigin closes its connections at random moments behind a response:
// at once, a little later, or when it has read the head of the next request and
// not answered it. A first request is always answered: that is what a retry on a
// new connection counts on.
type impatientOrigin struct {
	closedUnanswered atomic.Int64
	seed             atomic.Uint64

	mu   sync.Mutex
	seen map[string]int // POST targets
}

func (o *impatientOrigin) script(p *peer) {
	rnd := rand.New(rand.NewPCG(o.seed.Add(1), 3))
	for {
		req, _, err := p.request()
		if err != nil {
			return
		}
		if req.Method == http.MethodPost {
			o.mu.Lock()
			o.seen[req.URL.Path]++
			o.mu.Unlock()
		}
		if p.served > 1 && rnd.IntN(4) == 0 { // as it is reused
			o.closedUnanswered.Add(1)
			if rnd.IntN(2) == 0 {
				p.reset()
			}
			return
		}
		if !p.send(echo(req)) {
			return
		}
		switch rnd.IntN(8) {
		case 0:
			return
		case 1:
			p.reset()
			return
		case 2: // in the middle of whatever comes next
			spin(rnd.IntN(20000))
			return
		}
	}
}

// spin passes a few microseconds, fewer than a timer can.
func spin(n int) (x uint64) {
	for i := range n {
		x += uint64(i) * x
	}
	return x
}

// Ten thousand requests to an origin that closes whenever it likes: an idempotent
// request never fails, a POST at most with an honest 502, and none is done twice.
func TestAnOriginThatClosesAsItIsReusedFailsNoIdempotentRequest(t *testing.T) {
	begin(t)
	behaviour := &impatientOrigin{seen: map[string]int{}}
	o := startOrigin(t, behaviour.script)
	r := newRig(t, []string{o.addr()})
	const requests = 12000
	methods := []string{"GET", "HEAD", "OPTIONS", "DELETE", "PUT", "POST"}
	callers := r.clients(overH2, overH2, overH1, overH2, overH10)
	var idempotent, posts, honest atomic.Int64
	inParallel(12, requests, func(i int) {
		c, method := callers[i%len(callers)], methods[i%len(methods)]
		target := fmt.Sprintf("/%d", i)
		a := c.do(method, target, "")
		good := a.err == nil && a.status == 200 && a.header.Get("X-Id") == identity(method, target)
		if method != "POST" {
			idempotent.Add(1)
			if !good {
				t.Errorf("%s %s %s: %v", c.proto, method, target, &a)
			}
			return
		}
		posts.Add(1)
		if !good {
			honest.Add(1)
			if a.err != nil || a.status != 502 || a.header.Get("Proxy-Status") != "h2gw; error=connection_terminated" {
				t.Errorf("%s POST %s: %v, want an honest 502", c.proto, target, &a)
			}
		}
	})
	access := r.byPath(r.settle())
	if len(access) != requests {
		t.Errorf("%d access lines, want %d", len(access), requests)
	}
	retries := 0
	for _, l := range access {
		retries += l.Retries
		switch {
		case l.Outcome == "completed" && l.Status == 200:
		case l.Outcome == "connection_terminated" && l.Status == 502 && l.Method == "POST":
		default:
			t.Errorf("%+v", l)
		}
	}
	for target, n := range behaviour.seen {
		if n != 1 {
			t.Errorf("the origin got POST %s %d times", target, n)
		}
	}
	unanswered := behaviour.closedUnanswered.Load()
	if idempotent.Load() < 10000 || unanswered < 100 || retries < 100 {
		t.Errorf("%d idempotent requests, %d unanswered, %d retries: too few to show anything", idempotent.Load(), unanswered, retries)
	}
	t.Logf("%d idempotent requests, none failed; %d POSTs, %d with 502; %d requests read and not answered; %d retries",
		idempotent.Load(), posts.Load(), honest.Load(), unanswered, retries)
}

// A request with a body is sent again only if all of it is still held; otherwise
// the answer is honest.
func TestABodyIsSentAgainOnlyIfItIsHeldWhole(t *testing.T) {
	begin(t)
	var mu sync.Mutex
	bodies := map[string][]string{}
	o := startOrigin(t, func(p *peer) {
		for {
			req, body, err := p.request()
			if err != nil {
				return
			}
			mu.Lock()
			bodies[req.URL.Path] = append(bodies[req.URL.Path], string(body))
			mu.Unlock()
			if p.served > 1 || !p.send(echo(req)) {
				return
			}
		}
	})
	r := newRig(t, []string{o.addr()})
	var again, refused int
	for _, c := range r.clients(overH2, overH1) {
		for i := range 200 {
			if a := c.do("GET", fmt.Sprintf("/%s/first/%d", c.proto, i), ""); a.err != nil || a.status != 200 {
				t.Fatalf("%v", &a)
			}
			target := fmt.Sprintf("/%s/put/%d", c.proto, i)
			a := c.do("PUT", target, "small body")
			mu.Lock()
			got := bodies[target]
			mu.Unlock()
			switch {
			case a.err == nil && a.status == 200 && a.header.Get("X-Id") == identity("PUT", target):
				again++
			case a.err == nil && a.status == 502 && len(got) == 1:
				refused++
			default:
				t.Errorf("%s: %v; the origin got %q", target, &a, got)
			}
			for _, b := range got {
				if b != "small body" {
					t.Errorf("%s: the origin got %q", target, got)
				}
			}
		}
	}
	r.settle()
	if again == 0 {
		t.Error("no request with a body was sent again")
	}
	t.Logf("%d sent again, %d answered with 502 since the body had gone", again, refused)
}
