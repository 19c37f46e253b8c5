package failure

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
)

// A liar is a client whose body is not what its head says, told so late that the
// origin has seen the beginning.
var liars = []struct {
	name string
	run  func(t *testing.T, nc net.Conn, path string, first func()) error
}{
	{"h2-too-short", inFrames(true, "", "content-length", "100")},
	{"h2-too-long", inFrames(true, strings.Repeat("x", 96), "content-length", "100")},
	{"h2-too-long-and-open", inFrames(false, strings.Repeat("x", 96), "content-length", "100")},
	{"h1-chunk-size", inLines("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "zz\r\n")},
	{"h1-chunk-end", inLines("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "5\r\nworld!!\r\n0\r\n\r\n")},
	{"h1-bare-lf", inLines("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "0\n\n")},
	{"h1-trailer", inLines("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "0\r\nX Y: z\r\n\r\n")},
}

// inFrames sends five bytes in DATA, waits until the origin has them, and sends
// the rest.
func inFrames(end bool, rest string, extra ...string) func(*testing.T, net.Conn, string, func()) error {
	return func(t *testing.T, nc net.Conn, path string, first func()) error {
		c := stopsInHTTP2(t, nc, path, extra...)
		first()
		c.Data(1, end, rest)
		c.WantReset(1, 1) // PROTOCOL_ERROR
		return nil
	}
}

func inLines(begin, rest string) func(*testing.T, net.Conn, string, func()) error {
	return func(_ *testing.T, nc net.Conn, path string, first func()) error {
		io.WriteString(nc, "POST "+path+" HTTP/1.1\r\nHost: x\r\n"+begin)
		first()
		io.WriteString(nc, rest)
		b, err := io.ReadAll(nc)
		if !strings.HasPrefix(string(b), "HTTP/1.1 400 ") || err != nil && !testkit.Closed(err) {
			return fmt.Errorf("%q, %v", b, err)
		}
		return nil
	}
}

// A request whose body turns out malformed when its beginning has reached the
// origin is never completed there, and its connection is not used again.
func TestARequestThatTurnsOutMalformedIsNeverCompleted(t *testing.T) {
	begin(t)
	arrived, ended := make(chan struct{}), make(chan string)
	var conns atomic.Int64
	o := startOrigin(t, func(p *peer) {
		conns.Add(1)
		var got strings.Builder
		for !strings.Contains(got.String(), "hello") {
			b, err := p.br.ReadByte()
			if err != nil {
				break
			}
			got.WriteByte(b)
		}
		arrived <- struct{}{}
		io.Copy(&got, p.br)
		ended <- got.String()
	})
	r := newRig(t, []string{o.addr()})
	for _, l := range liars {
		if err := l.run(t, r.dial(), "/"+l.name, func() { <-arrived }); err != nil {
			t.Errorf("%s: %v", l.name, err)
		}
		got := <-ended
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		if strings.HasSuffix(body, "0\r\n\r\n") || strings.Contains(head, "Content-Length: 100") && len(body) >= 100 {
			t.Errorf("%s: the origin saw a complete request: %q", l.name, got)
		}
	}
	access := r.settle()
	for _, l := range access {
		if l.Outcome != "http_request_error" || l.OriginReused {
			t.Errorf("%+v", l)
		}
	}
	if len(access) != len(liars) || conns.Load() != int64(len(liars)) {
		t.Errorf("%d access lines, %d origin connections, want %d", len(access), conns.Load(), len(liars))
	}
}
