package httpsm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

var (
	clientAddr = netip.MustParseAddrPort("203.0.113.7:40000")
	localAddr  = netip.MustParseAddrPort("198.51.100.1:443")
)

// A rig is a Machine in front of a scripted origin, with the records it wrote.
type rig struct {
	t     *testing.T
	m     *Machine
	o     *testkit.Origin
	group *origin.Group
	ids   *pitag.Sequence

	mu      sync.Mutex
	records []Record
}

// newRig returns a rig; change may set what it wants in the Config.
func newRig(t *testing.T, change func(*Config), scripts ...testkit.Script) *rig {
	t.Helper()
	return newRigTo(t, func(*origin.Config) {}, change, scripts...)
}

// newRigTo is newRig with an origin group that is configured by to.
func newRigTo(t *testing.T, to func(*origin.Config), change func(*Config), scripts ...testkit.Script) *rig {
	t.Helper()
	if len(scripts) == 0 {
		scripts = []testkit.Script{testkit.Serve(testkit.Reply("ok"))}
	}
	r := &rig{t: t, o: testkit.NewOrigin(t, scripts...), ids: pitag.NewSequence(pitag.TagHTTP1)}
	oc := origin.Config{
		Endpoints: []origin.EndpointConfig{{Addr: r.o.Addr()}}, Dial: r.o.Dial, IdleTimeout: time.Hour,
	}
	to(&oc)
	g, err := origin.NewGroup(oc)
	if err != nil {
		t.Fatal(err)
	}
	r.group = g
	cfg := Config{Origins: g, OnRecord: r.record}
	if os.Getenv("HTTPSM_LOG") != "" {
		cfg.Log = zerolog.New(os.Stderr)
	}
	if change != nil {
		change(&cfg)
	}
	r.m = New(cfg)
	t.Cleanup(g.Close)
	t.Cleanup(r.m.literal.Close)
	t.Cleanup(r.m.dismiss)
	return r
}

func (r *rig) record(rec *Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, *rec)
}

// wantRecord waits until all is quiet and returns the only record.
func (r *rig) wantRecord(o Outcome, status int) Record {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.records) != 1 {
		r.t.Fatalf("%d records, want 1: %+v", len(r.records), r.records)
	}
	rec := r.records[0]
	if rec.Outcome != o || rec.Status != status {
		r.t.Errorf("record: outcome %s status %d (%v), want %s %d", rec.Outcome, rec.Status, rec.Err, o, status)
	}
	return rec
}

func (r *rig) session() *pitag.Session {
	return &pitag.Session{Identity: r.ids.Next(), Client: clientAddr, Local: localAddr, Start: time.Now()}
}

// open opens a virtual connection to the machine.
func (r *rig) open() *vconn.Conn {
	r.t.Helper()
	s := r.session()
	c, err := vconn.NewConnector(r.m).For(s).Open(vconn.Options{Identity: s.Identity, Stream: 1, Txn: 1})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// ask sends a request over a virtual connection and returns all of the answer.
func (r *rig) ask(request string) string {
	r.t.Helper()
	c := r.open()
	defer c.Close()
	io.WriteString(c, request) // may fail: some are answered before they are read
	c.CloseWrite()
	return r.readAll(c)
}

func (r *rig) readAll(c net.Conn) string {
	r.t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		return string(b) + "\n!" + err.Error()
	}
	return string(b)
}

// A tcpClient is the client's end of an HTTP/1.1 connection that is served.
type tcpClient struct {
	*testkit.Conn
	r    *rig
	br   *bufio.Reader
	done chan struct{}
	rec  *pitag.SessionRecord
}

func (r *rig) dial() *tcpClient {
	client, server := testkit.Pipe()
	c := &tcpClient{Conn: client, r: r, br: bufio.NewReader(client), done: make(chan struct{})}
	s := r.session()
	go func() {
		defer close(c.done)
		c.rec = r.m.ServeConn(context.Background(), server, s)
	}()
	return c
}

func (c *tcpClient) send(s string) {
	c.r.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.r.t.Fatal(err)
	}
}

// want reads one response and checks its status and body.
func (c *tcpClient) want(status int, body string) *http.Response {
	c.r.t.Helper()
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.r.t.Fatalf("no response: %v", err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.r.t.Fatalf("body: %v", err)
	}
	if res.StatusCode != status || body != "*" && string(b) != body {
		c.r.t.Fatalf("response %d %q, want %d %q", res.StatusCode, b, status, body)
	}
	return res
}

// wantEnd waits for the connection to be over for the given cause.
func (c *tcpClient) wantEnd(cause pitag.Cause) *pitag.SessionRecord {
	c.r.t.Helper()
	<-c.done
	if c.rec.Cause != cause {
		c.r.t.Errorf("session ended by %s (%v), want %s", c.rec.Cause, c.rec.Err, cause)
	}
	return c.rec
}

// get is a plain request.
const get = "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\n\r\n"

func wantStatus(t *testing.T, answer string, status int) {
	t.Helper()
	if !strings.HasPrefix(answer, fmt.Sprintf("HTTP/1.1 %d ", status)) {
		t.Fatalf("answer %q, want status %d", answer, status)
	}
}

// bubble runs f in a synctest bubble.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// retries returns how many requests were sent again for reason.
func (r *rig) retries(reason string) (n uint64) {
	for k, v := range r.m.Stats().Retries {
		if k.Reason == reason {
			n += v
		}
	}
	return n
}
