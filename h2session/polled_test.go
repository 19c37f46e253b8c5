package h2session

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/netio"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// A polledConn is a connection in memory that can be polled. A gatherConn by
// itself cannot: its sessions read in a goroutine.
type polledConn struct{ gatherConn }

func (c *polledConn) Poll(news func(later interface{ Later(f interface{ Flush() }) })) bool {
	if news != nil { // else what is told from now on is for nobody
		c.Conn.NonBlocking(news)
	}
	return true
}

// Whatever a session does that reads in a goroutine of its own, one does that is
// polled: all tests of the package run once more.
func TestAllOfItPolled(t *testing.T) {
	if polled {
		return
	}
	limit := 10 * time.Minute
	if end, ok := t.Deadline(); ok {
		limit = time.Until(end) * 9 / 10 // before this process ends without a word
	}
	c := exec.Command(os.Args[0], "-test.timeout="+limit.String(), "-test.skip=Fuzz|Conformance")
	c.Env = append(os.Environ(), "H2GW_TEST_POLLED=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// What is left when a turn has been long is in buffers, of which no socket tells:
// it is read all the same.
func TestALongTurnLeavesNothing(t *testing.T) {
	for name, secure := range map[string]bool{"cleartext": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			if !netio.CanPoll {
				t.Skip("connections of this system cannot be polled")
			}
			client, server := sockets(t, secure, netio.PollerOf(0))
			release := make(chan bool)
			defer close(release)
			cl := startOn(t, Config{StreamWindow: 1 << 20, SessionWindow: 1 << 30}, func(*http.Request, *vconn.Conn) { <-release }, client, server)
			cl.Handshake()
			for round := range uint32(20) {
				cl.Post(2*round+1, "/")
				for range 3 * longTurn / (16 << 10) {
					cl.Data(2*round+1, false, strings.Repeat("x", 16<<10))
				}
				cl.Ping("are you?")
				cl.WantPing(true)
			}
			cl.Close()
		})
	}
}

// A client that takes nothing, and then has TLS say something of its own (an
// alert to a record that is none), does not keep others of its poller waiting.
func TestATLSAlertToAFullSocketKeepsNobodyWaiting(t *testing.T) {
	if !netio.CanPoll {
		t.Skip("connections of this system cannot be polled")
	}
	poller := netio.PollerOf(0)
	long := strings.Repeat("x", 4<<20)
	for range 2 {
		badClient, badServer := sockets(t, true, poller)
		deaf := &deaf{Conn: badClient, free: make(chan bool)}
		deaf.hears.Store(true)
		bad := startOn(t, Config{WriteStall: time.Hour}, func(_ *http.Request, c *vconn.Conn) { respond(c, 200, long) }, deaf, badServer)
		bad.Handshake(window(1 << 30))
		bad.Window(0, 1<<30)
		deaf.hears.Store(false)
		bad.Get(1, "/")
		for full := false; !full; time.Sleep(time.Millisecond) { // until the write loop waits for the socket
			ss := bad.srv.open()[0]
			ss.mu.Lock()
			full = time.Since(ss.m.writeSince) > 300*time.Millisecond && !ss.m.writeSince.IsZero()
			ss.mu.Unlock()
		}
		badClient.(*tls.Conn).NetConn().Write([]byte("\x17\x03\x03\x00\x20no record of this connection...."))

		client, server := sockets(t, true, poller)
		good := startOn(t, Config{}, nil, client, server)
		good.Handshake()
		answered := make(chan bool)
		go func() {
			good.Get(1, "/")
			good.WantBody(1)
			close(answered)
		}()
		select {
		case <-answered:
		case <-time.After(10 * time.Second):
			t.Fatal("another session of the poller gets no answer")
		}
		good.Close()
		badClient.(*tls.Conn).NetConn().Close()
		close(deaf.free)
	}
}

// A taped connection keeps what is read from it.
type taped struct {
	net.Conn
	tape []byte
}

func (c *taped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.tape = append(c.tape, p[:n]...)
	return n, err
}

// The end of a session is the end of TLS, too: the last record is an alert, so that
// who reads on knows that nothing was cut off.
func TestTheGoodbyeOfTLSArrives(t *testing.T) {
	for name, poller := range map[string]*netio.Poller{"polled": netio.PollerOf(0), "not polled": nil} {
		t.Run(name, func(t *testing.T) {
			raw, accepted := sockets(t, false, poller)
			tape := &taped{Conn: raw}
			client, server := shake(t, tape, accepted)
			cl := startOn(t, Config{}, nil, client, server)
			cl.Handshake()
			cl.Get(1, "/")
			cl.WantBody(1)
			cl.GoAway(http2.ErrCodeNo)
			for err := error(nil); err != io.EOF; {
				if _, err = cl.Next(); err != nil && err != io.EOF {
					t.Fatal(err)
				}
			}
			cl.end()
			// Two bytes, their type, and a tag (RFC 8446, sections 5.2 and 6).
			if last := tape.tape[max(0, len(tape.tape)-24):]; !strings.HasPrefix(string(last), "\x17\x03\x03\x00\x13") {
				t.Errorf("the last bytes are % x, want a record of an alert", last)
			}
		})
	}
}

// A deaf connection reads only while it hears.
type deaf struct {
	net.Conn
	hears atomic.Bool
	free  chan bool // closed: it is over
}

func (d *deaf) Read(p []byte) (int, error) {
	if !d.hears.Load() {
		<-d.free
	}
	return d.Conn.Read(p)
}

// A session that is drained as it begins has something to write at once: by then
// it is polled. (A race, for the detector, if it were not.)
func TestASessionThatIsDrainedAsItBeginsSaysSo(t *testing.T) {
	if !netio.CanPoll {
		t.Skip("connections of this system cannot be polled")
	}
	for range 20 {
		client, server := sockets(t, true, netio.PollerOf(0))
		srv := &Server{Connector: vconn.NewConnector(make(waiting))}
		srv.Drain()
		done := make(chan *pitag.SessionRecord, 1)
		go func() {
			done <- srv.ServeSession(t.Context(), server, &pitag.Session{Identity: testIdentity, Start: time.Now()})
		}()
		cl := testkit.NewClient(t, client)
		cl.Write([]byte(http2.ClientPreface))
		cl.Settings()
		cl.WantSettings()
		cl.WantGoAway(http2.ErrCodeNo)
		cl.Close()
		if r := <-done; r.Cause != pitag.CauseDrain {
			t.Fatalf("%+v", r)
		}
	}
}

// A putsOff Acceptor answers when the round is over in which a request was read.
type putsOff struct{}

func (putsOff) AcceptVConn(c *vconn.Conn) { go putOff{c}.respond("at once") }

func (putsOff) AcceptVConnLater(c *vconn.Conn, later vconn.Later) { later.Later(putOff{c}) }

type putOff struct{ c *vconn.Conn }

func (p putOff) Flush() { go p.respond("at the end") }

func (p putOff) respond(body string) {
	io.Copy(io.Discard, p.c) // else the client is told that nobody reads its request
	respond(p.c, 200, body)
	p.c.Close()
}

// A transaction that a poller's turn begins may leave something to its round.
// (The first turns are those of the goroutine that begins the session.)
func TestTransactionsBeginWithTheRoundOfTheirPoller(t *testing.T) {
	if !netio.CanPoll {
		t.Skip("connections of this system cannot be polled")
	}
	client, server := sockets(t, true, netio.PollerOf(0))
	b := &bench{t: t, done: make(chan struct{})}
	cl := b.serve(Config{}, client, server, vconn.NewConnector(putsOff{}))
	cl.Handshake()
	var short, posted string
	for id := uint32(1); short != "at the end" || posted != "at the end"; id += 4 {
		if id > 4000 {
			t.Fatalf("answered %q, and %q with a body", short, posted)
		}
		cl.Get(id, "/")
		cl.WantStatus(id, "200")
		body, _ := cl.WantBody(id)
		short = string(body)
		cl.Headers(id+2, false, testkit.Request("POST", "/", "content-length", "3")...) // begins with its body
		cl.Data(id+2, true, "abc")
		cl.WantStatus(id+2, "200")
		body, _ = cl.WantBody(id + 2)
		posted = string(body)
	}
	cl.Close()
}
