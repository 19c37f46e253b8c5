package h2session

import (
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// A bundle is a client's end that sends what was written since the last flush in
// one piece, as the frames of one TLS record come.
type bundle struct {
	net.Conn
	pending []byte
}

func (b *bundle) Write(p []byte) (int, error) {
	b.pending = append(b.pending, p...)
	return len(p), nil
}

func (b *bundle) flush() {
	b.Conn.Write(b.pending)
	b.pending = b.pending[:0]
}

// A mute connection does not tell when a read is going to wait.
type mute struct{ net.Conn }

// begun is what was there of a request when its transaction began.
type begun struct {
	stream uint32
	body   string
	ended  bool
}

// lateBench is a session whose transactions note what they find, and answer with
// the body when they have all of it.
type lateBench struct {
	*bench
	out   *bundle
	found chan begun
}

func startLate(t *testing.T, server func(net.Conn) net.Conn) *lateBench {
	client, conn := testkit.Pipe()
	return startLateOn(t, client, server(conn))
}

func startLateOn(t *testing.T, client, server net.Conn) *lateBench {
	l := &lateBench{out: &bundle{Conn: client}, found: make(chan begun, 100)}
	accept := vconn.AcceptorFunc(func(c *vconn.Conn) {
		text := make([]byte, c.Buffered())
		io.ReadFull(c, text)
		_, err := c.Peek()
		_, body, _ := strings.Cut(string(text), "\r\n\r\n")
		l.found <- begun{c.Stream(), body, err == io.EOF}
		go func() {
			defer c.Close()
			rest, err := io.ReadAll(c)
			if err == nil {
				respond(c, 200, body+string(rest))
			}
		}()
	})
	l.bench = startConnector(t, l.out, server, vconn.NewConnector(accept))
	l.out.pending = append(l.out.pending, http2.ClientPreface...)
	l.Settings()
	l.out.flush()
	l.WantSettings()
	l.SettingsAck()
	l.out.flush()
	l.WantSettingsAck()
	return l
}

func telling(c net.Conn) net.Conn { return c }

// settle waits for what begins without more to read; where sessions are polled
// that may take a moment.
func (l *lateBench) settle() {
	synctest.Wait()
	if polled {
		time.Sleep(2 * bodyPatience)
		synctest.Wait()
	}
}

func (l *lateBench) wantBegun(want begun) {
	l.t.Helper()
	l.settle()
	select {
	case got := <-l.found:
		if got != want {
			l.t.Errorf("the transaction began with %d bytes of body, ended %t, want %d, %t",
				len(got.body), got.ended, len(want.body), want.ended)
		}
	default:
		l.t.Error("no transaction has begun")
	}
}

func (l *lateBench) wantNoneBegun() {
	l.t.Helper()
	synctest.Wait()
	if len(l.found) > 0 {
		l.t.Errorf("a transaction began with %+v", <-l.found)
	}
}

// What comes in one piece with the head, or in the next before the client is
// waited for, is there when the transaction begins.
func TestATransactionBeginsWithAShortBodyWhole(t *testing.T) {
	for name, send := range map[string]func(l *lateBench, body string){
		"in one frame": func(l *lateBench, body string) { l.Data(1, true, body) },
		"in several": func(l *lateBench, body string) {
			half := len(body) / 2
			l.Data(1, false, body[:half])
			l.Data(1, false, "")
			l.Data(1, true, body[half:])
		},
		"with an end of its own": func(l *lateBench, body string) {
			l.Data(1, false, body)
			l.Data(1, true, "")
		},
		"among other requests": func(l *lateBench, body string) {
			half := len(body) / 2
			l.Data(1, false, body[:half])
			l.Get(3, "/")
			l.Data(1, true, body[half:])
		},
	} {
		for _, size := range []int{2, 100, 10 << 10, shortBody} {
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					l := startLate(t, telling)
					body := strings.Repeat("x", size)
					l.Post(1, "/", "content-length", strconv.Itoa(size))
					for len(body) > 16<<10 {
						l.Data(1, false, body[:16<<10])
						body = body[16<<10:]
					}
					send(l, body)
					l.wantNoneBegun()
					l.out.flush()
					if strings.Contains(name, "other") {
						l.wantBegun(begun{3, "", true})
					}
					l.wantBegun(begun{1, strings.Repeat("x", size), true})
					l.end()
				})
			})
		}
	}
}

// Nobody waits for a client that may be waiting for an answer.
func TestATransactionBeginsBeforeTheClientIsWaitedFor(t *testing.T) {
	for name, server := range map[string]func(net.Conn) net.Conn{
		"a connection that tells":    telling,
		"a connection that does not": func(c net.Conn) net.Conn { return mute{c} },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := startLate(t, server)
				l.Post(1, "/", "content-length", "4")
				l.out.flush()
				l.wantBegun(begun{1, "", false})
				l.Data(1, false, "bo")
				l.out.flush()
				l.Data(1, true, "dy")
				l.out.flush()
				l.WantStatus(1, "200")
				if body, _ := l.WantBody(1); string(body) != "body" {
					t.Errorf("body %q", body)
				}
				l.wantNoneBegun()
				l.end()
			})
		})
	}
}

// A connection that does not tell may wait in any read.
func TestOnlyWhatIsHereIsPutOffWhereNobodyTells(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := startLate(t, func(c net.Conn) net.Conn { return mute{c} })
		l.Post(1, "/", "content-length", "4")
		l.Data(1, true, "body")
		l.Post(3, "/", "content-length", "4")
		l.out.flush()
		l.wantBegun(begun{1, "body", true})
		l.wantBegun(begun{3, "", false})
		l.end()
	})
}

// A long body is not gathered.
func TestATransactionBeginsWhenItsBodyIsLong(t *testing.T) {
	const frame = 16 << 10
	for name, fields := range map[string][]string{
		"as content-length says": {"content-length", strconv.Itoa(10 * frame)},
		"as it turns out":        nil,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := startLate(t, telling)
				l.Post(1, "/", fields...)
				for i := range 10 {
					l.Data(1, i == 9, strings.Repeat("x", frame))
				}
				l.out.flush()
				synctest.Wait()
				b := <-l.found
				if b.ended || len(b.body) > shortBody+frame+100 || len(b.body) > 0 && fields != nil {
					t.Errorf("began with %d bytes, ended %t", len(b.body), b.ended)
				}
				l.WantStatus(1, "200")
				l.end()
			})
		})
	}
}

// Other streams that never let the read loop wait hold nobody up.
func TestATransactionBeginsWhileOthersKeepTheReaderBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := startLate(t, telling)
		l.Post(1, "/") // sends nothing more
		l.Post(3, "/", "content-length", "1000000")
		for range 10 {
			l.Data(3, false, strings.Repeat("x", 16<<10))
		}
		l.Get(5, "/")
		l.out.flush()
		synctest.Wait()
		for _, want := range []begun{{stream: 3}, {stream: 1}, {stream: 5, ended: true}} {
			if got := <-l.found; got != want {
				t.Errorf("stream %d began, want %d", got.stream, want.stream)
			}
		}
		l.end()
	})
}

// Every stream has its transaction, whatever becomes of it before that begins.
func TestATransactionBeginsThoughItsStreamIsOver(t *testing.T) {
	for name, end := range map[string]func(l *lateBench){
		"by a reset":               func(l *lateBench) { l.Reset(1, codeCancel) },
		"by too much DATA":         func(l *lateBench) { l.Data(1, true, "too much") },
		"by too little":            func(l *lateBench) { l.Data(1, true, "") },
		"by an error":              func(l *lateBench) { l.Data(0, false, "x") },
		"by the end of everything": func(l *lateBench) { l.out.flush(); l.out.Conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := startLate(t, telling)
				l.Post(1, "/", "content-length", "4")
				l.Data(1, false, "bo")
				end(l)
				l.out.flush()
				l.settle()
				if n := len(l.found); n != 1 {
					t.Fatalf("%d transactions have begun", n)
				}
				r := l.end()
				if r.Streams != 1 || l.srv.Stats().Streams != 0 || l.srv.Stats().Panics != 0 {
					t.Errorf("record %+v, stats %+v", r, l.srv.Stats())
				}
			})
		})
	}
}

// Trailers end a request as DATA does.
func TestATransactionBeginsWithItsTrailers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := startLate(t, telling)
		l.Post(1, "/")
		l.Data(1, false, "body")
		l.Headers(1, true, "x-sum", "1")
		l.out.flush()
		l.wantBegun(begun{1, "4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n", true})
		if r := l.end(); r.Cause != pitag.CauseClientClosed {
			t.Errorf("cause %v", r.Cause)
		}
	})
}

// The end of a turn cuts bodies in two. The rest of a short one is waited for, for a
// moment.
func TestATransactionOfAPolledSessionBeginsWithABodyInTwoPieces(t *testing.T) {
	const size = 10 << 10
	all := strings.Repeat("x", size)
	first, rest := all[:size/3], all[size/3:]
	for name, tc := range map[string]struct {
		fields []string
		gap    time.Duration // between the pieces
		whole  bool
	}{
		"at once":                          {[]string{"content-length", strconv.Itoa(size)}, 0, true},
		"before a moment has passed":       {[]string{"content-length", strconv.Itoa(size)}, bodyPatience / 2, true},
		"too late":                         {[]string{"content-length", strconv.Itoa(size)}, 3 * bodyPatience, false},
		"of a length that is not known":    {nil, 0, false},
		"of a client that wants an answer": {[]string{"content-length", strconv.Itoa(size), "expect", "100-continue"}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, server := testkit.Pipe()
				l := startLateOn(t, client, &polledConn{gatherConn{Conn: server}})
				for id := uint32(1); id < 9; id += 2 { // the reminder is used again
					l.Post(id, "/", tc.fields...)
					l.out.flush() // a turn with nothing but the head
					synctest.Wait()
					l.Data(id, false, first)
					l.out.flush()
					synctest.Wait()
					time.Sleep(tc.gap)
					synctest.Wait()
					began := len(l.found) > 0
					l.Data(id, true, rest)
					l.out.flush()
					synctest.Wait()
					b := <-l.found
					if began == tc.whole || b.ended != tc.whole || tc.whole && b.body != all {
						t.Errorf("stream %d: began early %t, with %d bytes, ended %t", id, began, len(b.body), b.ended)
					}
					l.WantStatus(id, "200")
					l.WantBody(id)
					time.Sleep(time.Second) // until the session rests
				}
				l.end()
			})
		})
	}
}
