package h2session

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/netio"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// sockets are both ends of a TCP connection: the server's wrapped, with little
// room in its buffers, with TLS if so wanted, and to be polled if there is a
// poller for it.
func sockets(t testing.TB, secure bool, p *netio.Poller) (client, server net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	client.(*net.TCPConn).SetReadBuffer(128 << 10)
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted.(*net.TCPConn).SetWriteBuffer(16 << 10)
	server = netio.WrapPolled(accepted, p)
	if !secure {
		return client, server
	}
	return shake(t, client, server)
}

// shake are the ends of TLS over a connection, after the handshake.
func shake(t testing.TB, client, server net.Conn) (c, s *tls.Conn) {
	return shakeAs(t, client, server, &tls.Config{})
}

// shakeAs is shake with a server that is configured so.
func shakeAs(t testing.TB, client, server net.Conn, config *tls.Config) (c, s *tls.Conn) {
	config.Certificates = []tls.Certificate{selfSigned(t)}
	s = tls.Server(server, config)
	c = tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- s.Handshake() }()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return c, s
}

// stumbling reads slowly every now and then, so that the socket's buffers fill.
type stumbling struct {
	net.Conn
	n int
}

func (s *stumbling) Read(p []byte) (int, error) {
	if s.n++; s.n%50 == 0 {
		time.Sleep(time.Millisecond)
	}
	return s.Conn.Read(p[:min(len(p), 4<<10)])
}

// Responses that pollers flush in batches of any kind arrive whole and in order,
// also through a socket that is full most of the time, while other transactions
// use the write loop.
func TestOverSocketsWhatIsFlushedArrivesInOrder(t *testing.T) {
	for name, poller := range map[string]*netio.Poller{
		"cleartext": nil, "TLS": nil, "cleartext, polled": netio.PollerOf(0), "TLS, polled": netio.PollerOf(0),
	} {
		t.Run(name, func(t *testing.T) {
			client, server := sockets(t, strings.HasPrefix(name, "TLS"), poller)
			if g, _ := gathererOf(server); g == nil {
				t.Skip("connections of this system do not gather")
			}
			txns := make(waiting, 100)
			srv := &Server{Connector: vconn.NewConnector(txns)}
			done := make(chan *pitag.SessionRecord, 1)
			go func() {
				done <- srv.ServeSession(t.Context(), server, &pitag.Session{Identity: testIdentity, Start: time.Now()})
			}()
			pollers := poll(txns, 2)
			flushing := flushAllTheTime(srv)
			cl := testkit.NewClient(t, &stumbling{Conn: client})
			cl.Handshake(window(1 << 20))
			cl.Window(0, 1<<30)
			const rounds, burst = 20, 20
			for round := range uint32(rounds) {
				for i := range uint32(burst) {
					id := 2*(round*burst+i) + 1
					cl.Get(id, fmt.Sprintf("/%d", lengthOn(id)))
				}
				cl.Ping("in front")
				wantSizes(t, cl, burst)
			}
			flushing()
			cl.Close()
			r := <-done
			close(txns)
			pollers.Wait()
			if r.Streams != rounds*burst || srv.Stats().Panics != 0 {
				t.Errorf("record %+v", r)
			}
		})
	}
}

// lengthOn is how long the response on a stream is: most are short, and some longer
// than a batch.
func lengthOn(id uint32) int {
	rnd := rand.New(rand.NewPCG(uint64(id), 1))
	if rnd.IntN(20) == 0 {
		return rnd.IntN(200_000)
	}
	return rnd.IntN(3000)
}

var pattern = []byte(text(200_000))

// poll answers requests as pollers do that have a batch of events at a time, and
// some of them as a transaction with a goroutine does.
func poll(txns waiting, pollers int) (running *sync.WaitGroup) {
	running = new(sync.WaitGroup)
	for range pollers {
		running.Go(func() {
			for c := range txns {
				later := new(pile)
				respondTo(c, later)
				for range rand.IntN(6) {
					select {
					case c, ok := <-txns:
						if ok {
							respondTo(c, later)
						}
					default:
					}
				}
				later.flush()
			}
		})
	}
	return running
}

// respondTo leaves most to later.
func respondTo(c *vconn.Conn, later vconn.Later) {
	if rand.IntN(10) == 0 {
		later = nil
	}
	answer(c, string(pattern[:lengthOn(c.Stream())]), later)
}

// flushAllTheTime calls Flush unasked until it is told to stop.
func flushAllTheTime(srv *Server) (stop func()) {
	var running sync.WaitGroup
	over := make(chan struct{})
	running.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			for _, s := range srv.open() {
				s.Flush()
			}
			time.Sleep(20 * time.Microsecond)
		}
	})
	return func() { close(over); running.Wait() }
}

// A client that takes nothing is cut off at once, although TLS would like to say
// goodbye, and gives itself five seconds for that. A busy machine may take as long
// once, but not each time.
func TestASocketThatIsFullOfWhatAFlushHasLeftIsCutOff(t *testing.T) {
	var took time.Duration
	for range 3 {
		if took = cutOffByAFlush(t); took < 4*time.Second {
			return
		}
	}
	t.Errorf("ended after %v, three times", took)
}

// cutOffByAFlush returns how long after a Flush that left something its session
// was cut off.
func cutOffByAFlush(t *testing.T) time.Duration {
	client, server := sockets(t, true, nil)
	defer client.Close()
	txns := make(waiting, 1)
	srv := &Server{Config: Config{WriteStall: 300 * time.Millisecond}, Connector: vconn.NewConnector(txns)}
	done := make(chan *pitag.SessionRecord, 1)
	go func() {
		done <- srv.ServeSession(t.Context(), server, &pitag.Session{Identity: testIdentity, Start: time.Now()})
	}()
	client.Write([]byte(http2.ClientPreface + "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff" +
		"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\x00\x00"))
	for id := byte(1); id < 100; id += 2 {
		client.Write([]byte("\x00\x00\x06\x01\x05\x00\x00\x00" + string(rune(id)) + "\x82\x84\x87\x41\x01a"))
		began := time.Now()
		select {
		case c := <-txns:
			s, later := srv.open()[0], new(pile)
			answer(c, string(pattern[:40_000]), later)
			began = time.Now()
			later.flush()
			for len(done) == 0 && writes(s) {
				time.Sleep(time.Millisecond)
			}
		case r := <-done: // it was written to by itself
			done <- r
		}
		if len(done) > 0 {
			if r := <-done; r.Cause != pitag.CauseWriteStall {
				t.Errorf("%+v", r)
			}
			return time.Since(began)
		}
	}
	t.Fatal("the socket is never full")
	return 0
}

// writes reports whether the write loop has something to do, as what a Flush has
// left. When it has not, the next Flush writes.
func writes(s *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loan.owed || s.loop == writeRuns && !s.asleep
}

// wantSizes reads until n responses are complete and compares their bodies.
func wantSizes(t *testing.T, cl *testkit.Client, n int) {
	t.Helper()
	bodies := make(map[uint32][]byte)
	for n > 0 {
		f, err := cl.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Type == http2.FrameData {
			bodies[f.Stream] = append(bodies[f.Stream], f.Payload...)
		}
		if f.Stream > 0 && f.End() {
			n--
			if want := pattern[:lengthOn(f.Stream)]; !bytes.Equal(bodies[f.Stream], want) {
				t.Fatalf("stream %d: %d bytes that differ from the %d sent", f.Stream, len(bodies[f.Stream]), len(want))
			}
		}
	}
}
