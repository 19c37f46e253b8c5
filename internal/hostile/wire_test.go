package hostile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/gateway"
)

// A wire is an HTTP/2 connection without manners: it sends any bytes, and keeps
// of what comes only counts, so that it costs no memory itself.
type wire struct {
	t    *testing.T
	rig  *rig
	conn net.Conn
	enc  *hpack.Encoder
	hbuf bytes.Buffer
	out  bytes.Buffer // frames not sent yet

	frames [256]atomic.Int64 // that came, by type
	deaf   chan struct{}     // nothing is read until it is closed; nil: reads

	mu    sync.Mutex
	cond  sync.Cond
	heads map[uint32]string // :status by stream, when kept
	ended map[uint32]bool
	left  *farewell
	gone  bool // the connection has ended
}

// A farewell is a GOAWAY with an error.
type farewell struct {
	code  http2.ErrCode
	debug string
}

// dial connects, and greets unless told to say nothing.
func (r *rig) dial() *wire {
	w := r.dialSilently()
	w.out.WriteString(http2.ClientPreface)
	w.frame(http2.FrameSettings, 0, 0, nil)
	w.frame(http2.FrameSettings, http2.FlagSettingsAck, 0, nil)
	w.send()
	return w
}

func (r *rig) dialSilently() *wire {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.Addr(gateway.ListenerPlain).String())
	for range 50 {
		if !errors.Is(err, syscall.ECONNRESET) {
			break
		}
		// Refused before Dial had returned. The next one may get to say something.
		conn, err = net.Dial("tcp", r.Addr(gateway.ListenerPlain).String())
	}
	if err != nil {
		r.t.Fatal(err)
	}
	w := &wire{t: r.t, rig: r, conn: conn, heads: map[uint32]string{}, ended: map[uint32]bool{}}
	w.cond.L = &w.mu
	w.enc = hpack.NewEncoder(&w.hbuf)
	done := make(chan struct{})
	go func() { defer close(done); w.read() }()
	r.t.Cleanup(func() {
		conn.Close()
		if w.deaf != nil {
			w.hear()
		}
		<-done
	})
	return w
}

// dialDeaf connects a client that reads nothing until it hears.
func (r *rig) dialDeaf() *wire {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.Addr(gateway.ListenerPlain).String())
	if err != nil {
		r.t.Fatal(err)
	}
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	w := &wire{t: r.t, rig: r, conn: conn}
	w.cond.L = &w.mu
	w.enc = hpack.NewEncoder(&w.hbuf)
	r.t.Cleanup(func() { conn.Close() })
	w.out.WriteString(http2.ClientPreface)
	return w
}

func (w *wire) hear() { close(w.deaf) }

func (w *wire) read() {
	br := bufio.NewReader(w.conn)
	dec := hpack.NewDecoder(4096, nil)
	for {
		var h [9]byte
		if _, err := io.ReadFull(br, h[:]); err != nil {
			break
		}
		n := int(h[0])<<16 | int(h[1])<<8 | int(h[2])
		typ, flags, id := http2.FrameType(h[3]), http2.Flags(h[4]), binary.BigEndian.Uint32(h[5:])
		payload := make([]byte, n)
		if _, err := io.ReadFull(br, payload); err != nil {
			break
		}
		w.mu.Lock()
		w.frames[typ].Add(1)
		switch {
		case typ == http2.FrameGoAway && binary.BigEndian.Uint32(payload[4:]) != 0:
			w.left = &farewell{http2.ErrCode(binary.BigEndian.Uint32(payload[4:])), string(payload[8:])}
		case typ == http2.FrameHeaders:
			if fs, err := dec.DecodeFull(payload); err == nil && len(fs) > 0 && fs[0].Name == ":status" {
				w.heads[id] = fs[0].Value
			}
		}
		if (typ == http2.FrameHeaders || typ == http2.FrameData) && flags.Has(http2.FlagDataEndStream) {
			w.ended[id] = true
		}
		w.cond.Broadcast()
		w.mu.Unlock()
	}
	w.mu.Lock()
	w.gone = true
	w.cond.Broadcast()
	w.mu.Unlock()
}

// frame adds a frame to what is sent next.
func (w *wire) frame(t http2.FrameType, flags http2.Flags, id uint32, payload []byte) {
	n := len(payload)
	w.out.Write([]byte{byte(n >> 16), byte(n >> 8), byte(n), byte(t), byte(flags), byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)})
	w.out.Write(payload)
}

// send writes the frames added. False means that the gateway takes no more.
func (w *wire) send() bool {
	w.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := w.conn.Write(w.out.Bytes())
	w.out.Reset()
	return err == nil
}

// flood sends n times what f adds, in large writes, until nobody listens.
func (w *wire) flood(n int, f func(i int)) {
	for i := range n {
		f(i)
		if w.out.Len() > 8<<10 && !w.send() {
			return
		}
	}
	w.send()
}

func (w *wire) block(fields ...string) []byte {
	w.hbuf.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		w.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(w.hbuf.Bytes())
}

// request adds HEADERS of a request.
func (w *wire) request(id uint32, end bool, method, path string, more ...string) {
	flags := http2.FlagHeadersEndHeaders
	if end {
		flags |= http2.FlagHeadersEndStream
	}
	w.frame(http2.FrameHeaders, flags, id, w.block(append([]string{":method", method, ":scheme", "http", ":authority", "example.com", ":path", path}, more...)...))
}

func (w *wire) settings(set ...http2.Setting) {
	var p []byte
	for _, s := range set {
		p = binary.BigEndian.AppendUint16(p, uint16(s.ID))
		p = binary.BigEndian.AppendUint32(p, s.Val)
	}
	w.frame(http2.FrameSettings, 0, 0, p)
}

func (w *wire) window(id, n uint32) { w.frame(http2.FrameWindowUpdate, 0, id, u32(n)) }

func (w *wire) reset(id uint32) {
	w.frame(http2.FrameRSTStream, 0, id, u32(uint32(http2.ErrCodeCancel)))
}

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// await waits until ok, called with the lock held, or until the connection has
// ended.
func (w *wire) await(what string, ok func() bool) bool {
	w.t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		late = true
		w.cond.Broadcast()
	})
	defer timer.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !ok() {
		switch {
		case late:
			w.t.Fatalf("not within %v: %s", patience, what)
		case w.gone:
			return false
		}
		w.cond.Wait()
	}
	return true
}

// awaitFrames waits until n frames of a type have come.
func (w *wire) awaitFrames(t http2.FrameType, n int64) bool {
	w.t.Helper()
	return w.await(t.String(), func() bool { return w.frames[t].Load() >= n })
}

// awaitEnds waits until n streams have been answered to their end.
func (w *wire) awaitEnds(n int) bool {
	w.t.Helper()
	return w.await("the ends of streams", func() bool { return len(w.ended) >= n })
}

// awaitEnd waits for the end of the connection.
func (w *wire) awaitEnd() *farewell {
	w.t.Helper()
	w.await("the end of the connection", func() bool { return w.gone })
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.left
}

func (w *wire) addr() string { return w.conn.LocalAddr().String() }
