package failure

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// An expectation is what one request of a table must come to.
type expectation struct {
	method, path, body string
	status             int // of the client's answer; 0: broken off behind the head
	logStatus          int // where it differs
	outcome            string
	least, most        time.Duration // when the end may come
}

// expect sends each request over each client, all at once, and checks the answer,
// the time it took, and the access line.
func expect(t *testing.T, r *rig, table []expectation) {
	t.Helper()
	var wg sync.WaitGroup
	for _, c := range r.clients(allClients...) {
		for _, e := range table {
			wg.Go(func() {
				a := c.do(e.method, e.path+"/"+c.proto, e.body)
				name := c.proto + " " + e.method + " " + e.path
				switch {
				case a.hung():
					t.Errorf("%s hangs", name)
				case e.status == 0 && a.err == nil:
					t.Errorf("%s: %v, want it broken off", name, &a)
				case e.status == 0 && c.proto == overH2 && !strings.Contains(a.err.Error(), "INTERNAL_ERROR"):
					t.Errorf("%s: %v, want RST_STREAM(INTERNAL_ERROR)", name, &a)
				case e.status != 0 && (a.err != nil || a.status != e.status || !strings.Contains(a.header.Get("Proxy-Status"), e.outcome)):
					t.Errorf("%s: %v, want %d %s", name, &a, e.status, e.outcome)
				case a.took < e.least || a.took > e.most:
					t.Errorf("%s took %v, want %v to %v", name, a.took, e.least, e.most)
				}
			})
		}
	}
	wg.Wait()
	access := r.byPath(r.settle())
	if want := len(table) * len(allClients); len(access) != want {
		t.Errorf("%d access lines, want %d", len(access), want)
	}
	for _, e := range table {
		want := e.logStatus
		if want == 0 {
			want = e.status
		}
		for _, p := range allClients {
			if l := access[e.path+"/"+p]; l.Outcome != e.outcome || l.Status != want {
				t.Errorf("%s %s: logged %s, %d; want %s, %d", p, e.path, l.Outcome, l.Status, e.outcome, want)
			}
		}
	}
}

// slack is how much later than it should an end may come on a busy machine.
const slack = 30 * time.Second

// An origin that accepts and is silent, wherever it stops, is not waited for
// longer than the setting says; the words tell the cases apart.
func TestASilentOriginIsWaitedForAsLongAsTheSettingSays(t *testing.T) {
	begin(t)
	o := startOrigin(t, func(p *peer) {
		// Not serveEcho's way: the head only, so that a body may be left.
		line, err := p.br.ReadString('\n')
		if err != nil {
			return
		}
		if strings.Contains(line, "/body-not-read") {
			p.hang()
			return
		}
		for l := line; l != "\r\n" && err == nil; l, err = p.br.ReadString('\n') {
		}
		stops := map[string]string{
			"/nothing":        "",
			"/in-status-line": "HTTP/1.1 200",
			"/in-head":        "HTTP/1.1 200 OK\r\nContent-Le",
			"/after-interim":  "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
			"/after-head":     "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
			"/in-body":        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
			"/in-chunk":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
			"/before-last":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
			"/in-trailers":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5",
			"/before-close":   "HTTP/1.1 200 OK\r\n\r\nhello",
		}
		for path, text := range stops {
			if strings.Contains(line, " "+path+"/") {
				p.send(text)
			}
		}
		p.hang()
	})
	const head, body = 5 * time.Second, 6 * time.Second // an origin that did answer must be heard on a busy machine, too
	r := newRig(t, []string{o.addr()}, "timeouts.response_head=5s", "timeouts.response_body_idle=6s")
	late := func(path string) expectation {
		return expectation{"GET", path, "", 504, 0, "http_response_timeout", head, head + slack}
	}
	broken := func(path string) expectation {
		return expectation{"GET", path, "", 0, 200, "http_response_timeout", body, body + slack}
	}
	expect(t, r, []expectation{
		late("/nothing"), late("/in-status-line"), late("/in-head"), late("/after-interim"),
		broken("/after-head"), broken("/in-body"), broken("/in-chunk"), broken("/before-last"), broken("/in-trailers"), broken("/before-close"),
		{"POST", "/nothing/post", "a body", 504, 0, "http_response_timeout", head, head + slack},
		{"PUT", "/body-not-read", strings.Repeat("b", 16<<20), 504, 0, "http_response_timeout", head, head + slack},
	})
}

// An origin that takes no connection is another timeout, with its own word.
func TestAnOriginThatTakesNoConnectionIsAConnectionTimeout(t *testing.T) {
	begin(t)
	hole := blackHole(t)
	const connect = 100 * time.Millisecond
	r := newRig(t, []string{hole}, "timeouts.connect=100ms", "timeouts.response_head=60s")
	// Two retries are three connects.
	expect(t, r, []expectation{
		{"GET", "/get", "", 504, 0, "connection_timeout", 3 * connect, 3*connect + slack},
		{"POST", "/post", "a body", 504, 0, "connection_timeout", 3 * connect, 3*connect + slack},
	})
}

// A response that drips passes unchanged, however long it takes in all: only
// silence is bounded.
func TestASlowDripPassesUnchanged(t *testing.T) {
	begin(t)
	var mu sync.Mutex
	var longest time.Duration
	o := startOrigin(t, func(p *peer) {
		for {
			req, _, err := p.request()
			if err != nil {
				return
			}
			part := strings.Split(req.URL.Path, "/")
			for _, s := range shapes {
				if s.name != part[1] {
					continue
				}
				start := time.Now()
				for i := range s.text {
					if !p.send(s.text[i : i+1]) {
						return
					}
					time.Sleep(60 * time.Millisecond)
				}
				mu.Lock()
				longest = max(longest, time.Since(start))
				mu.Unlock()
				if s.untilClose {
					return
				}
			}
		}
	})
	r := newRig(t, []string{o.addr()}, "timeouts.response_body_idle=5s")
	var wg sync.WaitGroup
	for _, c := range r.clients(allClients...) {
		for _, s := range shapes {
			for _, method := range []string{"GET", "POST"} {
				wg.Go(func() {
					body := ""
					if method == "POST" {
						body = "a body"
					}
					a := c.do(method, fmt.Sprintf("/%s/%s/%s", s.name, method, c.proto), body)
					if a.err != nil || a.status != 200 || a.body != s.body {
						t.Errorf("%s %s: %v", c.proto, s.name, &a)
					}
					if s.name == "chunked" && c.proto != overH10 && a.trailer.Get("X-Sum") != "11" {
						t.Errorf("%s: trailers %v", c.proto, a.trailer)
					}
				})
			}
		}
	}
	wg.Wait()
	for _, l := range r.settle() {
		if l.Outcome != "completed" {
			t.Errorf("%+v", l)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if longest < 5*time.Second {
		t.Errorf("the longest drip took %v: too little to show that it is not bounded as a whole", longest)
	}
}

// An upload that the client drips is no silence of the origin, and passes whole.
func TestASlowUploadIsNotTheOriginsSilence(t *testing.T) {
	begin(t)
	o := startOrigin(t, func(p *peer) {
		req, body, err := p.request()
		if err == nil {
			p.send("HTTP/1.1 200 OK\r\nX-Id: " + req.URL.Path + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + string(body))
		}
	})
	r := newRig(t, []string{o.addr()}, "timeouts.response_head=3s", "timeouts.request_body_idle=5s")
	c := r.client(overH2)
	ctx, cancel := contextOf(t)
	defer cancel()
	text := strings.Repeat("drip ", 8)
	a := c.send(ctx, "POST", "/upload", &dripReader{text: text, pause: 90 * time.Millisecond})
	if a.err != nil || a.status != 200 || a.body != text {
		t.Errorf("%v", &a)
	}
	r.settle()
}
