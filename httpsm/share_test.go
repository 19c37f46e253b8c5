package httpsm

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// echoPath answers every request with its path.
func echoPath(c *testkit.OriginConn) {
	for {
		r, ok := c.ReadRequest()
		if !ok {
			return
		}
		c.Send(testkit.Reply(r.Target()))
	}
}

// sharing runs a test in a bubble, on a machine whose origin has one shared
// connection: its second, which plays script. The first and the third on serve
// requests that go alone.
func sharing(t *testing.T, change func(*Config), script testkit.Script, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRigTo(t, func(c *origin.Config) { c.Pipeline = 16 }, change, echoPath, script, echoPath)
		for range 2 { // the first shows that connections are kept, the second has one made to share
			wantStatus(t, r.ask(getPath("/before")), 200)
			synctest.Wait()
		}
		r.records = nil
		test(t, r)
	})
}

func getPath(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }

// A caller is a client's end of a transaction that is under way.
type caller struct {
	r    *rig
	conn *vconn.Conn
	path string
}

// call begins transactions, one after the other.
func (r *rig) call(requests ...string) []*caller {
	r.t.Helper()
	var all []*caller
	for _, request := range requests {
		c := &caller{r: r, conn: r.open(), path: strings.Fields(request)[1]}
		io.WriteString(c.conn, request)
		c.conn.CloseWrite()
		synctest.Wait()
		all = append(all, c)
	}
	return all
}

func (c *caller) end() string {
	defer c.conn.Close()
	return c.r.readAll(c.conn)
}

func (c *caller) wantOwn() {
	c.r.t.Helper()
	got := c.end()
	if _, body, _ := strings.Cut(got, "\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") || body != c.path {
		c.r.t.Errorf("%s was answered %q", c.path, got)
	}
}

func (c *caller) want(status int) {
	c.r.t.Helper()
	if got := c.end(); !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", status)) {
		c.r.t.Errorf("%s was answered %q, want %d", c.path, got, status)
	}
}

// recordOf returns the record of a path; there must be exactly one.
func (r *rig) recordOf(path string) Record {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []Record
	for _, rec := range r.records {
		if strings.HasSuffix(rec.Path, path) {
			found = append(found, rec)
		}
	}
	if len(found) != 1 {
		r.t.Fatalf("%d records of %s: %+v", len(found), path, found)
	}
	return found[0]
}

func (r *rig) stats() origin.EndpointStats { return r.group.Stats()[0] }

// wantQuiet: nothing is outstanding any more.
func (r *rig) wantQuiet() {
	r.t.Helper()
	synctest.Wait()
	if s := r.stats(); s.PipelineInFlight != 0 || s.InFlight != 0 || r.m.Stats().Active != 0 {
		r.t.Errorf("not quiet: %+v, %+v", s, r.m.Stats())
	}
}

// paths reads n requests.
func paths(c *testkit.OriginConn, n int) []string {
	var all []string
	for range n {
		r, ok := c.ReadRequest()
		if !ok {
			break
		}
		all = append(all, r.Target())
	}
	return all
}

// A kind of response, and what the client is to get of it.
type kindOfResponse struct {
	method, path, response, want string
}

var kindsOfResponses = []kindOfResponse{
	{"GET", "/length", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n/length", "/length"},
	{"HEAD", "/head", "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\nX: /head\r\n\r\n", ""},
	{"GET", "/204", "HTTP/1.1 204 No Content\r\nX: /204\r\n\r\n", ""},
	{"GET", "/304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 17\r\nX: /304\r\n\r\n", ""},
	{"GET", "/interim", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n/interim", "/interim"},
	{"GET", "/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n/chu\r\n4\r\nnked\r\n0\r\n\r\n", "/chunked"},
	{"GET", "/trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n/trailers\r\n0\r\nT: /trailers\r\n\r\n", "/trailers"},
	{"OPTIONS", "/empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: /empty\r\n\r\n", ""},
	{"HEAD", "/head-chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: /head-chunked\r\n\r\n", ""},
	{"GET", "/404", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\n/404", "/404"},
}

func (k kindOfResponse) request() string {
	return k.method + " " + k.path + " HTTP/1.1\r\nHost: a\r\n\r\n"
}

// answered says whether got is the response of this kind, whole.
func (k kindOfResponse) answered(got string) bool {
	for strings.HasPrefix(got, "HTTP/1.1 1") {
		_, got, _ = strings.Cut(got, "\r\n\r\n")
	}
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	if strings.Contains(strings.ToLower(head), "transfer-encoding: chunked") {
		var plain strings.Builder
		for body != "" && !strings.HasPrefix(body, "0\r\n") {
			var n int
			fmt.Sscanf(body, "%x", &n)
			_, rest, _ := strings.Cut(body, "\r\n")
			plain.WriteString(rest[:n])
			body = rest[n+2:]
		}
		body = plain.String()
	}
	return (k.want != "" || strings.Contains(head, k.path)) && body == k.want && !strings.Contains(got, "\n!")
}

func responses(kinds []kindOfResponse) (all string) {
	for _, k := range kinds {
		all += k.response
	}
	return all
}

func requestsOf(kinds []kindOfResponse) (all []string) {
	for _, k := range kinds {
		all = append(all, k.request())
	}
	return all
}

func TestResponsesOfEveryKindShareAConnection(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		kinds := slices.Clone(kindsOfResponses)
		rnd.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		sharing(t, nil, func(c *testkit.OriginConn) {
			paths(c, len(kinds))
			b := responses(kinds)
			for len(b) > 0 {
				k := min(len(b), 1+rnd.IntN(1+int(seed*20)))
				c.Send(b[:k])
				b = b[k:]
				c.Wait(time.Duration(rnd.IntN(100)) * time.Microsecond)
			}
			echoPath(c)
		}, func(t *testing.T, r *rig) {
			for i, c := range r.call(requestsOf(kinds)...) {
				if got := c.end(); !kinds[i].answered(got) {
					t.Errorf("%s was answered %q", c.path, got)
				}
				if rec := r.recordOf(c.path); rec.Outcome != Completed || rec.Retries != 0 || !rec.OriginReused || rec.Origin != r.o.Addr() {
					t.Errorf("%+v", rec)
				}
			}
			r.call(getPath("/next"))[0].wantOwn()
			r.wantQuiet()
			if s := r.stats(); s.PipelineRequests != uint64(len(kinds))+1 || len(r.o.Conns()) != 2 {
				t.Errorf("%d connections, %+v", len(r.o.Conns()), s)
			}
		})
	}
}

// Those answered whole are; the one that breaks off is a 502 or, once its head is
// out, truncated; every other one is sent again, once, on another connection.
func TestABreakAtEveryByteOfSharedResponses(t *testing.T) {
	kinds := []kindOfResponse{kindsOfResponses[0], kindsOfResponses[5], kindsOfResponses[1], kindsOfResponses[6], kindsOfResponses[2]}
	all := responses(kinds)
	for cut := 0; cut <= len(all); cut++ {
		sharing(t, nil, func(c *testkit.OriginConn) {
			paths(c, len(kinds))
			c.Send(all[:cut])
		}, func(t *testing.T, r *rig) {
			end := 0
			for i, c := range r.call(requestsOf(kinds)...) {
				begin := end
				end += len(kinds[i].response)
				got, rec := c.end(), r.recordOf(c.path)
				switch {
				case cut >= end:
					if !kinds[i].answered(got) || rec.Outcome != Completed || rec.Retries != 0 {
						t.Errorf("cut at %d: %s was answered %q: %s", cut, c.path, got, rec.Outcome)
					}
				case cut > begin:
					if rec.Outcome != HTTPResponseIncomplete || rec.Retries != 0 || rec.Status != 502 && !strings.Contains(got, "\n!") {
						t.Errorf("cut at %d, within: %s was answered %q: %s, %d", cut, c.path, got, rec.Outcome, rec.Retries)
					}
				default:
					if _, body, _ := strings.Cut(got, "\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") || kinds[i].method != "HEAD" && body != c.path ||
						rec.Retries != 1 || rec.Outcome != Completed || rec.OriginReused {
						t.Errorf("cut at %d, before: %s was answered %q: %+v", cut, c.path, got, rec)
					}
				}
			}
			r.wantQuiet()
		})
	}
}

// Who was sent again and fails again is not sent a third time; and is sent again
// on a connection of its own that is new, though others are there to be shared or
// used again.
func TestWhatWasSharedIsSentAgainOnlyOnce(t *testing.T) {
	for name, another := range map[string]bool{"no other is shared": false, "another is shared": true} {
		bubble(t, name, func(t *testing.T) {
			once := func(c *testkit.OriginConn) { paths(c, 1) }
			scripts := []testkit.Script{echoPath, func(c *testkit.OriginConn) {
				paths(c, 2)
				c.Wait(300 * time.Millisecond)
			}, once}
			if another {
				scripts = []testkit.Script{scripts[0], scripts[1], echoPath, once}
			}
			r := newRigTo(t, func(c *origin.Config) { c.Pipeline = 16 }, func(c *Config) { c.Retries = 5 }, scripts...)
			for range 2 {
				wantStatus(t, r.ask(getPath("/before")), 200)
				synctest.Wait()
			}
			r.records = nil
			all := r.call(getPath("/a"), getPath("/b"))
			if another {
				time.Sleep(100 * time.Millisecond) // the first is slow by now: for who comes next there is to be another
				r.call(getPath("/alone"))[0].wantOwn()
				synctest.Wait()
				r.call(getPath("/shared"))[0].wantOwn()
				if s := r.stats(); s.Pipelines != 2 || s.PipelineRequests != 3 {
					t.Fatalf("not what is to be tested: %+v", s)
				}
			}
			for _, c := range all {
				wantFinal(t, c.end(), 502, ConnectionTerminated)
				if rec := r.recordOf(c.path); rec.Retries != 1 || rec.OriginReused {
					t.Errorf("%s: %d retries, the last on a connection that was used before: %t", c.path, rec.Retries, rec.OriginReused)
				}
			}
			for i, got := range r.o.Received() {
				if first := i == 1; strings.Contains(got, "/a ") && strings.Contains(got, "/b ") != first {
					t.Errorf("connection %d received %q", i+1, got)
				}
			}
			if n, want := len(r.o.Conns()), len(scripts)+1; n != want {
				t.Errorf("%d connections, want %d", n, want)
			}
			r.wantQuiet()
		})
	}
}

func TestAResponseThatEndsTheConnection(t *testing.T) {
	for name, last := range map[string]string{
		"close":           "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
		"close-delimited": "HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.0":        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			sharing(t, nil, func(c *testkit.OriginConn) {
				p := paths(c, 4)
				c.Send(testkit.Reply(p[0]), last)
				c.Wait(300 * time.Millisecond)
				c.Send("/last")
			}, func(t *testing.T, r *rig) {
				all := r.call(getPath("/a"), getPath("/last"), getPath("/c"), getPath("/d"))
				start := time.Now()
				all[0].wantOwn()
				all[2].wantOwn()
				all[3].wantOwn()
				if time.Since(start) != 0 {
					t.Error("those behind the last response waited for its end")
				}
				if got := all[1].end(); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "/last") || strings.Contains(got, "\n!") {
					t.Errorf("answered %q", got)
				}
				r.wantQuiet()
				if n := r.retries(retryPipelineClosed); n != 2 || r.recordOf("/c").Retries != 1 || r.recordOf("/last").Retries != 0 {
					t.Errorf("%v", r.m.Stats().Retries)
				}
			})
		})
	}
}

func TestAMalformedResponseHarmsOnlyItsRequest(t *testing.T) {
	for name, bad := range map[string]string{
		"not HTTP":     "SSH-2.0-OpenSSH_9.9\r\n\r\n",
		"two lengths":  "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
		"101 unasked":  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
		"interims":     strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 17),
		"interim body": "HTTP/1.1 103 Early Hints\r\nContent-Length: 400\r\n\r\n",
		"large head":   "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 140<<10),
	} {
		t.Run(name, func(t *testing.T) {
			sharing(t, nil, func(c *testkit.OriginConn) {
				p := paths(c, 4)
				c.Send(testkit.Reply(p[0]), bad, testkit.Reply("/smuggled"), testkit.Reply("/smuggled"))
				c.ReadToEnd()
			}, func(t *testing.T, r *rig) {
				all := r.call(getPath("/a"), getPath("/bad"), getPath("/c"), getPath("/d"))
				all[0].wantOwn()
				wantFinal(t, all[1].end(), 502, HTTPProtocolError)
				all[2].wantOwn()
				all[3].wantOwn()
				r.wantQuiet()
				if n := r.retries(retryPipelineBroken); n != 2 || r.stats().Pipelines != 0 {
					t.Errorf("%v", r.m.Stats().Retries)
				}
			})
		})
	}
}

// Bytes that were there before a request was sent are not its response, however
// well they look.
func TestStrayBytesAre502ForAllThatIsOutstanding(t *testing.T) {
	hold := make(chan struct{}, 1)
	hooks := new(Hooks)
	sharing(t, func(c *Config) { c.Hooks = hooks }, func(c *testkit.OriginConn) {
		p := paths(c, 1)
		c.Send(testkit.Reply(p[0]), testkit.Reply("/poison"), testkit.Reply("/poison"))
		c.ReadToEnd()
	}, func(t *testing.T, r *rig) {
		// The reader of the connection waits while the first response is held, with
		// all of it read; so the next two are sent after the poison came.
		hooks.On(ReadResponseHead, func(tx *Txn) Verdict {
			if string(tx.Request().Path()) == "/a" {
				hold <- struct{}{}
				time.Sleep(10 * time.Millisecond)
			}
			return Continue
		})
		a := r.call(getPath("/a"))[0]
		<-hold
		b, c := r.open(), r.open()
		io.WriteString(b, getPath("/b"))
		io.WriteString(c, getPath("/c"))
		a.wantOwn()
		for _, x := range []*vconn.Conn{b, c} {
			wantFinal(t, r.readAll(x), 502, HTTPProtocolError)
			x.Close()
		}
		r.wantQuiet()
		if s := r.stats(); s.PipelineStray != 1 || s.Pipelines != 0 || len(r.m.Stats().Retries) != 0 {
			t.Errorf("%+v, %v", s, r.m.Stats().Retries)
		}
	})
}

// Whoever leaves, and whenever: the others get what is theirs, and the
// connection stays.
func TestACancelAtEveryPlaceOfTheQueue(t *testing.T) {
	const n = 5
	bodies := func(p []string) (all string) {
		for i, path := range p {
			if i%2 == 0 {
				all += testkit.Reply(path)
			} else {
				all += fmt.Sprintf("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nT: u\r\n\r\n", len(path), path)
			}
		}
		return all
	}
	for place := range n {
		for cut := 0; ; cut += 7 { // how much has been sent as the client leaves
			more := true
			sharing(t, nil, func(c *testkit.OriginConn) {
				b := bodies(paths(c, n))
				k := min(cut, len(b))
				more = k < len(b)
				c.Send(b[:k])
				c.Wait(10 * time.Millisecond)
				c.Send(b[k:])
				echoPath(c)
			}, func(t *testing.T, r *rig) {
				var requests []string
				for i := range n {
					requests = append(requests, getPath(fmt.Sprintf("/path-%d", i)))
				}
				all := r.call(requests...)
				time.Sleep(time.Millisecond)
				all[place].conn.Reset(codeCancel)
				for i, c := range all {
					if i != place {
						if got := c.end(); !(kindOfResponse{want: c.path}).answered(got) {
							t.Errorf("place %d, cut %d: %s was answered %q", place, cut, c.path, got)
						}
					}
				}
				all[place].conn.Close()
				synctest.Wait()
				r.call(getPath("/next"))[0].wantOwn()
				r.wantQuiet()
				if s := r.stats(); s.Pipelines != 1 || len(r.o.Conns()) != 2 || len(r.m.Stats().Retries) != 0 || s.PipelineStray != 0 {
					t.Errorf("place %d, cut %d: %d connections, %+v", place, cut, len(r.o.Conns()), s)
				}
			})
			if !more {
				break
			}
		}
	}
}

// What nobody waits for is read only within bounds; then the connection goes,
// and who is behind goes elsewhere.
func TestDiscardingIsBounded(t *testing.T) {
	for name, rest := range map[string]func(c *testkit.OriginConn){
		"large by its length": func(c *testkit.OriginConn) {
			c.Sendf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", discardBytes+1)
		},
		"large by its chunks": func(c *testkit.OriginConn) {
			c.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", strings.Repeat("1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n", 17))
		},
		"slow":           func(c *testkit.OriginConn) {},
		"slow in a head": func(c *testkit.OriginConn) { c.Send("HTTP/1.1 200 OK\r\n") },
		"slow in a body": func(c *testkit.OriginConn) { c.Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx") },
		"malformed":      func(c *testkit.OriginConn) { c.Send("x\r\n\r\n") },
		"bad length":     func(c *testkit.OriginConn) { c.Send("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n") },
		"bad chunk":      func(c *testkit.OriginConn) { c.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n") },
		"interims":       func(c *testkit.OriginConn) { c.Send(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 17)) },
		"101":            func(c *testkit.OriginConn) { c.Send("HTTP/1.1 101 Switching Protocols\r\n\r\n") },
		"close": func(c *testkit.OriginConn) {
			c.Send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		},
		"close-delimited": func(c *testkit.OriginConn) { c.Send("HTTP/1.1 200 OK\r\n\r\nx") },
	} {
		t.Run(name, func(t *testing.T) {
			sharing(t, nil, func(c *testkit.OriginConn) {
				paths(c, 3)
				c.Wait(10 * time.Millisecond)
				rest(c)
				c.ReadToEnd()
			}, func(t *testing.T, r *rig) {
				all := r.call(getPath("/gone"), getPath("/b"), getPath("/c"))
				all[0].conn.Reset(codeCancel)
				start := time.Now()
				all[1].wantOwn()
				all[2].wantOwn()
				if d := time.Since(start); d > discardTime+100*time.Millisecond {
					t.Errorf("the others waited for %v", d)
				}
				<-r.o.Conn(2).Done()
				all[0].conn.Close()
				r.wantQuiet()
				if s := r.stats(); s.Pipelines != 0 || s.PipelineDiscarded == 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// A discard's time runs from its turn: it is not to blame for those in front.
func TestADiscardWaitsForItsTurn(t *testing.T) {
	sharing(t, nil, func(c *testkit.OriginConn) {
		p := paths(c, 2)
		c.Wait(3 * discardTime)
		c.Send(testkit.Reply(p[0]))
		c.Wait(discardTime / 2)
		c.Send(testkit.Reply(p[1]))
		echoPath(c)
	}, func(t *testing.T, r *rig) {
		all := r.call(getPath("/a"), getPath("/gone"))
		all[1].conn.Reset(codeCancel)
		all[1].conn.Close()
		all[0].wantOwn()
		time.Sleep(discardTime)
		r.call(getPath("/next"))[0].wantOwn()
		r.wantQuiet()
		if s := r.stats(); s.Pipelines != 1 || len(r.o.Conns()) != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestThoseBehindASlowResponseGoAlone(t *testing.T) {
	sharing(t, nil, func(c *testkit.OriginConn) {
		p := paths(c, 3)
		c.Wait(5 * time.Second)
		for _, path := range p {
			c.Send(testkit.Reply(path))
		}
		echoPath(c)
	}, func(t *testing.T, r *rig) {
		start := time.Now()
		all := r.call(getPath("/slow"), getPath("/b"), getPath("/c"))
		all[1].wantOwn()
		all[2].wantOwn()
		if d := time.Since(start); d < 900*time.Millisecond || d > 1200*time.Millisecond {
			t.Errorf("they waited for %v", d)
		}
		all[0].wantOwn()
		synctest.Wait()
		if n := r.retries(retryPipelineSlow); n != 2 || r.recordOf("/slow").Retries != 0 || r.recordOf("/b").Retries != 1 {
			t.Errorf("%v", r.m.Stats().Retries)
		}
		time.Sleep(100 * time.Millisecond) // it is not slow any more
		r.call(getPath("/next"))[0].wantOwn()
		r.wantQuiet()
		if s := r.stats(); s.PipelineDiscarded != 2 || s.Pipelines != 1 || s.PipelineRequests != 4 {
			t.Errorf("%+v", s)
		}
	})
}

// The origin is blamed for its own time only.
func TestTheResponseHeadTimeoutOfSharedRequests(t *testing.T) {
	sharing(t, func(c *Config) { c.Timeouts.ResponseHead = 400 * time.Millisecond }, testkit.Silent, func(t *testing.T, r *rig) {
		start := time.Now()
		all := r.call(getPath("/slow"), getPath("/b"))
		all[1].wantOwn()
		wantFinal(t, all[0].end(), 504, HTTPResponseTimeout)
		if d := time.Since(start); d > 450*time.Millisecond {
			t.Errorf("after %v", d)
		}
		r.wantQuiet()
		if rec := r.recordOf("/b"); rec.Retries != 1 || rec.Outcome != Completed {
			t.Errorf("%+v", rec)
		}
	})
}

func TestAResponseThatStopsIsItsOwnFault(t *testing.T) {
	sharing(t, func(c *Config) { c.Timeouts.ResponseBodyIdle = 3 * time.Second }, func(c *testkit.OriginConn) {
		paths(c, 2)
		c.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour")
		c.ReadToEnd()
	}, func(t *testing.T, r *rig) {
		all := r.call(getPath("/stops"), getPath("/b"))
		all[1].wantOwn()
		if got := all[0].end(); !strings.Contains(got, "\n!") {
			t.Errorf("answered %q", got)
		}
		r.wantQuiet()
		if rec := r.recordOf("/stops"); rec.Outcome != HTTPResponseTimeout || rec.Retries != 0 {
			t.Errorf("%+v", rec)
		}
	})
}

func TestOnlySafeRequestsWithoutABodyAreShared(t *testing.T) {
	for name, tc := range map[string]struct {
		request string
		shared  bool
	}{
		"GET":             {getPath("/x"), true},
		"HEAD":            {"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", true},
		"OPTIONS":         {"OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n", true},
		"HTTP/1.0":        {"GET /x HTTP/1.0\r\nHost: a\r\n\r\n", true},
		"h2c offer":       {"GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", true},
		"POST":            {"POST /x HTTP/1.1\r\nHost: a\r\n\r\n", false},
		"PUT":             {"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", false},
		"DELETE":          {"DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n", false},
		"TRACE":           {"TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n", false},
		"unknown":         {"BREW /x HTTP/1.1\r\nHost: a\r\n\r\n", false},
		"GET with a body": {"GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", false},
		"with length 0":   {"GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", false},
		"chunked":         {"GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
		"Expect":          {"GET /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", false},
		"WebSocket":       {"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			sharing(t, nil, echoPath, func(t *testing.T, r *rig) {
				r.call(tc.request)[0].want(200)
				r.wantQuiet()
				if got := r.o.Conn(2).Received(); strings.Contains(got, "/x") != tc.shared || tc.shared != (r.stats().PipelineRequests == 1) {
					t.Errorf("the shared connection received %q", got)
				}
			})
		})
	}
	t.Run("nothing without retries", func(t *testing.T) {
		sharing(t, func(c *Config) { c.Retries = -1 }, echoPath, func(t *testing.T, r *rig) {
			r.call(getPath("/x"))[0].wantOwn()
			if r.stats().PipelineRequests != 0 {
				t.Error("shared")
			}
		})
	})
}

func TestNothingIsSharedBeforeAResponseOfHTTP11KeptItsConnection(t *testing.T) {
	for name, tc := range map[string]struct {
		response string
		shared   bool
	}{
		"kept":               {testkit.Reply("ok"), true},
		"close":              {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false},
		"close-delimited":    {"HTTP/1.1 200 OK\r\n\r\nok", false},
		"HTTP/1.0":           {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		"HTTP/1.0 that does": {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := func(c *testkit.OriginConn) {
					for {
						if _, ok := c.ReadRequest(); !ok {
							return
						}
						c.Send(tc.response)
						if !strings.Contains(tc.response, "Length") {
							return
						}
					}
				}
				r := newRigTo(t, func(c *origin.Config) { c.Pipeline = 4 }, nil, answer)
				for range 4 {
					wantStatus(t, r.ask(getPath("/")), 200)
					synctest.Wait()
				}
				if s := r.stats(); (s.PipelineRequests > 0) != tc.shared {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// Hooks can make something of a request that must not share a connection.
func TestAHookThatChangesTheMethod(t *testing.T) {
	for name, change := range map[string]func(h *RequestHead){
		"method": func(h *RequestHead) { h.SetMethod("POST") },
		"expect": func(h *RequestHead) { h.Fields.Add("Expect", "100-continue") },
	} {
		t.Run(name, func(t *testing.T) {
			hooks := new(Hooks)
			sharing(t, func(c *Config) { c.Hooks = hooks }, echoPath, func(t *testing.T, r *rig) {
				sends := 0
				hooks.On(SendRequestHead, func(tx *Txn) Verdict { sends++; change(tx.OriginRequest()); return Continue })
				r.call(getPath("/x"))[0].wantOwn()
				r.wantQuiet()
				if s := r.stats(); s.PipelineRequests != 0 || s.Pipelines != 1 || sends != 1 {
					t.Errorf("hook ran %d times, %+v", sends, s)
				}
				if rec := r.recordOf("/x"); rec.Retries != 0 || rec.Outcome != Completed {
					t.Errorf("%+v", rec)
				}
			})
		})
	}
}

// A hook that answers in place of the origin leaves a response behind.
func TestAHookThatAnswersInstead(t *testing.T) {
	hooks := new(Hooks)
	sharing(t, func(c *Config) { c.Hooks = hooks }, func(c *testkit.OriginConn) {
		for _, path := range paths(c, 3) {
			c.Send(testkit.Reply(path))
		}
		echoPath(c)
	}, func(t *testing.T, r *rig) {
		hooks.On(ReadResponseHead, func(tx *Txn) Verdict {
			if string(tx.Request().Path()) == "/b" {
				return tx.Reply(418, nil, nil)
			}
			return Continue
		})
		all := r.call(getPath("/a"), getPath("/b"), getPath("/c"))
		all[0].wantOwn()
		all[1].want(418)
		all[2].wantOwn()
		r.wantQuiet()
		if s := r.stats(); s.PipelineDiscarded != 1 || s.Pipelines != 1 || len(r.o.Conns()) != 2 || len(r.m.Stats().Retries) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A client that takes its response slowly holds up its own only.
func TestAClientThatDoesNotRead(t *testing.T) {
	sharing(t, nil, func(c *testkit.OriginConn) {
		p := paths(c, 3)
		c.Send(testkit.Reply(strings.Repeat("x", 1<<20)))
		c.Send(testkit.Reply(p[1]), testkit.Reply(p[2]))
		c.ReadToEnd()
	}, func(t *testing.T, r *rig) {
		all := r.call(getPath("/large"), getPath("/b"), getPath("/c"))
		all[1].wantOwn()
		all[2].wantOwn()
		if n := r.retries(retryPipelineSlow); n != 2 {
			t.Errorf("%v", r.m.Stats().Retries)
		}
		if got := all[0].end(); len(got) < 1<<20 || strings.Contains(got, "\n!") {
			t.Errorf("%d bytes", len(got))
		}
		r.wantQuiet()
	})
}

// What was sent is aborted with the machine; nothing is left behind.
func TestShutdownWithSharedRequestsOutstanding(t *testing.T) {
	sharing(t, nil, testkit.Silent, func(t *testing.T, r *rig) {
		all := r.call(getPath("/a"), getPath("/b"))
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if err := r.m.Shutdown(ctx); err == nil {
			t.Error("nothing was outstanding")
		}
		for _, c := range all {
			if got := c.end(); !strings.Contains(got, "\n!") {
				t.Errorf("%s was answered %q", c.path, got)
			}
		}
		r.group.Close()
		<-r.o.Conn(2).Done()
		r.wantQuiet()
		if rec := r.recordOf("/b"); rec.Outcome != GatewayDraining || rec.Retries != 0 {
			t.Errorf("%+v", rec)
		}
	})
}

// The clients of HTTP/1.1 share them, too.
func TestHTTP1ClientsShareConnections(t *testing.T) {
	sharing(t, nil, func(c *testkit.OriginConn) {
		p := paths(c, 3)
		for _, path := range p {
			c.Wait(7 * time.Millisecond)
			c.Send(testkit.Reply(path))
		}
		echoPath(c)
	}, func(t *testing.T, r *rig) {
		a, b := r.dial(), r.dial()
		a.send(getPath("/a"))
		synctest.Wait()
		v := r.call(getPath("/v"))[0]
		b.send(getPath("/b"))
		a.want(200, "/a")
		v.wantOwn()
		b.want(200, "/b")
		a.send(getPath("/again"))
		a.want(200, "/again")
		a.Close()
		b.Close()
		<-a.done
		<-b.done
		r.wantQuiet()
		if s := r.stats(); s.PipelineRequests != 4 || len(r.o.Conns()) != 2 {
			t.Errorf("%+v", s)
		}
	})
}
