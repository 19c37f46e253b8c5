package failure

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/gateway"
)

// A moody origin does anything an origin can do wrong, by chance, and answers
// properly in between.
func moody(seed *atomic.Uint64) func(*peer) {
	behaviour := impatientOrigin{seen: map[string]int{}}
	return func(p *peer) {
		rnd := rand.New(rand.NewPCG(seed.Add(1), 7))
		for rnd.IntN(20) > 0 {
			req, err := http.ReadRequest(p.br)
			if err != nil {
				return
			}
			p.served++
			text := echo(req)
			if rnd.IntN(20) == 0 { // without reading the body
				p.send(text)
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			switch rnd.IntN(30) {
			case 0:
				p.reset()
				return
			case 1:
				p.gone() // never answers
				return
			case 2:
				p.send(text[:rnd.IntN(len(text))])
				p.reset()
				return
			case 3:
				p.send(text[:rnd.IntN(len(text))])
				p.gone()
				return
			case 4:
				p.send(text + stray)
			case 5:
				p.send("HTTP/1.1 200 OK\r\nX-Id: " + identity(req.Method, req.URL.RequestURI()) + "\r\nContent-Length: 4000000\r\n\r\n" + strings.Repeat("z", 4000000))
			case 6:
				p.send("SSH-2.0-liar\r\n\r\n")
			case 7:
				behaviour.seed.Store(rnd.Uint64())
				behaviour.script(p)
				return
			default:
				p.send(text)
			}
		}
	}
}

// A clientele is what one goroutine of clients does until the time is over.
type clientele struct {
	r     *rig
	t     *testing.T
	rnd   *rand.Rand
	asked *atomic.Int64
	good  *atomic.Int64
}

// asks sends an ordinary request, and may leave before the answer.
func (k *clientele) asks(c *caller) {
	n := k.asked.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	method, target := []string{"GET", "POST", "HEAD", "PUT"}[k.rnd.IntN(4)], fmt.Sprintf("/%d", n)
	var body io.Reader
	if method == "POST" || method == "PUT" {
		body = strings.NewReader(strings.Repeat("u", k.rnd.IntN(100_000)))
	}
	if k.rnd.IntN(5) == 0 {
		stop := time.AfterFunc(time.Duration(k.rnd.IntN(20_000))*time.Microsecond, cancel)
		defer stop.Stop()
	}
	a := c.send(ctx, method, target, body)
	switch id := identity(method, target); {
	case a.hung():
		k.t.Errorf("%s %s %s hangs", c.proto, method, target)
	case a.err != nil:
	case a.status == 200 && a.header.Get("X-Id") == id:
		k.good.Add(1)
	case a.status == 200:
		k.t.Errorf("%s %s got the answer of %.100q", c.proto, id, a.header.Get("X-Id"))
	case a.status < 400 || a.header.Get("Proxy-Status") == "":
		k.t.Errorf("%s %s: %v", c.proto, id, &a)
	}
}

// misbehaves connects and breaks off in one way or another.
func (k *clientele) misbehaves() {
	nc, err := net.Dial("tcp", k.r.Addr(gateway.ListenerPlain).String())
	if err != nil {
		k.t.Error(err)
		return
	}
	defer nc.Close()
	tc := nc.(*net.TCPConn)
	path := fmt.Sprintf("/broken/%d", k.asked.Add(1))
	text := [][]byte{inHTTP2(path).text, inHTTP1(path).text, inChunks(path).text, unbounded(path), []byte("\x16\x03\x01garbage")}[k.rnd.IntN(5)]
	nc.Write(text[:k.rnd.IntN(len(text)+1)])
	switch k.rnd.IntN(5) {
	case 0:
		tc.SetLinger(0)
	case 1:
		tc.CloseWrite()
		nc.SetReadDeadline(time.Now().Add(patience))
		io.Copy(io.Discard, nc)
	case 2: // reads a little, and no more, until it is thrown out
		tc.SetReadBuffer(4 << 10)
		nc.SetReadDeadline(time.Now().Add(time.Duration(k.rnd.IntN(300)) * time.Millisecond))
		io.CopyN(io.Discard, nc, int64(k.rnd.IntN(1000)))
	}
}

// Many clients of every kind, most of them impatient or broken, in front of
// origins of which most fail, for a while: no answer goes astray, none hangs, and
// in the end nothing is left.
func TestManyFailingClientsAndOriginsLeaveNothingBehind(t *testing.T) {
	begin(t)
	var seed atomic.Uint64
	addrs := []string{deadAddr(t), blackHole(t)}
	var origins []*origin
	for range 4 {
		o := startOrigin(t, moody(&seed))
		origins, addrs = append(origins, o), append(addrs, o.addr())
	}
	r := newRig(t, addrs, "timeouts.connect=100ms", "timeouts.response_head=300ms", "timeouts.response_body_idle=300ms",
		"timeouts.request_body_idle=300ms", "timeouts.write_stall=300ms", "timeouts.request_head=300ms", "timeouts.preface=300ms", "timeouts.session_idle=2s",
		"limits.streams=50", "limits.origin_connections=6", "limits.fields=64")
	const lasts = 6 * time.Second
	end := time.Now().Add(lasts)
	var asked, good atomic.Int64
	var wg sync.WaitGroup
	shared := r.clients(overH2, overH2, overH2)
	for i := range 48 {
		k := &clientele{r, t, rand.New(rand.NewPCG(uint64(i), 8)), &asked, &good}
		c := r.clients(overH2, overH1, overH10, overTLS1)[i%4]
		wg.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				switch n := k.rnd.IntN(10); {
				case n == 0:
					k.misbehaves()
				case n < 5:
					k.asks(shared[n%3])
				default:
					k.asks(c)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(end.Add(-lasts))
	access := r.settle()
	outcomes := map[string]int{}
	for _, l := range access {
		outcomes[l.Outcome]++
		if l.Outcome == "proxy_internal_error" || l.Outcome == "" {
			t.Errorf("%+v", l)
		}
	}
	var conns int64
	for _, o := range origins {
		conns += o.accepted.Load()
	}
	if good.Load() == 0 || len(outcomes) < 6 {
		t.Errorf("%d good answers, outcomes %v: too little happened", good.Load(), outcomes)
	}
	t.Logf("%v: %d asked, %d good answers, %d access lines, %d origin connections, %v", took.Round(time.Millisecond), asked.Load(), good.Load(), len(access), conns, outcomes)
}
