package h2session

import (
	"bytes"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/h1"
)

// BenchmarkTranslateRequest is a field section from HPACK to HTTP/1.1 text, all
// of it indexed, as from the second request of a connection on.
func BenchmarkTranslateRequest(b *testing.B) {
	for _, fields := range []int{2, 10, 30} {
		b.Run(fmt.Sprintf("fields=%d", fields), func(b *testing.B) {
			var wire bytes.Buffer
			enc := hpack.NewEncoder(&wire)
			section := func() []byte {
				wire.Reset()
				for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "example.com"}, {":path", "/index.html"},
					{"user-agent", "bench"}, {"accept", "*/*"}} {
					enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
				}
				for i := 2; i < fields; i++ {
					enc.WriteField(hpack.HeaderField{Name: fmt.Sprintf("x-field-%d", i), Value: fmt.Sprintf("value %d", i)})
				}
				return bytes.Clone(wire.Bytes())
			}
			block, r := newHeaderBlock(new(Config)), new(request)
			translate := func(p []byte) {
				block.begin(1, true, false)
				if err := block.fragment(p); err != nil {
					b.Fatal(err)
				}
				if err := block.finish(); err != nil {
					b.Fatal(err)
				}
				if reason := r.build(block); reason != "" {
					b.Fatal(reason)
				}
				block.forget()
			}
			translate(section())
			indexed := section()
			b.ReportAllocs()
			for b.Loop() {
				translate(indexed)
			}
		})
	}
}

// endless is a connection on which the same bytes come again and again.
type endless struct {
	net.Conn
	data []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.data[e.at:])
	e.at = (e.at + n) % len(e.data)
	return n, nil
}

// BenchmarkReadFrames is the frame reader alone, a frame an iteration.
func BenchmarkReadFrames(b *testing.B) {
	for _, size := range []int{20, 16 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			frame := appendFrameHeader(nil, http2.FrameData, 0, 1, size)
			frame = append(frame, make([]byte, size)...)
			f := newFrameReader(&endless{data: frame}, time.Now())
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				if fr, err := f.frame(16 << 10); err != nil || len(fr.payload) != size {
					b.Fatal(len(fr.payload), err)
				}
			}
			f.release()
		})
	}
}

// BenchmarkPull turns a response as an origin's server writes it into frames,
// with one field that is new each time.
func BenchmarkPull(b *testing.B) {
	for _, size := range []int{100, 10 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) { pullMany(b, size) })
	}
}

func pullMany(b *testing.B, size int) {
	text := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 08:07:39 GMT\r\n"+
		"Content-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\nETag: \"65a1b2c3-0000\"\r\nVia: 1.1 h2gw\r\n\r\n", size)
	text = append(text, make([]byte, size)...)
	tag := text[bytes.Index(text, []byte("-0000\"")):][1:5]
	w := puller{enc: newBlockEncoder(), frameSize: minFrameSize}
	body, src := new(h1.BodyReader), new(textSource)
	var out []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for at := range tag {
			tag[at] = "0123456789abcdef"[i>>(4*at)&15]
		}
		src.text = text
		r := response{src: src, body: body}
		var p pulled
		if out, p = w.pull(&r, 1, out[:0], minFrameSize); !p.end {
			b.Fatalf("%+v", p)
		}
	}
}

// BenchmarkInbox posts what 32 streams have to tell, and hears it in one round.
func BenchmarkInbox(b *testing.B) {
	var in inbox
	streams := make([]stream, 32)
	b.ReportAllocs()
	for b.Loop() {
		for i := range streams {
			in.put(&streams[i], postedReadable)
		}
		for st := in.take(); st != nil; {
			next := st.below
			st.posted.Store(0)
			st = next
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(streams)), "ns/post")
}
