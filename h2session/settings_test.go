package h2session

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/vconn"
)

func TestOurSettings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{MaxFrameSize: 20_000, Fields: 7}, nil)
		got := cl.Handshake()
		want := map[http2.SettingID]uint32{
			http2.SettingMaxConcurrentStreams: 250, http2.SettingInitialWindowSize: 256 << 10,
			http2.SettingMaxHeaderListSize: 64 << 10, http2.SettingMaxFrameSize: 20_000, settingNoTree: 1,
			http2.SettingEnableConnectProtocol: 1, // RFC 8441, section 3
		}
		if len(got) != len(want) {
			t.Errorf("got %v", got)
		}
		for id, v := range want {
			if got[id] != v {
				t.Errorf("%v is %d, want %d", id, got[id], v)
			}
		}
		if n := cl.Credit(0); n != 1<<20-65535 {
			t.Errorf("the session window is opened by %d", n)
		}
		cl.end()
	})
}

func TestWrongSettings(t *testing.T) {
	one := func(id http2.SettingID, v uint32) func(*bench) {
		return func(cl *bench) { cl.Settings(http2.Setting{ID: id, Val: v}) }
	}
	tests := []struct {
		name string
		send func(*bench)
		code http2.ErrCode
	}{
		{"ENABLE_PUSH 2", one(http2.SettingEnablePush, 2), codeProtocol},
		{"INITIAL_WINDOW_SIZE 2^31", one(http2.SettingInitialWindowSize, 1<<31), codeFlowControl},
		{"MAX_FRAME_SIZE 2^14-1", one(http2.SettingMaxFrameSize, 1<<14-1), codeProtocol},
		{"NO_RFC7540_PRIORITIES 2", one(settingNoTree, 2), codeProtocol},
		{"NO_RFC7540_PRIORITIES taken back", func(cl *bench) {
			cl.Settings(http2.Setting{ID: settingNoTree, Val: 1})
			cl.WantSettingsAck()
			cl.Settings(http2.Setting{ID: settingNoTree, Val: 0})
		}, codeProtocol},
		{"MAX_FRAME_SIZE 2^24", one(http2.SettingMaxFrameSize, 1<<24), codeProtocol},
		{"five bytes", func(cl *bench) { cl.Raw(http2.FrameSettings, 0, 0, make([]byte, 5)) }, codeFrameSize},
		{"on a stream", func(cl *bench) { cl.Raw(http2.FrameSettings, 0, 1, nil) }, codeProtocol},
		{"ACK with payload", func(cl *bench) { cl.Raw(http2.FrameSettings, 1, 0, make([]byte, 6)) }, codeFrameSize},
		{"a stream window beyond 2^31-1", func(cl *bench) {
			cl.Get(1, "/wait")
			cl.Window(1, 1<<31-1-65535)
			cl.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65536})
		}, codeFlowControl},
		{"the session window beyond 2^31-1", func(cl *bench) { cl.Window(0, 1<<31-65535) }, codeFlowControl},
		{"WINDOW_UPDATE of 0", func(cl *bench) { cl.Window(0, 0) }, codeProtocol},
		{"PING of 7 bytes", func(cl *bench) { cl.Raw(http2.FramePing, 0, 0, make([]byte, 7)) }, codeFrameSize},
		{"PING on a stream", func(cl *bench) { cl.Raw(http2.FramePing, 0, 1, make([]byte, 8)) }, codeProtocol},
		{"frame larger than allowed", func(cl *bench) { cl.Raw(http2.FrameData, 0, 1, make([]byte, 16<<10+1)) }, codeFrameSize},
		{"padding longer than the frame", func(cl *bench) { cl.Raw(http2.FrameData, 8, 1, []byte{1}) }, codeProtocol},
		{"padded frame without pad length", func(cl *bench) { cl.Raw(http2.FrameData, 8, 1, nil) }, codeFrameSize},
		{"block that cannot be decoded", func(cl *bench) { cl.Raw(http2.FrameHeaders, 5, 1, []byte{0xff, 0xff, 0xff, 0xff}) }, codeCompression},
		{"block that is truncated", func(cl *bench) { cl.Raw(http2.FrameHeaders, 5, 1, []byte{0x40, 5, 'a'}) }, codeCompression},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cl := start(t, Config{}, waitOr(hello))
				cl.Handshake()
				tt.send(cl)
				goAway(tt.code)(cl)
				r := cl.wantCause("client_error")
				if r.GoAway != tt.code.String() || r.Err == nil {
					t.Errorf("record %+v", r)
				}
				g := GoAway{"out", tt.code.String(), "client_error"}
				if n := cl.srv.Stats().GoAways[g]; n != 1 {
					t.Errorf("GOAWAYs %v", cl.srv.Stats().GoAways)
				}
			})
		})
	}
}

func TestPing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.Handshake()
		cl.Ping("12345678")
		if got := cl.WantPing(true); string(got) != "12345678" {
			t.Errorf("got %q", got)
		}
		cl.PingAck([]byte("nobody's"))
		cl.WantIdle()
		cl.end()
	})
}

// The client's frame size bounds our frames; a larger header block continues.
func TestPeerFrameSize(t *testing.T) {
	bubble(t, func(t *testing.T) {
		long := strings.Repeat("0123456789", 4000)
		cl := start(t, Config{}, func(_ *http.Request, c *vconn.Conn) { respond(c, 200, long, "Long", long) })
		cl.Handshake(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 14}, window(1<<20))
		cl.Get(1, "/")
		if f := cl.WantHeaders(1, false); f.Get("long") != long {
			t.Error("the long field did not arrive")
		}
		body, _ := cl.WantBody(1)
		if string(body) != long {
			t.Error("the body did not arrive")
		}
		if n := cl.srv.Stats().FramesOut["CONTINUATION"]; n == 0 {
			t.Error("no CONTINUATION")
		}
		cl.end()
	})
}

// The client may take the dynamic table away; the test's decoder would not find
// what is in it.
func TestPeerHeaderTable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, func(_ *http.Request, c *vconn.Conn) { respond(c, 200, "", "Server", "same") })
		cl.Handshake()
		for id := uint32(1); id < 9; id += 2 {
			cl.Get(id, "/")
			if f := cl.WantHeaders(id, true); f.Get("server") != "same" {
				t.Errorf("got %v", &f)
			}
			cl.Settings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: (id % 4) / 2 * 4096})
			cl.WantSettingsAck()
		}
		cl.end()
	})
}

// The table may be taken away between a response's head and its trailers, whose
// block must then begin with the size update.
func TestPeerHeaderTableBeforeTrailers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, func(r *http.Request, c *vconn.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nServer: same\r\nTransfer-Encoding: chunked\r\n\r\n")
			io.Copy(io.Discard, r.Body)
			io.WriteString(c, "0\r\nNew: "+r.URL.Path+"\r\nServer: same\r\n\r\n")
		})
		cl.Handshake()
		for id := uint32(1); id < 13; id += 2 {
			path := fmt.Sprint("/", id)
			cl.Post(id, path)
			cl.WantHeaders(id, false)
			cl.Settings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: (id % 4) / 2 * 4096})
			cl.WantSettingsAck()
			cl.Data(id, true, "")
			if f := cl.WantHeaders(id, true); f.Get("new") != path || f.Get("server") != "same" {
				t.Errorf("got %v", &f)
			}
		}
		cl.end()
	})
}

// Of several sizes between two blocks the smallest has to be told as well (RFC
// 7541, section 4.2), or a smaller one: 0, behind which every decoder takes the
// second.
func TestSmallestTableIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, func(_ *http.Request, c *vconn.Conn) { respond(c, 200, "") })
		cl.Handshake()
		s := cl.srv.open()[0]
		table := func(n uint32) []byte {
			return []byte{0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 1, 0, 0, byte(n >> 8), byte(n)}
		}
		cl.Write(append(append(table(2000), table(16)...), table(4096)...))
		for range 3 {
			cl.WantSettingsAck()
		}
		synctest.Wait()
		s.out.enc.head(200, new(h1.Fields))
		if got := s.out.enc.block; !bytes.HasPrefix(got, []byte{0x20, 0x3f, 0xe1, 0x1f}) {
			t.Errorf("the block begins with % x", got)
		}
		cl.end()
	})
}

// Frames larger than any buffer of ours, where the configuration allows them.
func TestLargeFrames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{MaxFrameSize: 200_000, StreamWindow: 1 << 20}, nil)
		cl.Handshake()
		body := strings.Repeat("0123456789", 15_000)
		cl.Post(1, "/")
		cl.Data(1, false, body[:5])
		cl.Data(1, false, body[5:140_000])
		cl.PaddedData(1, true, body[140_000:], 255)
		cl.WantHeaders(1, false)
		got := 0
		for end := false; !end; {
			f, err := cl.Next()
			if err != nil {
				t.Fatal(err)
			}
			end = f.End()
			if got += len(f.Payload); got == 65535 {
				cl.Window(0, 1<<20)
				cl.Window(1, 1<<20)
			}
		}
		if got != len("hello ")+len(body) || !strings.Contains(cl.request(0), body[5:140_000]) {
			t.Errorf("%d bytes came back", got)
		}
		cl.end()
	})
}
