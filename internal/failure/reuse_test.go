package failure

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
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
func spin(n int) {
	for range n / 100 {
		runtime.Gosched()
	}
}

// Ten thousand requests to an origin that closes whenever it likes: an idempotent
// request never fails, a POST at most with an honest 502, and none is done twice.
func TestAnOriginThatClosesAsItIsReusedFailsNoIdempotentRequest(t *testing.T) {
	for _, tc := range []struct {
		name     string
		over     func(script func(*peer)) func(*peer)
		requests int
	}{
		{"http://", func(script func(*peer)) func(*peer) { return script }, scaled(12000)},
		{"https://", secured, scaled(3000)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			begin(t)
			behaviour := &impatientOrigin{seen: map[string]int{}}
			o := startOrigin(t, tc.over(behaviour.script))
			r := newRig(t, []string{tc.name + o.addr()})
			honest := askImpatient(t, r, tc.requests)
			access := r.byPath(r.settle())
			if len(access) != tc.requests {
				t.Errorf("%d access lines, want %d", len(access), tc.requests)
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
			behaviour.mu.Lock()
			defer behaviour.mu.Unlock()
			for target, n := range behaviour.seen {
				if n != 1 {
					t.Errorf("the origin got POST %s %d times", target, n)
				}
			}
			unanswered := behaviour.closedUnanswered.Load()
			if least := int64(tc.requests / 60); unanswered < least || int64(retries) < least {
				t.Errorf("%d unanswered, %d retries: too few to show anything", unanswered, retries)
			}
			t.Logf("%d requests, a sixth of them POSTs; %d POSTs with 502, nothing else failed; %d requests were read and not answered; %d retries",
				tc.requests, honest, unanswered, retries)
		})
	}
}

// askImpatient sends n requests, one in six a POST, and returns how many POSTs
// were answered with an honest 502.
func askImpatient(t *testing.T, r *rig, n int) int64 {
	t.Helper()
	methods := []string{"GET", "HEAD", "OPTIONS", "DELETE", "PUT", "POST"}
	callers := r.clients(overH2, overH2, overH1, overH2, overH10)
	var honest atomic.Int64
	inParallel(12, n, func(i int) {
		c, method := callers[i%len(callers)], methods[i%len(methods)]
		target := fmt.Sprintf("/%d", i)
		a := c.do(method, target, "")
		switch {
		case a.err == nil && a.status == 200 && a.header.Get("X-Id") == identity(method, target):
		case method == "POST" && a.err == nil && a.status == 502 && a.header.Get("Proxy-Status") == "h2gw; error=connection_terminated":
			honest.Add(1)
		default:
			t.Errorf("%s %s %s: %v", c.proto, method, target, &a)
		}
	})
	return honest.Load()
}

// A response cut at any byte on a connection that was used before: only when
// nothing of it came, and for what may be done twice, is there a second try.
func TestAResponseCutOnAReusedConnectionIsRetriedOnlyIfNothingCame(t *testing.T) {
	begin(t)
	const text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	head := strings.Index(text, "\r\n\r\n") + 4
	var first, second sync.Map // by path: the connections that got the request
	o := startOrigin(t, func(p *peer) {
		for {
			req, _, err := p.request()
			if err != nil {
				return
			}
			var at int
			var how string
			if n, _ := fmt.Sscanf(req.URL.Path, "/cut/%d/%s", &at, &how); n == 0 {
				p.send(echo(req))
				continue
			}
			if _, again := first.LoadOrStore(req.URL.Path, p.number); again {
				second.Store(req.URL.Path, p.number)
				p.send(echo(req))
				return
			}
			p.send(text[:at])
			if strings.HasPrefix(how, "reset") {
				p.reset()
			}
			return
		}
	})
	r := newRig(t, []string{o.addr()})
	type want struct {
		outcome string
		retries int
	}
	wants := map[string]want{}
	for _, c := range r.clients(overH2, overH1) {
		for at := range text { // less than whole
			for _, how := range []string{"close", "reset"} {
				for _, method := range []string{"GET", "DELETE", "POST"} {
					c.do("GET", fmt.Sprintf("/warm/%d/%s/%s/%s", at, how, method, c.proto), "")
					path := fmt.Sprintf("/cut/%d/%s/%s/%s", at, how, method, c.proto)
					a := c.do(method, path, "")
					w, good := want{"http_response_incomplete", 0}, a.err == nil && a.status == 502
					switch {
					case at == 0 && method == "POST":
						w.outcome = "connection_terminated"
					case at == 0:
						w, good = want{"completed", 1}, a.err == nil && a.header.Get("X-Id") == identity(method, path)
					case at >= head:
						good = a.err != nil && !a.hung()
					}
					if !good {
						t.Errorf("%s %s: %v", method, path, &a)
					}
					wants[path] = w
				}
			}
		}
	}
	access := r.byPath(r.settle())
	for path, w := range wants {
		if l := access[path]; l.Outcome != w.outcome || l.Retries != w.retries || l.OriginReused != (w.retries == 0) {
			t.Errorf("%+v, want %+v", l, w)
		}
		if _, again := second.Load(path); again != (w.retries > 0) {
			t.Errorf("%s: sent twice is %v", path, again)
		}
	}
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
