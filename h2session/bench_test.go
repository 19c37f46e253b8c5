package h2session

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

var benchResponse = []byte("HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n" +
	string(bytes.Repeat([]byte("x"), 100)))

// trivial answers each request in the goroutine that opened it, as a transaction
// does that has nothing to wait for: what is left is the cost of the session.
type trivial struct{}

func (trivial) AcceptVConn(c *vconn.Conn) {
	c.Observe(trivial{}, vconn.OnPeerClosed|vconn.OnPeerReset|vconn.OnClosed)
	b, _ := c.Peek()
	c.Discard(len(b))
	c.TryWriteClose(benchResponse, nil)
}

func (trivial) Readable(*vconn.Conn, vconn.Later)        {}
func (trivial) Consumed(*vconn.Conn, int)                {}
func (trivial) PeerReset(*vconn.Conn, *vconn.ResetError) {}
func (trivial) Closed(*vconn.Conn)                       {}

// BenchmarkSmallGet is one session in memory, 32 streams at a time: the cost of
// a request in h2session and vconn, the client's included.
func BenchmarkSmallGet(b *testing.B) {
	client, server := testkit.Pipe()
	srv := &Server{Connector: vconn.NewConnector(trivial{})}
	done := make(chan error, 1)
	go func() { done <- srv.ServeConn(b.Context(), server, testIdentity) }()
	benchRequests(b, client, 32)
	client.Close()
	<-done
}

// benchRequests makes b.N requests, so many at a time, and reads the responses.
func benchRequests(b *testing.B, client net.Conn, burst int) {
	io.WriteString(client, http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\x00\x00\x00")

	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	request := func() []byte {
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "example.com"}, {":path", "/index.html"},
			{"user-agent", "bench"}, {"accept", "*/*"}} {
			enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		return block.Bytes()
	}
	id := uint32(1)
	var out []byte
	first := request()
	out = appendRequest(out, id, first)
	client.Write(out)
	countEnds(b, client, 1)
	indexed := bytes.Clone(request()) // all in the table now

	b.ReportAllocs()
	for n := 0; n < b.N; {
		out = out[:0]
		k := min(burst, b.N-n)
		for range k {
			id += 2
			out = appendRequest(out, id, indexed)
		}
		client.Write(out)
		countEnds(b, client, k)
		n += k
		if id > 1<<30 {
			b.Fatal("out of stream ids")
		}
	}
	b.StopTimer()
}

func appendRequest(b []byte, id uint32, block []byte) []byte {
	b = appendFrameHeader(b, http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, id, len(block))
	return append(b, block...)
}

var benchBuf [64 << 10]byte

// countEnds reads until n streams have ended.
func countEnds(b *testing.B, c net.Conn, n int) {
	have := 0
	for n > 0 {
		got, err := c.Read(benchBuf[have:])
		if err != nil {
			b.Fatal(err)
		}
		have += got
		at := 0
		for have-at >= frameHeaderLen {
			h := benchBuf[at:]
			length := int(binary.BigEndian.Uint32(h) >> 8)
			if have-at < frameHeaderLen+length {
				break
			}
			if h[3] <= 1 && h[4]&1 != 0 {
				n--
			}
			at += frameHeaderLen + length
		}
		have = copy(benchBuf[:], benchBuf[at:have])
	}
}
