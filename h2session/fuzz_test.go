package h2session

import (
	"bytes"
	"io"
	"net/http"
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

// FuzzFrames sends bytes behind a preface into a session: whatever they are, it
// does not panic, it ends when the client leaves, every stream is accounted for,
// and what it answers are frames.
func FuzzFrames(f *testing.F) {
	get := "\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x84\x87\x41\x01a"
	post := "\x00\x00\x06\x01\x04\x00\x00\x00\x03\x83\x84\x87\x41\x01a"
	f.Add([]byte(get))
	f.Add([]byte(get + "\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08"))                         // RST_STREAM
	f.Add([]byte(post + "\x00\x00\x03\x00\x00\x00\x00\x00\x03abc\x00\x00\x00\x00\x01\x00\x00\x00\x03")) // DATA
	f.Add([]byte(post + "\x00\x00\x04\x00\x09\x00\x00\x00\x03\x02a\x00\x00"))                           // padded
	f.Add([]byte(post + "\x00\x00\x05\x01\x05\x00\x00\x00\x03\x40\x01t\x01u"))                          // trailers
	f.Add([]byte("\x00\x00\x03\x01\x01\x00\x00\x00\x01\x82\x84\x87\x00\x00\x03\x09\x04\x00\x00\x00\x01\x41\x01a"))
	f.Add([]byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x01" + get)) // SETTINGS
	f.Add([]byte("\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"))                       // PING
	f.Add([]byte("\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff"))               // WINDOW_UPDATE
	f.Add([]byte("\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x05\x02\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00"))
	f.Add([]byte("\x00\x00\x07\x10\x00\x00\x00\x00\x00\x00\x00\x00\x03u=1" + get)) // PRIORITY_UPDATE
	tunnel := connectSeed()
	f.Add([]byte(tunnel + "\x00\x00\x03\x00\x00\x00\x00\x00\x01abc\x00\x00\x00\x00\x01\x00\x00\x00\x01")) // both ways, ended
	f.Add([]byte(tunnel + "\x00\x00\x05\x01\x05\x00\x00\x00\x01\x40\x01t\x01u"))                          // trailers in it
	f.Add([]byte(tunnel + "\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08" + tunnel))
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) { fuzzFrames(t, data) })
	})
}

// connectSeed is HEADERS of an extended CONNECT on stream 1.
func connectSeed() string {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for fields := connectWS(); len(fields) > 0; fields = fields[2:] {
		enc.WriteField(hpack.HeaderField{Name: fields[0], Value: fields[1]})
	}
	return "\x00\x00" + string(rune(block.Len())) + "\x01\x04\x00\x00\x00\x01" + block.String()
}

// helloOrTunnel is hello, and echoes in a tunnel where one is asked for.
func helloOrTunnel(r *http.Request, c *vconn.Conn) {
	if r.Header.Get("Upgrade") != "" {
		tunnelling(echoTunnel)(r, c)
		return
	}
	hello(r, c)
}

func fuzzFrames(t *testing.T, data []byte) {
	client, server := testkit.PipeSize(1 << 20)
	transactions := 0
	refusals := 0
	srv := &Server{
		Config: Config{MaxStreams: 5, OnRefusal: func(*Refusal) { refusals++ }},
		Connector: vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) {
			transactions++
			go (&bench{t: t}).transaction(c, helloOrTunnel)
		})),
	}
	done := make(chan *pitag.SessionRecord, 1)
	sess := &pitag.Session{Identity: testIdentity}
	go func() { done <- srv.ServeSession(t.Context(), server, sess) }()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		client.Write([]byte(http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
		client.Write(data)
		time.Sleep(time.Second)
		client.CloseWrite()
	})
	fr := http2.NewFramer(io.Discard, client)
	for {
		if _, err := fr.ReadFrame(); err != nil {
			if !testkit.Closed(err) {
				t.Errorf("the session wrote what is no frame: %v", err)
			}
			break
		}
	}
	client.Close()
	r := <-done
	if r.Cause == "" || r.Cause == pitag.CauseInternal {
		t.Errorf("cause %q, %v", r.Cause, r.Err)
	}
	if r.Streams != uint64(transactions+refusals) || r.StreamsRefused != uint64(refusals) {
		t.Errorf("%d streams, %d refused; %d transactions, %d refusals", r.Streams, r.StreamsRefused, transactions, refusals)
	}
	for _, s := range srv.Connector.Stats() {
		if s.Opened != s.Closed {
			t.Errorf("%d virtual connections opened, %d closed", s.Opened, s.Closed)
		}
	}
}

// Our reading of frames and http2.Framer's agree on where they begin and end.
func FuzzFrameReader(f *testing.F) {
	f.Add([]byte("\x00\x00\x03\x00\x00\x00\x00\x00\x03abc\x00\x00\x00\x00\x01\x00\x00\x00\x03"), 5)
	f.Add(make([]byte, 9*500), 100)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := pieces(data, step), pieces(data, 1<<20)
			defer ours.Close()
			defer theirs.Close()
			fr := http2.NewFramer(nil, theirs)
			fr.AllowIllegalReads = true
			in := newFrameReader(ours, time.Now())
			for {
				h, err1 := fr.ReadFrameHeader()
				got, err2 := in.frame(minFrameSize)
				if (err1 != nil) != (err2 != nil) && h.Length <= minFrameSize && err2 != errMidFrame {
					t.Fatalf("%v, ours %v", err1, err2)
				}
				if err1 != nil || err2 != nil {
					return
				}
				if h.Type != got.typ || h.Flags != got.flags || h.StreamID != got.id || int(h.Length) != len(got.payload) {
					t.Fatalf("%v, ours %+v", h, got)
				}
				io.CopyN(io.Discard, theirs, int64(h.Length))
			}
		})
	})
}

// pieces is a connection on which data arrives step bytes at a time.
func pieces(data []byte, step int) *testkit.Conn {
	step = max(step, len(data)/1000+1)
	client, server := testkit.PipeSize(step)
	go func() {
		server.Write(data)
		server.CloseWrite()
	}()
	return client
}
