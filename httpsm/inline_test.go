package httpsm

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

const okResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// What has nothing to wait for but its origin never leaves the goroutines that
// have news for it: the response is there when the origin's connection has
// resumed it.
func TestWhatRunsInline(t *testing.T) {
	for _, tc := range []struct {
		name, request, response string
		status                  int
		body                    string // the end of what the client gets
	}{
		{"a GET", get, okResponse, 200, "\r\n\r\nok"},
		{"a HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 200, "\r\n\r\n"},
		{"no content", get, "HTTP/1.1 204 No Content\r\n\r\n", 204, "\r\n\r\n"},
		{"not modified", get, "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", 304, "\r\n\r\n"},
		{"an error of the origin", get, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 500, "\r\n\r\n"},
		{"chunks that are all there", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", 200, "2\r\nok\r\n0\r\nA: b\r\n\r\n"},
		{"a body of some size", get, "HTTP/1.1 200 OK\r\nContent-Length: 32768\r\n\r\n" + strings.Repeat("x", outBound), 200, "\r\n\r\n" + strings.Repeat("x", outBound)},
		{"a body that is there already", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", okResponse, 200, "\r\n\r\nok"},
		{"chunks that are there already", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", okResponse, 200, "\r\n\r\nok"},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			r := newInlineRig(t, nil)
			c := r.request(tc.request)
			if sent := string(r.a.sent); !strings.HasPrefix(sent, tc.request[:5]) || strings.HasPrefix(tc.request, "POST") && !strings.Contains(sent, "abc") {
				t.Fatalf("the origin was sent %q before the opener went on", sent)
			}
			r.a.answer(tc.response, nil)
			answer := r.all(c)
			wantStatus(t, answer, tc.status)
			if !strings.HasSuffix(answer, tc.body) {
				t.Errorf("answer %q, want it to end in %q", answer, tc.body)
			}
			c.Close()
			rec := r.wantRecord(Completed, tc.status)
			if rec.OriginConn != 7 || !rec.OriginReused || rec.OriginStatus != tc.status || rec.FirstByte.IsZero() || rec.Start.IsZero() {
				t.Errorf("record %+v", rec)
			}
			r.wantCrew(0)
			r.wantReleased(true)
			if s := r.m.Stats(); s.Active != 0 || s.Panics != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Whatever may have to wait is handed to the crew, once, and becomes what it
// would have become there from the start.
func TestWhatIsHandedToTheCrew(t *testing.T) {
	continues := func(*Txn) Verdict { return Continue }
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
	type step func(*inlineRig, *vconn.Conn)
	answer := func(s string) step {
		return func(r *inlineRig, _ *vconn.Conn) { r.a.answer(s, nil) }
	}
	later := func(s ...string) step {
		return func(r *inlineRig, _ *vconn.Conn) {
			for _, s := range s {
				r.a.answer(s, nil)
				synctest.Wait()
			}
		}
	}
	fails := func(s string, err error) step {
		return func(r *inlineRig, _ *vconn.Conn) { r.a.answer(s, err) }
	}
	ok := answer(okResponse)
	big := strings.Repeat("x", outBound+1)
	for _, tc := range []struct {
		name    string
		change  func(*Config)
		rig     func(*inlineRig)
		open    func(*inlineRig) func(*vconn.Options)
		request string // get, if ""
		then    step
		outcome Outcome
		status  int
		body    string
		bytes   int64 // of body, that the record counts; 0: not looked at
	}{
		{name: "hooks of the machine", change: func(c *Config) { c.Hooks = new(Hooks); c.Hooks.On(TxnClose, continues) }, then: ok},
		{name: "hooks of the session", open: func(r *inlineRig) func(*vconn.Options) {
			return r.sessionWith(func(s *pitag.Session) { SessionHooks(s).On(SendResponseHead, continues) })
		}, then: ok},
		{name: "hooks that Route gives the transaction", change: func(c *Config) {
			g := c.Origins
			c.Route = func(t *Txn) (string, *origin.Group) { t.Hooks().On(PostRoute, continues); return "", g }
		}, then: ok},
		{name: "a hook registered while the origin is awaited", change: func(c *Config) { c.Hooks = new(Hooks) }, then: func(r *inlineRig, c *vconn.Conn) {
			r.m.cfg.Hooks.On(ReadResponseHead, func(t *Txn) Verdict { t.Response().SetStatus(418, ""); return Continue })
			ok(r, c)
		}, status: 418},
		{name: "a transform that Route asks for", change: func(c *Config) {
			g := c.Origins
			c.Route = func(t *Txn) (string, *origin.Group) {
				t.ResponseBody(TransformFunc(func(dst, src []byte, _ bool) ([]byte, error) {
					return append(dst, strings.ToUpper(string(src))...), nil
				}))
				return "", g
			}
		}, then: ok, body: "2\r\nOK\r\n0\r\n\r\n"},
		{name: "explaining", change: func(c *Config) { c.Log = zerolog.New(io.Discard) }, then: ok},
		{name: "a head that is not there whole", request: get[:20], open: unended, then: func(r *inlineRig, c *vconn.Conn) {
			io.WriteString(c, get[20:])
			synctest.Wait()
			ok(r, c)
		}},
		{name: "a malformed head", request: "GET\r\n\r\n", outcome: HTTPRequestError, status: 400, body: "*"},
		{name: "a refused head", request: "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", outcome: HTTPRequestDenied, status: 405, body: "*"},
		{name: "no origin", change: func(c *Config) { c.Route = func(*Txn) (string, *origin.Group) { return "", nil } }, outcome: DestinationUnavailable, status: 503, body: "*"},
		{name: "a body that is still to come", request: post, open: unended, then: func(r *inlineRig, c *vconn.Conn) {
			io.WriteString(c, "abc")
			synctest.Wait()
			if !strings.HasSuffix(string(r.a.sent), "\r\n\r\nabc") {
				t.Errorf("sent %q", r.a.sent)
			}
			ok(r, c)
		}},
		{name: "no connection at hand", rig: func(r *inlineRig) { r.m.begin = func(*Txn) origin.Awaitable { return nil } }},
		{name: "a short write", rig: func(r *inlineRig) { r.a.takes = 10 }, then: func(r *inlineRig, c *vconn.Conn) {
			if sent := string(r.a.sent); strings.Count(sent, "GET") != 1 || !strings.HasSuffix(sent, "\r\n\r\n") {
				t.Errorf("sent %q", sent)
			}
			ok(r, c)
		}},
		{name: "a failed write", rig: func(r *inlineRig) { r.a.err = io.ErrClosedPipe }},
		{name: "a connection that cannot be awaited", rig: func(r *inlineRig) { r.a.refuses = true }, then: ok},
		{name: "a part of a response head", then: later(okResponse[:10], okResponse[10:])},
		{name: "an interim response", then: later("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", okResponse), status: 103, body: "\r\n\r\nok"},
		{name: "a malformed response", then: answer("HTTP/1.1 abc\r\n\r\n"), outcome: HTTPProtocolError, status: 502, body: "*"},
		{name: "conflicting framing", then: answer("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), outcome: HTTPProtocolError, status: 502, body: "*"},
		{name: "a 101 nobody asked for", then: answer("HTTP/1.1 101 Switching Protocols\r\n\r\n"), outcome: HTTPProtocolError, status: 502, body: "*"},
		{name: "a part of a body", then: later(okResponse[:len(okResponse)-1], "k")},
		{name: "a part of a chunked body", then: later("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n", "1\r\nk\r\n0\r\n\r\n"), body: "\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"},
		{name: "a body that ends with the connection", then: fails("HTTP/1.1 200 OK\r\n\r\nok", io.EOF), body: "\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
		{name: "a body that ends too early", then: fails(okResponse[:len(okResponse)-1], io.EOF), outcome: HTTPResponseIncomplete, body: "!"},
		{name: "a large body", then: answer("HTTP/1.1 200 OK\r\nContent-Length: 32769\r\n\r\n" + big), body: big, bytes: outBound + 1},
		{name: "a client without room for the head", open: room(20), then: ok, bytes: 2},
		{name: "a client without room for the body", open: room(101), then: answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + big[:100]), body: big[:100], bytes: 100},
		{name: "a client without room for chunks", open: room(101), then: answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + big[:100] + "\r\n0\r\n\r\n"), body: big[:100] + "\r\n0\r\n\r\n", bytes: 100},
		{name: "the end of a connection in use again", then: fails("", io.EOF)},
		{name: "a connection that breaks", request: post + "abc", then: fails("", io.ErrUnexpectedEOF), outcome: ConnectionTerminated, status: 502, body: "*"},
		{name: "the end within a head", then: fails("HTTP/1.1 20", io.EOF), outcome: HTTPResponseIncomplete, status: 502, body: "*"},
		{name: "an origin that is silent", then: func(*inlineRig, *vconn.Conn) { time.Sleep(time.Minute) }, outcome: HTTPResponseTimeout, status: 504, body: "*"},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			r := newInlineRig(t, tc.change)
			if tc.rig != nil {
				tc.rig(r)
			}
			if tc.request == "" {
				tc.request = get
			}
			var more []func(*vconn.Options)
			if tc.open != nil {
				more = append(more, tc.open(r))
			}
			if tc.name == "explaining" {
				r.m.explain = true
			}
			c := r.request(tc.request, more...)
			synctest.Wait()
			if tc.then != nil {
				tc.then(r, c)
			}
			got := r.readAll(c)
			c.Close()
			if tc.outcome == "" {
				tc.outcome = Completed
			}
			if tc.status == 0 && tc.body != "!" {
				tc.status = 200
			}
			if tc.body != "!" {
				wantStatus(t, got, tc.status)
			}
			switch tc.body {
			case "":
				if !strings.HasSuffix(got, "\r\n\r\nok") {
					t.Errorf("answer %q", got)
				}
			case "*":
			case "!":
				if _, reset, ok := strings.Cut(got, "\n!"); !ok || reset == "" {
					t.Errorf("answer %q, want it to end in a reset", got)
				}
				if strings.HasPrefix(got, "HTTP/1.1 200 ") { // a reset takes back what was not read yet
					tc.status = 200
				}
			default:
				if !strings.HasSuffix(got, tc.body) {
					t.Errorf("answer %.200q, want it to end in %.200q", got, tc.body)
				}
			}
			if tc.status == 103 {
				tc.status = 200
			}
			if rec := r.wantRecord(tc.outcome, tc.status); tc.bytes != 0 && rec.BytesOut != tc.bytes {
				t.Errorf("%d bytes out, want %d", rec.BytesOut, tc.bytes)
			}
			r.wantCrew(1)
			if n := len(r.a.released); n > 1 {
				t.Errorf("released %d times", n)
			}
			if s := r.m.Stats(); s.Active != 0 || s.Panics != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func room(n int) func(*inlineRig) func(*vconn.Options) {
	return func(*inlineRig) func(*vconn.Options) {
		return func(o *vconn.Options) { o.PassiveToActive = n }
	}
}

func unended(*inlineRig) func(*vconn.Options) {
	return func(o *vconn.Options) { o.Ended = false }
}

// A retry of what broke while it was awaited goes to another connection, on the
// crew, and is counted.
func TestARetryOfWhatWasAwaited(t *testing.T) {
	for _, tc := range []struct {
		name   string
		rig    func(*inlineRig)
		reason string
	}{
		{"the write failed", func(r *inlineRig) { r.a.err = io.ErrClosedPipe }, retryNotSent},
		{"it was closed", nil, retryReused},
	} {
		bubble(t, tc.name, func(t *testing.T) {
			r := newInlineRig(t, nil)
			if tc.rig != nil {
				tc.rig(r)
			}
			c := r.request(get)
			r.a.answer("", io.EOF)
			wantStatus(t, r.readAll(c), 200)
			c.Close()
			if rec := r.wantRecord(Completed, 200); rec.Retries != 1 || rec.OriginConn == 7 {
				t.Errorf("record %+v", rec)
			}
			if n := r.retries(tc.reason); n != 1 {
				t.Errorf("%d retries for %s", n, tc.reason)
			}
			r.wantCrew(1)
		})
	}
}

// The time an origin has to answer counts from the request, wherever the
// transaction is when it is over.
func TestTheTimeoutOfAnAwaitedOrigin(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newInlineRig(t, func(c *Config) { c.Timeouts.ResponseHead = time.Second })
		start := time.Now()
		c := r.request(get)
		time.Sleep(900 * time.Millisecond)
		r.a.answer("HTTP/1.1 2", nil) // from here on the crew waits
		wantStatus(t, r.readAll(c), 504)
		if d := time.Since(start); d != time.Second {
			t.Errorf("after %v, want 1s", d)
		}
		c.Close()
		r.wantRecord(HTTPResponseTimeout, 504)
	})
}

// A client that leaves, and a machine that is shut down, are acted on wherever
// the transaction waits.
func TestTheEndOfWhatIsAwaited(t *testing.T) {
	bubble(t, "the client resets", func(t *testing.T) {
		r := newInlineRig(t, nil)
		c := r.request(get)
		c.Reset(codeCancel)
		r.wantRecord(ClientAbort, 499)
		r.wantReleased(false)
		r.wantCrew(1)
	})
	bubble(t, "the client closes", func(t *testing.T) {
		r := newInlineRig(t, nil)
		c := r.request(get)
		c.Close()
		r.wantRecord(ClientAbort, 499)
		r.wantReleased(false)
	})
	bubble(t, "the client has left before it is accepted", func(t *testing.T) {
		r := newInlineRig(t, nil)
		var c *vconn.Conn
		connector := vconn.NewConnector(vconn.AcceptorFunc(func(p *vconn.Conn) { c = p }))
		a, _ := connector.Open(vconn.Options{Head: []byte(get), Ended: true})
		a.Close()
		r.m.AcceptVConn(c)
		r.wantRecord(ClientAbort, 499)
		if len(r.a.sent) > 0 {
			t.Errorf("the origin was sent %q", r.a.sent)
		}
	})
	bubble(t, "the client leaves before the response is passed on", func(t *testing.T) {
		r := newInlineRig(t, nil)
		c := r.request(get)
		r.a.mu.Lock()
		resumer := r.a.resumer
		r.a.resumer = nil // the news is on its way
		r.a.in = []byte(okResponse)
		r.a.mu.Unlock()
		c.Reset(codeCancel)
		resumer.Resume(nil)
		r.wantRecord(ClientAbort, 499)
	})
	bubble(t, "shutdown", func(t *testing.T) {
		r := newInlineRig(t, nil)
		c := r.request(get)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		go func() { r.readAll(c); c.Close() }()
		if err := r.m.Shutdown(ctx); err == nil {
			t.Error("Shutdown without its context's error")
		}
		r.wantRecord(GatewayDraining, 0)
		r.wantReleased(false)
	})
}

// A panic in any segment costs its transaction, is recorded, and does not reach
// whoever called the segment.
func TestAPanicInASegment(t *testing.T) {
	bubble(t, "in a step, before the origin", func(t *testing.T) {
		r := newInlineRig(t, func(c *Config) { c.Route = func(*Txn) (string, *origin.Group) { panic("route") } })
		c := r.request(get)
		wantStatus(t, r.readAll(c), 500)
		c.Close()
		r.wantRecord(ProxyInternalError, 500)
		r.wantPanics(1)
	})
	bubble(t, "in a step, after it", func(t *testing.T) {
		r := newInlineRig(t, nil)
		e := &explosiveWhen{readable: true}
		c := r.request(get, func(o *vconn.Options) { o.Observer = e })
		r.a.answer(okResponse, nil)
		c.Close()
		r.wantRecord(ProxyInternalError, 0)
		r.wantPanics(1)
	})
	bubble(t, "in the sink", func(t *testing.T) {
		r := newInlineRig(t, func(c *Config) { c.OnRecord = func(*Record) { panic("sink") } })
		c := r.request(get)
		c.CloseRead()
		c.Close() // both ends are closed by the segment
		r.a.answer(okResponse, nil)
		synctest.Wait()
		r.wantPanics(1)
	})
	bubble(t, "at the very end", func(t *testing.T) {
		r := newInlineRig(t, nil)
		e := &explosiveWhen{closed: true}
		c := r.request(get, func(o *vconn.Options) { o.Observer = e })
		func() {
			defer func() { recover() }() // ours, if it is we who close last
			r.a.answer(okResponse, nil)
			r.all(c)
			c.Close()
		}()
		r.wantRecord(Completed, 200)
		if s := r.m.Stats(); s.Active != 0 {
			t.Errorf("%+v", s)
		}
	})
	bubble(t, "in a decision", func(t *testing.T) {
		r := newInlineRig(t, nil)
		c := r.request(get)
		r.m.registry.each(func(txn *Txn) bool { // quiet: nobody else is there
			txn.state = numStates + 1 // no such state
			return true
		})
		r.a.answer(okResponse, nil)
		c.Close()
		r.wantRecord(ProxyInternalError, 0)
	})
}

func (r *rig) wantPanics(n uint64) {
	r.t.Helper()
	if s := r.m.Stats(); s.Panics != n || s.Active != 0 {
		r.t.Errorf("%+v, want %d panics and nothing active", s, n)
	}
}

// An explosiveWhen panics when it is told certain things.
type explosiveWhen struct{ readable, closed bool }

func (e *explosiveWhen) Readable(*vconn.Conn, vconn.Later) {
	if e.readable {
		e.readable = false // once: ending tells it, too
		panic("readable")
	}
}
func (e *explosiveWhen) Consumed(*vconn.Conn, int)                {}
func (e *explosiveWhen) PeerReset(*vconn.Conn, *vconn.ResetError) {}
func (e *explosiveWhen) Closed(*vconn.Conn) {
	if e.closed {
		panic("closed")
	}
}

// Errors of the exchange that come with no news mean what they mean on the crew.
func TestWhatAResumedExchangeSays(t *testing.T) {
	for err, want := range map[error]Outcome{
		origin.ErrBufferFull: HTTPProtocolError,
		errors.New("broken"): ConnectionTerminated,
		io.ErrUnexpectedEOF:  ConnectionTerminated,
	} {
		bubble(t, err.Error(), func(t *testing.T) {
			r := newInlineRig(t, func(c *Config) { c.Retries = -1 })
			c := r.request(get)
			r.a.answer("", err)
			wantStatus(t, r.readAll(c), 502)
			c.Close()
			r.wantRecord(want, 502)
		})
	}
}

// A switch of protocols that was asked for inline becomes a tunnel of the crew;
// one that the origin declines is a response like any other.
func TestAnUpgradeThatBeganInline(t *testing.T) {
	bubble(t, "accepted", func(t *testing.T) {
		r := newInlineRig(t, nil)
		mine, theirs := testkit.Pipe()
		r.a.conn = mine
		c := r.request(wsAsk, unended(r))
		r.a.answer(ws101+"\r\n", nil)
		br := bufio.NewReader(c)
		if res, err := http.ReadResponse(br, nil); err != nil || res.StatusCode != 101 {
			t.Fatalf("%v, %v", res, err)
		}
		io.WriteString(c, "ping")
		wantBytes(t, theirs, "ping")
		io.WriteString(theirs, "pong")
		wantBytes(t, br, "pong")
		theirs.Close()
		c.Close()
		r.wantRecord(Completed, 101)
		r.wantCrew(1)
		r.wantReleased(false)
	})
	bubble(t, "declined", func(t *testing.T) {
		r := newInlineRig(t, nil)
		c := r.request(wsAsk, unended(r))
		r.a.answer(okResponse, nil)
		wantStatus(t, r.all(c), 200)
		c.Close()
		r.wantRecord(Completed, 200)
		r.wantCrew(0)
	})
}

// The memory of a virtual connection is given back only where nobody else can know
// of it.
func TestWhoseConnectionIsRecycled(t *testing.T) {
	m := New(Config{})
	defer m.literal.Close()
	for name, touch := range map[string]func(*Txn){
		"it has waited":   func(t *Txn) { t.waited = true },
		"it had a body":   func(t *Txn) { t.up.framing.Kind = h1.Chunked },
		"the client left": func(t *Txn) { t.leave() },
		"it was killed":   func(t *Txn) { t.kill() },
		"it had none":     func(t *Txn) { t.own.vc = nil },
	} {
		txn := m.newTxn()
		txn.own.vc = new(vconn.Conn)
		if !txn.untouched() {
			t.Fatal("one that nothing has happened to counts as touched")
		}
		if touch(txn); txn.untouched() {
			t.Errorf("%s, and nobody else knows its connection", name)
		}
	}
}
