package httpsm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// A client that does not read stops the origin from being read, and an origin
// that does not read stops the client from being read.
func TestBackpressure(t *testing.T) {
	const total = 8 << 20
	bubble(t, "down", func(t *testing.T) {
		var sent atomic.Int64
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadRequest()
			c.Sendf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", total)
			for chunk := strings.Repeat("x", 16<<10); sent.Load() < total; sent.Add(int64(len(chunk))) {
				c.Send(chunk)
			}
			c.ReadToEnd()
		})
		c := r.open()
		io.WriteString(c, get)
		c.CloseWrite()
		synctest.Wait()
		held := sent.Load()
		if held > 1<<20 {
			t.Errorf("%d bytes were taken from the origin for a client that reads nothing", held)
		}
		n, err := io.Copy(io.Discard, c)
		if n < total || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
		c.Close()
		if rec := r.wantRecord(Completed, 200); rec.BytesOut != total {
			t.Errorf("bytes_out %d", rec.BytesOut)
		}
	})
	bubble(t, "up", func(t *testing.T) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadHead()
			c.Wait(10 * time.Second)
			c.ReadN(total)
			c.Send(testkit.Reply("ok"))
			c.ReadToEnd()
		})
		c := r.open()
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", total)
		var written atomic.Int64
		go func() {
			chunk := make([]byte, 16<<10)
			for written.Load() < total {
				c.Write(chunk)
				written.Add(int64(len(chunk)))
			}
		}()
		synctest.Wait()
		if n := written.Load(); n > 1<<20 {
			t.Errorf("%d bytes were taken from the client for an origin that reads nothing", n)
		}
		wantStatus(t, r.readAll(c), 200)
		c.Close()
		if rec := r.wantRecord(Completed, 200); rec.BytesIn != total {
			t.Errorf("bytes_in %d", rec.BytesIn)
		}
	})
	bubble(t, "the client is answered before its upload is settled", func(t *testing.T) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadHead()
			c.Send(testkit.Reply("early"))
			c.Wait(time.Hour) // without reading
		})
		c := r.open()
		start := time.Now()
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
		go io.CopyN(c, zeros{}, 1000000)
		buf := make([]byte, 4096)
		n, _ := c.Read(buf)
		if !strings.HasSuffix(string(buf[:n]), "early") || time.Since(start) != 0 {
			t.Errorf("%q after %v", buf[:n], time.Since(start))
		}
		c.Close()
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// An origin that answers at once and then breaks the upload has answered.
func TestAnAnswerIsReadThoughTheUploadBroke(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadHead()
			c.Send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		})
		c := r.open()
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
		go io.CopyN(c, zeros{}, 1000000)
		wantStatus(t, r.readAll(c), 401)
		c.Close()
		r.wantRecord(Completed, 401)
	})
}

// Every transaction has one record, whatever both sides do at whatever moment,
// and pooled transactions take nothing along.
func TestManyTransactionsEndingInEveryWay(t *testing.T) {
	o := testkit.ListenOrigin(t, func(c *testkit.OriginConn) {
		// Not the verbs: here requests may break off anywhere.
		for br := bufio.NewReader(c.NetConn()); ; {
			q, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, q.Body); err != nil {
				return
			}
			switch q.Header.Get("X-Do") {
			case "reset":
				c.Reset()
				return
			case "close":
				return
			case "truncate":
				c.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
				return
			case "chunked":
				c.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n" + q.Header.Get("X-Id") + "\r\n0\r\n\r\n")
			default:
				c.Send(testkit.Reply(q.Header.Get("X-Id")))
			}
		}
	})
	g, err := origin.NewGroup(origin.Config{Endpoints: []origin.EndpointConfig{{Addr: o.Addr()}}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var records, closed atomic.Int64
	hooks := new(Hooks)
	hooks.On(TxnClose, func(*Txn) Verdict { closed.Add(1); return Continue })
	hooks.On(PostRoute, func(t *Txn) Verdict {
		if t.Request().Fields.Has("X-Panic") {
			panic("asked to")
		}
		return Continue
	})
	m := New(Config{Origins: g, Hooks: hooks, OnRecord: func(*Record) { records.Add(1) }})
	defer m.dismiss()
	connector := vconn.NewConnector(m)
	const workers, each = 8, 150
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range each {
				oneOfMany(t, connector, rng, fmt.Sprintf("%01d%03d", w, i))
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := m.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v, %d left", err, m.Stats().Active)
	}
	if records.Load() != workers*each || closed.Load() != workers*each {
		t.Errorf("%d records and %d TxnClose of %d transactions", records.Load(), closed.Load(), workers*each)
	}
}

func oneOfMany(t *testing.T, connector *vconn.Connector, rng *rand.Rand, id string) {
	do := []string{"reset", "close", "truncate", "chunked", "", "", ""}[rng.IntN(7)]
	extra := ""
	if rng.IntN(20) == 0 {
		extra = "X-Panic: 1\r\n"
	}
	c, err := connector.Open(vconn.Options{})
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	body := strings.Repeat("b", rng.IntN(3)*20000)
	request := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nX-Id: %s\r\nX-Do: %s\r\n%sContent-Length: %d\r\n\r\n%s", id, do, extra, len(body), body)
	if rng.IntN(6) == 0 {
		request = request[:rng.IntN(len(request))]
	}
	io.WriteString(c, request)
	switch rng.IntN(6) {
	case 0:
		c.Reset(codeCancel)
		return
	case 1:
		return // closed
	}
	c.CloseWrite()
	b, err := io.ReadAll(c)
	if err == nil && strings.HasPrefix(string(b), "HTTP/1.1 200 ") && !strings.Contains(string(b), "\r\n"+id) {
		t.Errorf("the answer to %s is %q", id, b)
	}
}

func TestMaxForwards(t *testing.T) {
	for _, tc := range []struct {
		method string
		status int
	}{{"OPTIONS", 200}, {"TRACE", 405}} {
		bubble(t, tc.method, func(t *testing.T) {
			r := newRig(t, nil)
			got := r.ask(tc.method + " / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
			wantStatus(t, got, tc.status)
			if !strings.Contains(got, "\r\nAllow: GET, ") || len(r.o.Conns()) != 0 {
				t.Errorf("answer %q", got)
			}
		})
	}
}

// Slow is not stopped: what trickles within its bound goes through, and a bound
// that is off never fires.
func TestSlowButHonest(t *testing.T) {
	drip := func(pause time.Duration) testkit.Script {
		return func(c *testkit.OriginConn) {
			c.ReadRequest()
			c.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
			for range 5 {
				c.Wait(pause)
				c.Send("x")
			}
			c.ReadToEnd()
		}
	}
	bubble(t, "origin", func(t *testing.T) {
		r := newRig(t, nil, drip(59*time.Second))
		if got := r.ask(get); !strings.HasSuffix(got, "xxxxx") {
			t.Errorf("answer %q", got)
		}
		r.wantRecord(Completed, 200)
	})
	bubble(t, "bounds off", func(t *testing.T) {
		off := Timeouts{RequestHead: -1, RequestBodyIdle: -1, WriteStall: -1, ResponseHead: -1, ResponseBodyIdle: -1, Preface: -1, SessionIdle: -1}
		r := newRig(t, func(c *Config) { c.Timeouts = off; c.Limits.RequestBody, c.Limits.RequestBodyRate = -1, -1 }, func(c *testkit.OriginConn) {
			c.ReadRequest()
			c.Wait(24 * time.Hour)
			c.Send(testkit.Reply("late"))
			c.ReadToEnd()
		})
		c := r.dial()
		for _, part := range []string{"POST / HTTP/1.1\r\nHost: a\r\n", "Content-Length: 3\r\n\r\n", "a", "bc"} {
			time.Sleep(24 * time.Hour)
			c.send(part)
		}
		c.want(200, "late")
		time.Sleep(24 * time.Hour)
		c.Close()
		c.wantEnd("client_closed")
	})
	bubble(t, "an origin that pauses after its client did", func(t *testing.T) {
		// Both within their bounds; that of the client's pause is not to end the
		// origin's.
		const long = 1 << 20
		r := newRig(t, func(c *Config) { c.Timeouts.WriteStall, c.Timeouts.ResponseBodyIdle = 10*time.Second, time.Hour }, func(c *testkit.OriginConn) {
			c.ReadRequest()
			c.Sendf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", long+4, strings.Repeat("x", long))
			c.Wait(30 * time.Second)
			c.Send("late")
			c.ReadToEnd()
		})
		c := r.open()
		io.WriteString(c, get)
		c.CloseWrite()
		time.Sleep(5 * time.Second)
		got, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(string(got), "xlate") {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		c.Close()
		r.wantRecord(Completed, 200)
	})
	bubble(t, "a client that reads slowly", func(t *testing.T) {
		r := newRig(t, nil, testkit.Serve(testkit.Reply(strings.Repeat("x", 1<<20))))
		c := r.open()
		io.WriteString(c, get)
		c.CloseWrite()
		buf := make([]byte, 16<<10)
		total := 0
		for {
			n, err := c.Read(buf)
			total += n
			if err != nil {
				break
			}
			time.Sleep(29 * time.Second)
		}
		if total < 1<<20 {
			t.Errorf("got %d bytes", total)
		}
		c.Close()
		r.wantRecord(Completed, 200)
	})
}
