package h2session

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

var propertySeed = flag.Uint64("property.seed", 0, "run the property test with this seed only")

// Whatever a client sends, in whatever order: no panic, windows as both sides
// count them, every credit returned, every stream ended and told of once. And
// what only keeps to the rules is answered, right and without an error.
func TestAnySequenceOfFrames(t *testing.T) {
	n := uint64(150)
	if testing.Short() {
		n = 30
	}
	for seed := uint64(1); seed <= n; seed++ {
		if *propertySeed != 0 {
			seed, n = *propertySeed, 0
		}
		legal := seed%2 == 0
		ok := t.Run(fmt.Sprintf("seed=%d,legal=%v", seed, legal), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newWalk(t, seed, legal).run() })
		})
		if !ok {
			t.Fatalf("again with -property.seed=%d", seed)
		}
	}
}

// A walk is one client's random way through the protocol, and the model that
// what the session does is held against.
type walk struct {
	t      *testing.T
	rng    *rand.Rand
	legal  bool
	conn   *testkit.Conn
	fr     *http2.Framer
	enc    *hpack.Encoder
	hbuf   bytes.Buffer
	srv    *Server
	memory *Memory
	done   chan *pitag.SessionRecord

	nextID   uint32
	uploads  []uint32 // streams whose request has not ended
	limit    int      // MAX_CONCURRENT_STREAMS
	settings int      // of ours, sent

	mu      sync.Mutex // with reader and transactions
	told    map[uint32]int
	streams map[uint32]*walked
	send    int // the session's window for our DATA
	recv    int // and for that of the session
	first   int // what a stream's send window starts with
	initial []int
	window  int // INITIAL_WINDOW_SIZE of ours, acknowledged
	goAway  http2.ErrCode
	failed  string
}

// A walked is a stream as the client sees it.
type walked struct {
	path       string
	sent, got  bytes.Buffer
	send, recv int
	status     string
	reset      bool
	code       http2.ErrCode
	end, ours  bool // END_STREAM of theirs and ours
}

func newWalk(t *testing.T, seed uint64, legal bool) *walk {
	w := &walk{t: t, rng: rand.New(rand.NewPCG(seed, 7)), legal: legal, nextID: 1,
		told: map[uint32]int{}, streams: map[uint32]*walked{}, send: 65535, recv: 65535, window: 65535, initial: []int{65535},
		memory: NewMemory(1 << 30), done: make(chan *pitag.SessionRecord, 1)}
	client, server := testkit.PipeSize(1 << w.rng.IntN(18))
	w.conn = client
	w.fr = http2.NewFramer(client, client)
	w.fr.AllowIllegalWrites = true
	w.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	w.enc = hpack.NewEncoder(&w.hbuf)
	w.limit = 1 + w.rng.IntN(8)
	w.first = 65535 + w.rng.IntN(1<<17)
	w.srv = &Server{
		Config: Config{
			MaxStreams: w.limit, StreamWindow: w.first, SessionWindow: 1 + w.rng.IntN(1<<19), Memory: w.memory,
			OnRefusal: func(r *Refusal) { w.tell(r.Stream) },
		},
		Connector: vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) {
			w.tell(c.Stream())
			go w.transaction(c)
		})),
	}
	go func() {
		w.done <- w.srv.ServeSession(context.Background(), server, &pitag.Session{Identity: testIdentity})
	}()
	return w
}

func (w *walk) tell(stream uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told[stream]++
}

// transaction answers by path; half of the ways are those of broken origins.
func (w *walk) transaction(c *vconn.Conn) {
	defer c.Close()
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		c.Reset(uint32(codeInternal))
		return
	}
	switch r.URL.Path {
	case "/echo":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			c.Reset(uint32(codeInternal))
			return
		}
		respond(c, 200, string(body))
	case "/stream":
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		buf := make([]byte, 1000)
		for {
			n, err := r.Body.Read(buf)
			if n > 0 {
				fmt.Fprintf(c, "%x\r\n%s\r\n", n, buf[:n])
			}
			if err == io.EOF {
				io.WriteString(c, "0\r\nx-end: yes\r\n\r\n")
				return
			}
			if err != nil {
				c.Reset(uint32(codeInternal))
				return
			}
		}
	case "/early":
		respond(c, 200, "early")
	case "/big":
		io.Copy(io.Discard, r.Body)
		respond(c, 200, strings.Repeat("big", 50_000))
	case "/slow":
		io.Copy(io.Discard, r.Body)
		time.Sleep(3 * time.Second)
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n")
		respond(c, 200, "slow")
	case "/reset":
		c.Reset(uint32(codeInternal))
	case "/cut":
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
	}
}

var walkedPaths = []string{"/echo", "/stream", "/early", "/big", "/slow", "/reset", "/cut"}

// run takes the walk, and looks at the session after every few steps.
func (w *walk) run() {
	read := make(chan struct{})
	go func() { defer close(read); w.read() }()
	io.WriteString(w.conn, http2.ClientPreface)
	w.fr.WriteSettings()
	synctest.Wait()
	w.fr.WriteSettingsAck()
	for range 30 + w.rng.IntN(150) {
		if w.rng.IntN(8) == 0 {
			w.rest()
		}
		if !w.legal && w.rng.IntN(10) == 0 {
			w.trespass()
		} else {
			w.step()
		}
	}
	if w.legal {
		w.comeHome()
	}
	w.rest()
	w.conn.Close()
	r := <-w.done
	<-read
	w.judge(r)
}

// rest waits until nothing moves, and compares what both sides have counted.
func (w *walk) rest() {
	time.Sleep(time.Duration(w.rng.IntN(2000)) * time.Millisecond)
	synctest.Wait()
	w.srv.mu.Lock()
	defer w.srv.mu.Unlock()
	for s := range w.srv.sessions {
		s.lock()
		w.mu.Lock()
		w.compare(s.m)
		w.mu.Unlock()
		s.mu.Unlock()
	}
}

func (w *walk) compare(m *machine) {
	if m.phase == closing {
		return
	}
	unread, closedLive := 0, 0
	for st := range m.streams.all() {
		id := st.id
		unread += st.unread
		if (st.state == open || st.state == halfClosedLocal) && st.in.avail+st.in.owed+st.unread != st.in.size {
			w.t.Errorf("stream %d: %d available, %d owed, %d unread: not its window of %d", id, st.in.avail, st.in.owed, st.unread, st.in.size)
		}
		if mine := w.streams[id]; w.legal && mine != nil && int(st.out) != mine.recv {
			w.t.Errorf("stream %d: the session may send %d, the client thinks %d", id, st.out, mine.recv)
		}
	}
	if m.in.avail+m.in.owed+unread != m.in.size {
		w.t.Errorf("session: %d available, %d owed, %d unread: not its window of %d", m.in.avail, m.in.owed, unread, m.in.size)
	}
	if m.out < 0 || int(m.out) != w.recv {
		w.t.Errorf("the session may send %d, the client thinks %d", m.out, w.recv)
	}
	if closedLive = m.live - m.zombies; closedLive < 0 || m.zombies < 0 || m.streams.n > w.limit {
		w.t.Errorf("%d streams of %d, %d live, %d zombies", m.streams.n, w.limit, m.live, m.zombies)
	}
	if held := m.account.held.Load(); held < 0 || w.memory.Held() < held {
		w.t.Errorf("%d bytes held, %d reported", held, w.memory.Held())
	}
}

// judge holds the session's record against what was told.
func (w *walk) judge(r *pitag.SessionRecord) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != "" {
		w.t.Error(w.failed)
	}
	if r.Cause == "" || r.Cause == pitag.CauseInternal {
		w.t.Errorf("cause %q, %v", r.Cause, r.Err)
	}
	if r.Streams != uint64(len(w.told)) {
		w.t.Errorf("%d streams on record, %d told of", r.Streams, len(w.told))
	}
	for id, n := range w.told {
		if n != 1 {
			w.t.Errorf("stream %d was told of %d times", id, n)
		}
	}
	for _, s := range w.srv.Connector.Stats() {
		if s.Opened != s.Closed {
			w.t.Errorf("%d virtual connections opened, %d closed", s.Opened, s.Closed)
		}
	}
	if n := w.memory.Held(); n != 0 {
		w.t.Errorf("%d bytes are still held", n)
	}
	if !w.legal {
		return
	}
	if r.GoAway != "" {
		w.t.Errorf("a client that kept to the rules got GOAWAY(%s): %v", r.GoAway, r.Err)
	}
	for id, st := range w.streams {
		w.judgeStream(id, st)
	}
}

func (w *walk) judgeStream(id uint32, st *walked) {
	want := map[string]string{"/echo": st.sent.String(), "/stream": st.sent.String(), "/early": "early", "/big": strings.Repeat("big", 50_000), "/slow": "slow"}
	broken := st.path == "/reset" || st.path == "/cut"
	switch {
	case st.reset && (st.code == codeNo || st.code == codeRefusedStream || st.code == codeCancel):
	case broken && st.reset && st.code == codeInternal:
	case st.reset || broken:
		w.t.Errorf("stream %d, %s: reset=%v %v", id, st.path, st.reset, st.code)
	case st.status != "200" || st.got.String() != want[st.path]:
		w.t.Errorf("stream %d, %s: status %s, %d bytes, want %d", id, st.path, st.status, st.got.Len(), len(want[st.path]))
	}
}
