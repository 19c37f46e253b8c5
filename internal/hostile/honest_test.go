package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// What real clients do that looks like an attack to a bound that is too narrow.
// With the defaults none of it may be cut off.
var honest = []struct {
	name, who string
	run       func(t *testing.T, w *wire)
}{
	{"eleven SETTINGS frames at once", "proxies of Meta (apache/trafficserver#13443)", func(t *testing.T, w *wire) {
		for range 11 {
			w.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
		}
		w.exchange(t, 0, 1)
		if !w.awaitFrames(http2.FrameSettings, 1+1+11) {
			t.Error("not all were acknowledged")
		}
	}},
	{"eleven settings in a frame", "proxies of Meta (apache/trafficserver#13443)", func(t *testing.T, w *wire) {
		var set []http2.Setting
		for i := range 11 {
			set = append(set, http2.Setting{ID: http2.SettingID(0xf000 + i), Val: 1})
		}
		w.settings(set...)
		w.exchange(t, 0, 1)
	}},
	{"a tree of priorities", "Firefox before 2023: idle streams as nodes, PRIORITY with each request", func(t *testing.T, w *wire) {
		for i := range 6 {
			w.frame(http2.FramePriority, 0, id(i), append(u32(0), 200))
		}
		for i := range 300 {
			w.request(id(i+6), true, "GET", "/hello")
			for range 3 {
				w.frame(http2.FramePriority, 0, id(i+6), append(u32(id(i%6)), byte(i)))
			}
			w.send()
			w.finish(t, id(i+6), "200")
		}
	}},
	{"priorities that change while scrolling", "Chrome: PRIORITY_UPDATE for each image", func(t *testing.T, w *wire) {
		for i := range 200 {
			w.request(id(i), true, "GET", "/hello", "priority", "u=5, i")
			w.frame(0x10, 0, 0, append(u32(id(i)), "u=2, i"...))
			w.send()
			w.finish(t, id(i), "200")
		}
	}},
	{"many small messages", "gRPC: 5 bytes and a little more in each DATA frame", func(t *testing.T, w *wire) {
		w.request(1, false, "POST", "/hello", "te", "trailers", "content-type", "application/grpc")
		w.flood(30_000, func(i int) { w.frame(http2.FrameData, 0, 1, []byte("\x00\x00\x00\x00\x03abc")[:5+i%4]) })
		w.frame(http2.FrameData, http2.FlagDataEndStream, 1, nil)
		w.send()
		w.finish(t, 1, "200")
	}},
	{"a PING for every round trip of a download", "gRPC's estimate of the bandwidth-delay product", func(t *testing.T, w *wire) {
		w.request(1, true, "GET", "/big")
		for n := int64(1); n <= 300; n++ {
			w.window(0, 4*16384)
			w.window(1, 4*16384)
			w.frame(http2.FramePing, 0, 0, []byte("\x02\x04\x10\x10\x09\x0e\x07\x07"))
			w.send()
			w.awaitFrames(http2.FrameData, 4*n)
			w.awaitFrames(http2.FramePing, n)
		}
	}},
	{"a PING a second for a quarter of an hour, late", "keep-alive of gRPC, bunched by a sleeping laptop", func(t *testing.T, w *wire) {
		for range 90 {
			w.frame(http2.FramePing, 0, 0, make([]byte, 8))
		}
		w.exchange(t, 0, 1)
	}},
	{"credit for every frame, on both levels", "clients that do not batch WINDOW_UPDATE", func(t *testing.T, w *wire) {
		w.request(1, true, "GET", "/big")
		w.send()
		for n := int64(1); n < 2000; n++ {
			w.awaitFrames(http2.FrameData, n-3)
			w.window(0, 16384)
			w.window(1, 16384)
			w.send()
		}
	}},
	{"a hundred cancels in a second", "a user who scrolls past images", func(t *testing.T, w *wire) {
		for i := range 300 {
			w.request(id(i), true, "GET", "/work")
			w.reset(id(i))
			w.send()
			time.Sleep(10 * time.Millisecond)
		}
		w.exchange(t, 300, 301)
	}},
	{"four hundred cancels at once", "a closed tab of a proxy's client", func(t *testing.T, w *wire) {
		for round := range 4 {
			for i := range 100 {
				w.request(id(100*round+i), true, "GET", "/work")
			}
			for i := range 100 {
				w.reset(id(100*round + i))
			}
			w.send()
			time.Sleep(100 * time.Millisecond)
		}
		w.exchange(t, 400, 401)
	}},
	{"a hundred uploads of one byte at a time", "h2load -m100 -d", func(t *testing.T, w *wire) {
		for round := range 40 {
			for i := range 100 {
				w.request(id(100*round+i), false, "POST", "/hello", "content-length", "1")
				w.frame(http2.FrameData, http2.FlagDataEndStream, id(100*round+i), []byte("x"))
			}
			w.send()
			for i := range 100 {
				w.finish(t, id(100*round+i), "200")
			}
		}
	}},
	{"a body that ends with an empty frame", "most clients that do not know a body's end", func(t *testing.T, w *wire) {
		for i := range 500 {
			w.request(id(i), false, "POST", "/hello")
			w.frame(http2.FrameData, 0, id(i), []byte("body"))
			w.frame(http2.FrameData, http2.FlagDataEndStream, id(i), nil)
			w.send()
			w.finish(t, id(i), "200")
		}
	}},
	{"long cookies in two frames", "browsers after a year on one site", func(t *testing.T, w *wire) {
		for i := range 300 {
			b := w.block(":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/hello",
				"cookie", strings.Repeat("a", 9000)+fmt.Sprint(i), "cookie", strings.Repeat("b", 9000)+fmt.Sprint(i))
			w.frame(http2.FrameHeaders, http2.FlagHeadersEndStream, id(i), b[:8<<10])
			w.frame(http2.FrameContinuation, http2.FlagHeadersEndHeaders, id(i), b[8<<10:])
			w.send()
			w.finish(t, id(i), "200")
		}
	}},
	{"a head that is a little too large", "a mistake, which 431 tells", func(t *testing.T, w *wire) {
		for i := range 20 {
			b := w.block(":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/hello")
			b = append(b, 0x00, 1, 'c', 0x7f)
			b = binary.AppendUvarint(b, 70_000-127)
			b = append(b, bytes.Repeat([]byte("c"), 70_000)...)
			w.frame(http2.FrameHeaders, http2.FlagHeadersEndStream, id(i), b[:16<<10])
			for b = b[16<<10:]; len(b) > 16<<10; b = b[16<<10:] {
				w.frame(http2.FrameContinuation, 0, id(i), b[:16<<10])
			}
			w.frame(http2.FrameContinuation, http2.FlagHeadersEndHeaders, id(i), b)
			w.send()
			w.finish(t, id(i), "431")
		}
	}},
	{"more streams than allowed, before it is known", "every client that does not wait for SETTINGS", func(t *testing.T, w *wire) {
		for i := range 600 {
			w.request(id(i), true, "GET", "/hold")
		}
		w.send()
		if !w.awaitFrames(http2.FrameRSTStream, 350) {
			t.Error("the session has ended")
		}
		w.rig.origin.letGo(250)
		if !w.awaitEnds(250) {
			t.Error("the session has ended")
		}
	}},
	{"frames of unknown types", "Chrome's grease (RFC 8701, draft-bishop-httpbis-grease)", func(t *testing.T, w *wire) {
		for i := range 300 {
			w.frame(http2.FrameType(0x0b+0x1f*(i%7)), 0xff, uint32(i%3), []byte("grease"))
			w.request(id(i), true, "GET", "/hello")
			w.send()
			w.finish(t, id(i), "200")
		}
	}},
	{"a small window", "devices with little memory", func(t *testing.T, w *wire) {
		w.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 536})
		w.request(1, true, "GET", "/big")
		w.send()
		for n := int64(1); n < 1500; n++ {
			w.awaitFrames(http2.FrameData, n)
			w.window(0, 536)
			w.window(1, 536)
			w.send()
		}
	}},
}

func TestHonestClientsAreNotCutOff(t *testing.T) {
	for _, h := range honest {
		t.Run(strings.ReplaceAll(h.name, " ", "_"), func(t *testing.T) {
			r := newRig(t)
			w := r.dial()
			h.run(t, w)
			w.mu.Lock()
			if w.left != nil || w.gone {
				t.Errorf("%s: the session ended: %+v", h.who, w.left)
			}
			w.mu.Unlock()
			if n := r.metric("h2gw_h2_flood_total"); n != 0 {
				t.Errorf("%s: %v floods", h.who, n)
			}
			w.conn.Close()
			if l := r.session(w.addr()); strings.HasPrefix(l.Cause, "flood") || l.GoAway != "" {
				t.Errorf("%s: session line %+v", h.who, l)
			}
			r.settled()
		})
	}
}

// exchange does requests from the i-th to before the n-th, one after the other.
func (w *wire) exchange(t *testing.T, i, n int) {
	t.Helper()
	for ; i < n; i++ {
		w.request(id(i), true, "GET", "/hello")
		w.send()
		w.finish(t, id(i), "200")
	}
}

// finish waits for the end of a response.
func (w *wire) finish(t *testing.T, id uint32, status string) {
	t.Helper()
	if !w.await(fmt.Sprint("the end of stream ", id), func() bool { return w.ended[id] }) {
		t.Fatalf("stream %d did not end; GOAWAY %+v", id, w.left)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.heads[id] != status {
		t.Fatalf("stream %d: status %q, want %s", id, w.heads[id], status)
	}
}
