package frontend

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

// preface is what an HTTP/2 client sends first (RFC 9113, 3.4). It was chosen
// so that no HTTP/1.1 server takes it for a request.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// sniffSize is what the first read may take. It exceeds the preface so that the
// usual first flight, preface and SETTINGS or a whole HTTP/1.1 request head,
// costs one system call.
const sniffSize = 2048

var sniffBuffers = sync.Pool{New: func() any { return new([sniffSize]byte) }}

// sniff reads until the bytes differ from the HTTP/2 preface or hold all of it.
// An HTTP/1.1 request differs in its first bytes, so it is never kept waiting.
// The returned connection delivers what was read here first.
func (f *Frontend) sniff(c net.Conn, info *Info) (net.Conn, Reason, error) {
	buf := sniffBuffers.Get().(*[sniffSize]byte)
	n := 0
	for {
		m, err := c.Read(buf[n:])
		n += m
		proto, known := classify(buf[:n])
		if known && proto != "" {
			f.admission.identified(c)
			info.Protocol = proto
			return &replayConn{Conn: c, buf: buf, end: n}, "", nil
		}
		if known {
			err = garbageError(buf[:n])
			sniffBuffers.Put(buf)
			return nil, ReasonGarbage, err
		}
		if err != nil {
			sniffBuffers.Put(buf)
			reason, err := sniffError(n, err)
			return nil, reason, err
		}
	}
}

// classify says what b, the first bytes of a connection, begins: ProtoH2C,
// ProtoHTTP1, or "" for neither; and whether that is known yet.
func classify(b []byte) (proto string, known bool) {
	switch n := min(len(b), len(preface)); {
	case n == 0:
		return "", false
	case string(b[:n]) == preface[:n]:
		return ProtoH2C, n == len(preface)
	// A method is a token; empty lines before it are allowed (RFC 9112, 2.2).
	case tokenChar(b[0]) || b[0] == '\r' || b[0] == '\n':
		return ProtoHTTP1, true
	}
	return "", true
}

func garbageError(b []byte) error {
	if b[0] == 0x16 { // TLS record type handshake
		return errors.New("the client speaks TLS on a cleartext listener")
	}
	return fmt.Errorf("the first bytes are neither HTTP/1.1 nor the HTTP/2 preface: %q", b[:min(len(b), 16)])
}

// sniffError classifies a read that failed after n bytes of a preface.
func sniffError(n int, err error) (Reason, error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ReasonPrefaceTimeout, fmt.Errorf("%d bytes received: %w", n, err)
	case errors.Is(err, net.ErrClosed):
		return ReasonAborted, err
	case n == 0 || !errors.Is(err, io.EOF):
		return ReasonClosed, err
	}
	return ReasonGarbage, fmt.Errorf("the client closed after %d bytes of the HTTP/2 preface", n)
}

// tokenChar reports whether c may stand in a method (RFC 9110, 5.6.2).
func tokenChar(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}

// A replayConn delivers the bytes that sniff took from the connection before
// anything else. Its buffer goes back to the pool when they are read, so an
// idle connection holds none. Read is for one goroutine at a time, as long as
// those first bytes last.
type replayConn struct {
	net.Conn
	buf        *[sniffSize]byte // nil once everything was read
	start, end int
}

// OnWait is that of the connection, if it has one; see internal/netio.
func (c *replayConn) OnWait(f func()) bool {
	w, ok := c.Conn.(interface{ OnWait(func()) bool })
	return ok && w.OnWait(f)
}

// Read reads what was sniffed first, then from the connection.
func (c *replayConn) Read(p []byte) (int, error) {
	if c.buf == nil {
		return c.Conn.Read(p)
	}
	n := copy(p, c.buf[c.start:c.end])
	c.start += n
	if c.start == c.end {
		sniffBuffers.Put(c.buf)
		c.buf = nil
	}
	return n, nil
}

// CloseWrite half-closes the connection where it can be.
func (c *replayConn) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the connection below once the sniffed bytes were read, and
// nil before: reading it directly would lose them.
func (c *replayConn) NetConn() net.Conn {
	if c.buf != nil {
		return nil
	}
	return c.Conn
}
