package failure

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A gateway that is told to stop while origins hang and clients stall stops all
// the same, when timeouts.drain is over, with a line for everything.
func TestADrainEndsWhateverOriginsAndClientsDo(t *testing.T) {
	begin(t)
	arrived := make(chan struct{}, 100)
	o := startOrigin(t, func(p *peer) {
		req, err := http.ReadRequest(p.br)
		if err != nil {
			return
		}
		arrived <- struct{}{}
		if strings.HasPrefix(req.URL.Path, "/body") {
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
		}
		if strings.HasPrefix(req.URL.Path, "/pour") {
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n" + strings.Repeat("p", huge))
		}
		p.gone()
	})
	r := newRig(t, []string{o.addr()}, "timeouts.drain=300ms")
	var wg sync.WaitGroup
	requests := 0
	for _, c := range r.clients(append(allClients, overTLS1)...) {
		for _, path := range []string{"/head/", "/body/"} {
			requests++
			wg.Go(func() {
				if a := c.do("GET", path+c.proto, ""); a.hung() || a.err == nil && a.status == 200 {
					t.Errorf("%s%s: %v", path, c.proto, &a)
				}
			})
		}
	}
	for _, text := range [][]byte{
		[]byte("GET /pour/h1 HTTP/1.1\r\nHost: x\r\n\r\n"), unbounded("/pour/h2"), // never read
		[]byte("POST /upload/h1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello"), // never ends
	} {
		requests++
		r.dial().Write(text)
	}
	for range requests {
		<-arrived
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Shutdown(ctx); err == nil {
		t.Error("the shutdown says that everything could finish")
	}
	took := time.Since(start)
	r.settled = true
	wg.Wait()
	r.closeClients()
	if took < 300*time.Millisecond || took > 300*time.Millisecond+slack {
		t.Errorf("the shutdown took %v", took)
	}
	access, sessions := r.log()
	r.oneLineEach(access, sessions)
	if len(access) != requests {
		t.Errorf("%d access lines for %d requests", len(access), requests)
	}
	for _, l := range access {
		if l.Outcome != "gateway_draining" {
			t.Errorf("%+v", l)
		}
	}
	t.Logf("drained in %v", took.Round(time.Millisecond))
}

// A client that has sent its whole request and closed its side only may still be
// reading: it gets the answer, or a connection that ends without one. It is never
// left waiting.
func TestAHalfClosedClientIsNotLeftWaiting(t *testing.T) {
	begin(t)
	o := startOrigin(t, serveEcho)
	r := newRig(t, []string{o.addr()})
	answered, rounds := 0, 0
	// An origin that is slow, as all are on a busy machine, lets the end be seen first.
	for end := time.Now().Add(patience); rounds < 100 || answered == 0 && time.Now().Before(end); rounds++ {
		nc := r.dial()
		io.WriteString(nc, "GET /half HTTP/1.1\r\nHost: x\r\n\r\n")
		nc.CloseWrite()
		b, err := io.ReadAll(nc)
		switch text := string(b); {
		case strings.HasSuffix(text, "GET /half"):
			answered++
		case text != "" || err != nil && !strings.Contains(err.Error(), "reset"):
			t.Errorf("%q, %v", text, err)
		}
	}
	completed := 0
	for _, l := range r.settle() {
		switch l.Outcome {
		case "completed":
			completed++
		case "client_abort":
		default:
			t.Errorf("%+v", l)
		}
	}
	if completed != answered || answered == 0 {
		t.Errorf("%d answered, %d completed", answered, completed)
	}
	t.Logf("%d of %d answered", answered, rounds)
}
