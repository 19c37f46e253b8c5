package h2session

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

func TestMain(m *testing.M) {
	scrub = true
	os.Exit(testkit.Run(m))
}

// A handler is one transaction of the tests: the request that came, whose Body
// reads from the virtual connection, and the connection to answer on.
type handler func(r *http.Request, c *vconn.Conn)

// respond writes a response with a body of known length.
func respond(c *vconn.Conn, status int, body string, fields ...string) {
	fmt.Fprintf(c, "HTTP/1.1 %d Said\r\nContent-Length: %d\r\n%s\r\n%s", status, len(body), lines(fields), body)
}

func lines(fields []string) string {
	var b strings.Builder
	for i := 0; i+1 < len(fields); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", fields[i], fields[i+1])
	}
	return b.String()
}

// hello answers every request, when it has come whole.
func hello(r *http.Request, c *vconn.Conn) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.Reset(uint32(codeInternal))
		return
	}
	respond(c, 200, "hello "+string(body))
}

// A bench is a session with a client before it and transactions behind it.
type bench struct {
	*testkit.Client
	t   testing.TB
	srv *Server

	mu       sync.Mutex
	requests []string // the text that each transaction got, as far as it has read
	refusals []Refusal
	finished int // transactions that have returned

	record *pitag.SessionRecord
	done   chan struct{} // record is set
}

// start serves one connection. h may be nil for hello.
func start(t testing.TB, cfg Config, h handler) *bench {
	client, server := testkit.Pipe()
	return startOn(t, cfg, h, client, server)
}

// polled is whether sessions are polled, where the test leaves that open; see
// TestAllOfItPolled.
var polled = os.Getenv("H2GW_TEST_POLLED") != ""

// pollablePipe makes server a connection that can be polled, if all are to be.
func pollablePipe(server net.Conn) net.Conn {
	if c, ok := server.(*testkit.Conn); ok && polled {
		return &polledConn{gatherConn{Conn: c, take: -1}}
	}
	return server
}

func startOn(t testing.TB, cfg Config, h handler, client net.Conn, server net.Conn) *bench {
	if h == nil {
		h = hello
	}
	b := &bench{t: t, done: make(chan struct{})}
	cfg.OnRefusal = func(r *Refusal) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.refusals = append(b.refusals, *r)
	}
	connector := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) {
		go b.transaction(c, h)
	}))
	return b.serve(cfg, client, server, connector)
}

// startConnector is startOn with transactions of the test's own.
func startConnector(t testing.TB, client, server net.Conn, c *vconn.Connector) *bench {
	b := &bench{t: t, done: make(chan struct{})}
	return b.serve(Config{}, client, server, c)
}

func (b *bench) serve(cfg Config, client, server net.Conn, c *vconn.Connector) *bench {
	b.srv = &Server{Config: cfg, Connector: c}
	sess := &pitag.Session{Identity: pitag.Identity{Tag: "h2", ID: 7}, Start: time.Now()}
	server = pollablePipe(server)
	go func() {
		defer close(b.done)
		b.record = b.srv.ServeSession(context.Background(), server, sess)
	}()
	b.t.Cleanup(func() { <-b.done }) // after the client's own, which closes the connection
	b.Client = testkit.NewClient(b.t, client)
	return b
}

func (b *bench) transaction(c *vconn.Conn, h handler) {
	defer c.Close()
	b.mu.Lock()
	i := len(b.requests)
	b.requests = append(b.requests, "")
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.finished++
		b.mu.Unlock()
	}()
	rd := &recorder{c: c, b: b, i: i}
	r, err := http.ReadRequest(bufio.NewReaderSize(rd, 4<<10))
	if err != nil {
		c.Reset(uint32(codeInternal))
		return
	}
	h(r, c)
}

// A recorder keeps what a transaction has read.
type recorder struct {
	c *vconn.Conn
	b *bench
	i int
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.c.Read(p)
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	r.b.requests[r.i] += string(p[:n])
	return n, err
}

// request returns what transaction i, from 0, has read.
func (b *bench) request(i int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i >= len(b.requests) {
		return ""
	}
	return b.requests[i]
}

// end closes the client's side and returns the session's record.
func (b *bench) end() *pitag.SessionRecord {
	b.Conn.Close()
	<-b.done
	return b.record
}

func (b *bench) wantCause(c pitag.Cause) *pitag.SessionRecord {
	b.t.Helper()
	<-b.done
	if b.record.Cause != c {
		b.t.Fatalf("cause %q (%v), want %q", b.record.Cause, b.record.Err, c)
	}
	return b.record
}

// wantRefusal returns the only refusal.
func (b *bench) wantRefusal(outcome string) Refusal {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.refusals) != 1 || b.refusals[0].Outcome != outcome {
		b.t.Fatalf("refusals %+v, want one with outcome %s", b.refusals, outcome)
	}
	return b.refusals[0]
}

// bubble runs a test in a synctest bubble.
func synctestWait() { time.Sleep(time.Millisecond) }

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}
