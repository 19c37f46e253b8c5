package h2session

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// A frameReader reads frames from the connection. It belongs to the read loop.
//
// It reads as much as there is and parses in place. http2.Framer would read each
// header and each payload by itself and make an object of most frames; the rules
// for payloads are applied where the frames are received.
type frameReader struct {
	conn    net.Conn
	account *account // nil in tests
	buf     []byte   // buf[r:w] is read and not used; nil at rest
	r, w    int
	small   *[smallBuffer]byte // what buf is for a session with little to say
	large   *[largeBuffer]byte // what it is for one that uploads
	last    int                // bytes of the last Read
	held    int                // what the account was told of buf
	total   uint64             // bytes read
	now     time.Time          // of the last Read: near enough for every timeout, and cheap
}

const (
	// A session that only gets requests and acknowledgements, or nothing,
	// makes do with a small buffer.
	smallBuffer = 2 << 10
	// Holds one frame of the default size whole, and more.
	largeBuffer = 32 << 10
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

func newFrameReader(conn net.Conn, now time.Time) frameReader {
	return frameReader{conn: conn, now: now}
}

// errMidFrame is a connection that ended within a frame, or within the preface.
var errMidFrame = errors.New("h2session: the connection ended in the middle of a frame")

// midFrame replaces what a connection's end looks like, with TLS and without.
func midFrame(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errMidFrame
	}
	return err
}

// next returns the next n bytes, valid until the next call, and consumes them.
func (f *frameReader) next(n int) ([]byte, error) {
	p, err := f.peek(n)
	f.r += len(p)
	return p, err
}

// peek returns the next n bytes, valid until the next call. The error is
// errMidFrame when the connection ended behind the first of them. After an error
// nothing is lost: when it was a deadline, peek may be called again.
func (f *frameReader) peek(n int) ([]byte, error) {
	for f.w-f.r < n {
		if err := f.fill(n); err != nil {
			if f.w > f.r {
				err = midFrame(err)
			}
			return nil, err
		}
	}
	return f.buf[f.r : f.r+n], nil
}

// fill reads once, with room for n bytes from r on.
func (f *frameReader) fill(n int) error {
	switch {
	case n > len(f.buf):
		if f.buf == nil && n <= smallBuffer {
			f.takeSmall()
			break
		}
		f.grow(n)
	case f.r == f.w:
		f.r, f.w = 0, 0
		f.shrink(n)
	case f.r+n > len(f.buf):
		f.w = copy(f.buf, f.buf[f.r:f.w])
		f.r = 0
	}
	got, err := f.conn.Read(f.buf[f.w:])
	f.w += got
	f.last = got
	f.total += uint64(got)
	f.now = time.Now()
	if got > 0 {
		if f.w == len(f.buf) && len(f.buf) == smallBuffer {
			f.grow(largeBuffer) // more is coming than small reads are good for
		}
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// grow moves on to a buffer of at least n bytes.
func (f *frameReader) grow(n int) {
	old, was := f.buf, f.large
	if n <= largeBuffer {
		f.hold(largeBuffer)
		f.large = largeBuffers.Get().(*[largeBuffer]byte)
		f.buf = f.large[:]
	} else {
		f.hold(n)
		f.large = nil
		f.buf = make([]byte, n)
	}
	f.w = copy(f.buf, old[f.r:f.w])
	f.r = 0
	if was != nil {
		largeBuffers.Put(was)
	}
	f.dropSmall()
}

// shrink gives a large buffer back before a wait that may be long: that for a
// frame header, when all was used and little came last.
func (f *frameReader) shrink(n int) {
	if n != frameHeaderLen || f.last > smallBuffer || len(f.buf) == smallBuffer {
		return
	}
	f.dropLarge()
	f.takeSmall()
}

func (f *frameReader) takeSmall() {
	f.small = smallBuffers.Get().(*[smallBuffer]byte)
	f.buf = f.small[:]
}

func (f *frameReader) dropSmall() {
	if f.small != nil {
		smallBuffers.Put(f.small)
		f.small = nil
	}
}

func (f *frameReader) dropLarge() {
	if f.large != nil {
		largeBuffers.Put(f.large)
		f.large = nil
	}
	f.hold(0)
}

// rest gives the buffer back, unless bytes wait in it.
func (f *frameReader) rest() bool {
	if f.r < f.w {
		return false
	}
	f.release()
	return true
}

// hold accounts for a buffer of n bytes; the small one is part of the session.
func (f *frameReader) hold(n int) {
	if f.account != nil {
		f.account.add(n - f.held)
		f.held = n
	}
}

func (f *frameReader) release() {
	f.dropLarge()
	f.dropSmall()
	f.buf, f.r, f.w = nil, 0, 0
}

// A frame is one frame as read. payload is valid until the next frame is read.
type frame struct {
	typ     http2.FrameType
	flags   http2.Flags
	id      uint32
	payload []byte
}

// noFrame is greater than the type of any frame we know.
const noFrame http2.FrameType = 0xff

// upcoming returns the type of the next frame if that is here whole, and
// otherwise noFrame.
func (f *frameReader) upcoming() http2.FrameType {
	if f.w-f.r < frameHeaderLen {
		return noFrame
	}
	h := f.buf[f.r:]
	if n := int(h[0])<<16 | int(h[1])<<8 | int(h[2]); f.w-f.r < frameHeaderLen+n {
		return noFrame
	}
	return http2.FrameType(h[3])
}

// frame reads the next frame; its payload has at most limit bytes. When a
// deadline interrupts it, it may be called again.
func (f *frameReader) frame(limit int) (frame, error) {
	h, err := f.peek(frameHeaderLen)
	if err != nil {
		return frame{}, err
	}
	fr := frame{
		typ:   http2.FrameType(h[3]),
		flags: http2.Flags(h[4]),
		id:    binary.BigEndian.Uint32(h[5:]) & (1<<31 - 1), // the first bit means nothing
	}
	n := int(h[0])<<16 | int(h[1])<<8 | int(h[2])
	if n > limit {
		return fr, connError(codeFrameSize, "frame larger than SETTINGS_MAX_FRAME_SIZE")
	}
	p, err := f.next(frameHeaderLen + n)
	if err != nil {
		return fr, err
	}
	fr.payload = p[frameHeaderLen:]
	return fr, nil
}

// unpad strips the padding of DATA and HEADERS (RFC 9113, section 6.1).
func (fr *frame) unpad() error {
	if !fr.flags.Has(http2.FlagDataPadded) { // the same bit for HEADERS
		return nil
	}
	if len(fr.payload) == 0 {
		return connError(codeFrameSize, "padded frame without a pad length")
	}
	pad := int(fr.payload[0])
	if pad >= len(fr.payload) {
		return connError(codeProtocol, "padding longer than the frame")
	}
	fr.payload = fr.payload[1 : len(fr.payload)-pad]
	return nil
}
