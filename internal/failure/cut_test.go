package failure

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A shape is a response as bytes, and where its final head ends.
type shape struct {
	name, text string
	head       int // length of everything up to the end of the final head
	body       string
	untilClose bool // closing is the end of it
}

func newShape(name, interim, head, framed, body string, untilClose bool) shape {
	return shape{name, interim + head + framed, len(interim + head), body, untilClose}
}

var shapes = []shape{
	newShape("length", "", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", "hello world", "hello world", false),
	newShape("chunked", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n",
		"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n", "hello world", false),
	newShape("close", "", "HTTP/1.1 200 OK\r\nServer: old\r\n\r\n", "hello world", "hello world", true),
	newShape("interim", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "hello", "hello", false),
}

// A cutting is one way and place to cut a response.
type cutting struct {
	shape  shape
	reset  bool
	at     int
	method string
	proto  string
}

func (c cutting) path() string {
	return fmt.Sprintf("/%s/%v/%d/%s/%s", c.shape.name, c.reset, c.at, c.method, c.proto)
}

// whole: what arrives is a complete response by its own framing.
func (c cutting) whole() bool {
	if c.shape.untilClose {
		return c.at >= c.shape.head && !c.reset
	}
	return c.at == len(c.shape.text)
}

// cutResponse is an origin that reads the whole request, and sends the bytes of
// the response that the path names up to a place in it.
func cutResponse(p *peer) {
	req, _, err := p.request()
	if err != nil {
		return
	}
	part := strings.Split(req.URL.Path, "/")
	at, _ := strconv.Atoi(part[3])
	for _, s := range shapes {
		if s.name == part[1] {
			p.send(s.text[:at])
		}
	}
	if part[2] == "true" {
		p.reset()
	}
}

// A response cut at any byte, by an orderly close or a reset, never looks
// complete, on no protocol; the client gets a status while there is one to give,
// and the log the word of the rule.
func TestAResponseCutAtAnyByteNeverLooksComplete(t *testing.T) {
	begin(t)
	o := startOrigin(t, cutResponse)
	r := newRig(t, []string{o.addr()}, "timeouts.origin_idle=off")
	var all []cutting
	for _, proto := range allClients {
		for _, s := range shapes {
			for _, reset := range []bool{false, true} {
				for _, method := range []string{"GET", "POST"} {
					for at := range len(s.text) + 1 {
						all = append(all, cutting{s, reset, at, method, proto})
					}
				}
			}
		}
	}
	callers := map[string]*caller{}
	for _, p := range allClients {
		callers[p] = r.client(p)
	}
	statuses := make([]int, len(all)) // that the clients saw
	inParallel(8, len(all), func(i int) {
		c := all[i]
		body := ""
		if c.method == "POST" {
			body = "the body of the request"
		}
		a := callers[c.proto].do(c.method, c.path(), body)
		c.check(t, &a)
		statuses[i] = a.status
	})
	access := r.byPath(r.settle())
	if len(access) != len(all) {
		t.Errorf("%d access lines for %d requests", len(access), len(all))
	}
	headless, raced := 0, 0
	for i, c := range all {
		l := access[c.path()]
		if statuses[i] == 0 {
			headless++
		} else if c.proto == overH2 && l.Status == 0 && c.at >= c.shape.head {
			// The head was being taken from the virtual connection as that
			// was reset: rarely the log counts it as not taken.
			raced++
			l.Status = statuses[i]
		}
		c.checkLine(t, l, statuses[i])
	}
	if raced > len(all)/100 {
		t.Errorf("%d times of %d the log says that no status was given, and one was", raced, len(all))
	}
	t.Logf("%d requests; %d times the stream was reset in front of the head, %d times as it was taken", len(all), headless, raced)
}

func (c cutting) check(t *testing.T, a *answer) {
	t.Helper()
	switch {
	case a.hung():
		t.Errorf("%s: hangs", c.path())
	case c.whole():
		want := c.shape.body
		if c.shape.untilClose {
			want = c.shape.text[c.shape.head:c.at]
		}
		if a.err != nil || a.status != 200 || a.body != want {
			t.Errorf("%s: %v, want 200 and %q", c.path(), a, want)
		}
		if c.shape.name == "chunked" && c.proto != overH10 && a.trailer.Get("X-Sum") != "11" {
			t.Errorf("%s: trailers %v", c.path(), a.trailer)
		}
	case c.at < c.shape.head:
		if want := "h2gw; error=" + c.outcome(); a.err != nil || a.status != 502 || a.header.Get("Proxy-Status") != want {
			t.Errorf("%s: %v, want 502 and %s", c.path(), a, want)
		}
	case a.err == nil:
		t.Errorf("%s: a cut response looks complete: %v", c.path(), a)
	case c.proto == overH2 && !strings.Contains(a.err.Error(), "INTERNAL_ERROR"):
		t.Errorf("%s: %v, want RST_STREAM(INTERNAL_ERROR)", c.path(), a)
	}
}

func (c cutting) outcome() string {
	switch {
	case c.whole():
		return "completed"
	case c.at == 0:
		return "connection_terminated"
	}
	return "http_response_incomplete"
}

func (c cutting) checkLine(t *testing.T, l line, status int) {
	t.Helper()
	if l.Outcome != c.outcome() || l.Status != status || l.Retries != 0 {
		t.Errorf("%s: outcome %s, status %d, retries %d; want %s, %d", c.path(), l.Outcome, l.Status, l.Retries, c.outcome(), status)
	}
	if cut := c.at >= c.shape.head && !c.whole(); c.proto == overH2 && (l.H2Error == "INTERNAL_ERROR") != cut {
		t.Errorf("%s: h2_error %q", c.path(), l.H2Error)
	}
}

// inParallel calls f with 0 to n-1, from some goroutines at once.
func inParallel(workers, n int, f func(i int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// An origin that nobody runs is a 502 at once, after the retries that a connect
// deserves.
func TestAnOriginThatRefusesIsA502(t *testing.T) {
	begin(t)
	r := newRig(t, []string{deadAddr(t)})
	for _, c := range r.clients(allClients...) {
		for _, method := range []string{"GET", "POST", "HEAD"} {
			a := c.do(method, "/"+method, "")
			if a.err != nil || a.status != 502 || a.header.Get("Proxy-Status") != "h2gw; error=connection_refused" {
				t.Errorf("%s %s: %v", c.proto, method, &a)
			}
		}
	}
	for _, l := range r.settle() {
		if l.Outcome != "connection_refused" || l.Status != 502 || l.Retries != 2 {
			t.Errorf("%+v", l)
		}
	}
}
