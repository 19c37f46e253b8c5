package failure

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// With one endpoint down and one up, in whatever way it is down, every request
// succeeds; with both down the answer comes at once.
func TestAGroupServesAsLongAsOneEndpointLives(t *testing.T) {
	for _, tc := range []struct {
		name   string
		dead   func(*testing.T) string
		set    []string
		status int    // when all are dead
		word   string // likewise
	}{
		{"refused", deadAddr, nil, 502, "connection_refused"},
		{"black hole", blackHole, []string{"timeouts.connect=2s"}, 0, ""}, // either: the other one refuses
	} {
		t.Run(tc.name, func(t *testing.T) {
			begin(t)
			live := startOrigin(t, serveEcho)
			r := newRig(t, []string{tc.dead(t), live.addr()}, tc.set...)
			callers := r.clients(overH2, overH1, overH2)
			const requests = 600
			inParallel(8, requests, func(i int) {
				method := []string{"GET", "POST"}[i%2]
				target := fmt.Sprintf("/%d", i)
				a := callers[i%3].do(method, target, "")
				if a.err != nil || a.status != 200 || a.header.Get("X-Id") != identity(method, target) {
					t.Errorf("%s %s: %v", method, target, &a)
				}
			})
			live.stop()
			for i, c := range callers {
				a := c.do("GET", fmt.Sprintf("/dead/%d", i), "")
				if a.err != nil || tc.status != 0 && (a.status != tc.status || a.header.Get("Proxy-Status") != "h2gw; error="+tc.word) || a.status < 502 || a.took > slack {
					t.Errorf("with both dead: %v", &a)
				}
			}
			access := r.byPath(r.settle())
			retries := 0
			for i := range requests {
				l := access[fmt.Sprintf("/%d", i)]
				if l.Outcome != "completed" {
					t.Errorf("%+v", l)
				}
				retries += l.Retries
			}
			if retries == 0 || retries > requests/2 {
				t.Errorf("%d retries for %d requests: the dead endpoint was never tried, or never rested", retries, requests)
			}
			t.Logf("%d requests, %d retries", requests, retries)
		})
	}
}

// An endpoint that comes back is used again without anybody's doing.
func TestAnEndpointThatComesBackIsUsedAgain(t *testing.T) {
	begin(t)
	first := startOrigin(t, serveEcho)
	addr := first.addr()
	second := startOrigin(t, serveEcho)
	r := newRig(t, []string{addr, second.addr()})
	c := r.client(overH2)
	n := 0
	ask := func() {
		n++
		if a := c.do("GET", fmt.Sprintf("/%d", n), ""); a.err != nil || a.status != 200 {
			t.Errorf("%v", &a)
		}
	}
	first.stop()
	for range 50 {
		ask()
	}
	again := startOriginAt(t, addr, serveEcho)
	for end := time.Now().Add(patience); again.accepted.Load() == 0; ask() {
		if time.Now().After(end) {
			t.Fatal("the endpoint is back and gets nothing")
		}
	}
	r.settle()
}

// An endpoint that dies under load costs at most the requests that it had just
// got on connections of their own; no other fails, and none hangs.
func TestAnEndpointThatDiesUnderLoadCostsLittle(t *testing.T) {
	begin(t)
	dying, live := startOrigin(t, serveEcho), startOrigin(t, serveEcho)
	r := newRig(t, []string{dying.addr(), live.addr()})
	callers := r.clients(overH2, overH1, overH2, overH10)
	const workers = 8
	requests := scaled(6000)
	var failed atomic.Int64
	stopped := make(chan struct{})
	inParallel(workers, requests, func(i int) {
		if i == requests/3 {
			go func() { dying.stop(); close(stopped) }()
		}
		target := fmt.Sprintf("/%d", i)
		a := callers[i%len(callers)].do("GET", target, "")
		switch {
		case a.err == nil && a.status == 200 && a.header.Get("X-Id") == identity("GET", target):
		case a.err == nil && a.status == 502:
			failed.Add(1)
		default:
			t.Errorf("%s: %v", target, &a)
		}
	})
	<-stopped
	if access := r.settle(); len(access) != requests {
		t.Errorf("%d access lines", len(access))
	}
	if failed.Load() > workers {
		t.Errorf("%d requests failed, want at most the %d under way", failed.Load(), workers)
	}
	t.Logf("%d of %d requests failed", failed.Load(), requests)
}
