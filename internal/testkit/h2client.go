package testkit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Patience is how long the Want methods of a Client wait, in the clock of the
// test.
const Patience = time.Minute

// A Client is an HTTP/2 client that speaks in frames: a test says what is sent
// and what must come. Its methods are for the test's goroutine; a failure ends
// the test. Frames that the test does not ask about (WINDOW_UPDATE) are counted
// in Credit and otherwise skipped.
type Client struct {
	tb   testing.TB
	Conn net.Conn
	fr   *http2.Framer
	enc  *hpack.Encoder
	hbuf bytes.Buffer

	mu     sync.Mutex
	cond   sync.Cond
	frames []Frame
	err    error // why reading ended
	credit map[uint32]int
	ended  chan struct{}
}

// A Frame is one frame that came; a header block is one Frame, CONTINUATION
// included.
type Frame struct {
	Type    http2.FrameType
	Flags   http2.Flags
	Stream  uint32
	Payload []byte
	Fields  []hpack.HeaderField // of HEADERS
}

// End reports whether END_STREAM is set.
func (f *Frame) End() bool {
	return (f.Type == http2.FrameData || f.Type == http2.FrameHeaders) && f.Flags.Has(http2.FlagDataEndStream)
}

// Get returns the values of the field name, joined with ", ".
func (f *Frame) Get(name string) string {
	var vs []string
	for _, h := range f.Fields {
		if h.Name == name {
			vs = append(vs, h.Value)
		}
	}
	return strings.Join(vs, ", ")
}

// String shows the frame as failures do.
func (f *Frame) String() string {
	s := fmt.Sprintf("%v stream=%d flags=%#x", f.Type, f.Stream, uint8(f.Flags))
	switch {
	case f.Fields != nil:
		for _, h := range f.Fields {
			s += fmt.Sprintf(" %s=%q", h.Name, h.Value)
		}
	case f.Type == http2.FrameRSTStream || f.Type == http2.FrameGoAway:
		s += " " + f.Code().String()
		if f.Type == http2.FrameGoAway {
			s += fmt.Sprintf(" last=%d %q", f.LastStream(), f.Payload[8:])
		}
	case len(f.Payload) > 64:
		s += fmt.Sprintf(" len=%d", len(f.Payload))
	default:
		s += fmt.Sprintf(" %q", f.Payload)
	}
	return s
}

// Code is the error code of RST_STREAM and GOAWAY.
func (f *Frame) Code() http2.ErrCode {
	p := f.Payload
	if f.Type == http2.FrameGoAway && len(p) >= 8 {
		p = p[4:]
	}
	if len(p) < 4 {
		return 0xffffffff
	}
	return http2.ErrCode(binary.BigEndian.Uint32(p))
}

// LastStream is the last stream id of GOAWAY.
func (f *Frame) LastStream() uint32 { return binary.BigEndian.Uint32(f.Payload) & (1<<31 - 1) }

// NewClient returns a client on conn that has sent nothing. It reads from conn
// until that ends; the test's end closes it.
func NewClient(tb testing.TB, conn net.Conn) *Client {
	c := &Client{tb: tb, Conn: conn, credit: make(map[uint32]int), ended: make(chan struct{})}
	c.cond.L = &c.mu
	c.fr = http2.NewFramer(conn, conn)
	c.fr.AllowIllegalWrites = true
	c.fr.AllowIllegalReads = true
	c.fr.SetMaxReadFrameSize(1<<24 - 1)
	c.enc = hpack.NewEncoder(&c.hbuf)
	go c.readLoop()
	tb.Cleanup(c.Close)
	return c
}

// Close closes the connection and waits for the client's goroutine.
func (c *Client) Close() {
	c.Conn.Close()
	<-c.ended
}

func (c *Client) readLoop() {
	defer close(c.ended)
	dec := hpack.NewDecoder(4096, nil)
	dec.SetMaxStringLength(1 << 24)
	var block []byte
	var head Frame
	for {
		f, err := c.fr.ReadFrame()
		if err != nil {
			c.add(Frame{}, err)
			return
		}
		h := f.Header()
		got := Frame{Type: h.Type, Flags: h.Flags, Stream: h.StreamID}
		switch f := f.(type) {
		case *http2.HeadersFrame:
			head, block = got, append([]byte(nil), f.HeaderBlockFragment()...)
		case *http2.ContinuationFrame:
			block = append(block, f.HeaderBlockFragment()...)
			head.Flags |= h.Flags & http2.FlagHeadersEndHeaders
			got = head
		default:
			got.Payload = payload(f)
		}
		if got.Type == http2.FrameHeaders {
			if !h.Flags.Has(http2.FlagHeadersEndHeaders) {
				continue
			}
			if got.Fields, err = dec.DecodeFull(block); err != nil {
				c.add(Frame{}, fmt.Errorf("the server's header block: %w", err))
				return
			}
		}
		c.add(got, nil)
	}
}

// payload gives the bytes of a frame back that the Framer has parsed.
func payload(f http2.Frame) []byte {
	switch f := f.(type) {
	case *http2.DataFrame:
		return bytes.Clone(f.Data())
	case *http2.SettingsFrame:
		var b []byte
		f.ForeachSetting(func(s http2.Setting) error {
			b = binary.BigEndian.AppendUint16(b, uint16(s.ID))
			b = binary.BigEndian.AppendUint32(b, s.Val)
			return nil
		})
		return b
	case *http2.PingFrame:
		return bytes.Clone(f.Data[:])
	case *http2.RSTStreamFrame:
		return binary.BigEndian.AppendUint32(nil, uint32(f.ErrCode))
	case *http2.WindowUpdateFrame:
		return binary.BigEndian.AppendUint32(nil, f.Increment)
	case *http2.GoAwayFrame:
		b := binary.BigEndian.AppendUint32(nil, f.LastStreamID)
		return append(binary.BigEndian.AppendUint32(b, uint32(f.ErrCode)), f.DebugData()...)
	}
	return nil
}

func (c *Client) add(f Frame, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.err = err
	case f.Type == http2.FrameWindowUpdate:
		c.credit[f.Stream] += int(binary.BigEndian.Uint32(f.Payload))
	default:
		c.frames = append(c.frames, f)
	}
	c.cond.Broadcast()
}

// await waits until ok, called with the lock held, is true. False means that it
// took longer than Patience.
func (c *Client) await(ok func() bool) bool {
	late := false
	t := time.AfterFunc(Patience, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		late = true
		c.cond.Broadcast()
	})
	defer t.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !ok() {
		if late {
			return false
		}
		c.cond.Wait()
	}
	return true
}

// Next returns the next frame, or what ended the connection.
func (c *Client) Next() (Frame, error) {
	var f Frame
	var err error
	if !c.await(func() bool {
		switch {
		case len(c.frames) > 0:
			f, c.frames = c.frames[0], c.frames[1:]
			return true
		case c.err != nil:
			err = c.err
			return true
		}
		return false
	}) {
		return f, errors.New("nothing came")
	}
	return f, err
}

// next is Next for a test that wants a frame.
func (c *Client) next(what string) Frame {
	c.tb.Helper()
	f, err := c.Next()
	if err != nil {
		c.tb.Fatalf("want %s, got none: %v", what, err)
	}
	return f
}

// Credit returns how much the server has opened the window of stream id by
// WINDOW_UPDATE since the last call; id 0 is the session.
func (c *Client) Credit(id uint32) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.credit[id]
	delete(c.credit, id)
	return n
}

// WantCredit waits until the server has opened the window of stream id.
func (c *Client) WantCredit(id uint32) int {
	c.tb.Helper()
	if !c.await(func() bool { return c.credit[id] > 0 || c.err != nil }) {
		c.tb.Fatalf("want WINDOW_UPDATE for stream %d, got none", id)
	}
	return c.Credit(id)
}

// closedErr says that the connection ended, which is what some tests want.
func closedErr(err error) bool {
	return err != nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "reset"))
}

// Closed reports whether err says that a connection has ended, in whatever way.
func Closed(err error) bool { return closedErr(err) }
