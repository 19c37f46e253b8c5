package h2session

import (
	"errors"
	"io"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/vconn"
)

// A source is where a response comes from, as HTTP/1.1 text: a virtual
// connection, or a text of our own.
type source interface {
	// Peek returns bytes that wait; nil, nil when none do; io.EOF at the end.
	Peek() ([]byte, error)
	// Discard consumes n of them.
	Discard(n int)
}

var _ source = (*vconn.Conn)(nil)

// A textSource is a response that is there from the start.
type textSource struct{ text []byte }

func (t *textSource) Peek() ([]byte, error) {
	if len(t.text) == 0 {
		return nil, io.EOF
	}
	return t.text, nil
}

func (t *textSource) Discard(n int) { t.text = t.text[n:] }

// maxInterim is how many 1xx responses of a request are passed on; an origin
// that sends more is not believed.
const maxInterim = 16

// A response is how far a stream's response has been read. It belongs to who
// writes.
type response struct {
	src      source
	notes    *vconn.Notes // nil: none are kept
	head     bool         // to a HEAD request
	begun    bool         // the final head was sent
	tunnel   bool         // to an extended CONNECT: only a 101 is success
	switched bool         // a tunnel stands
	ended    bool         // ... and our direction of it has ended
	interim  int          // 1xx so far
	pend     int          // body bytes at the front of src that body has decoded already
	stash    []byte
	body     *h1.BodyReader // made with the stream object

	// Within a turn src is looked into as seldom as can be: seen is what is
	// left of the last look, and used how much of it was consumed, which src is
	// told before the next look, when the turn ends, or with the close.
	seen []byte
	used int
}

// view returns what can be read next: first the rest of a head that had to be
// put together.
func (r *response) view() ([]byte, error) {
	switch {
	case len(r.stash) > 0:
		return r.stash, nil
	case len(r.seen) > 0:
		return r.seen, nil
	}
	return r.look()
}

// look looks into src anew.
func (r *response) look() (view []byte, err error) {
	r.settle()
	r.seen, err = r.src.Peek()
	return r.seen, err
}

func (r *response) consume(n int) {
	if len(r.stash) > 0 {
		r.stash = r.stash[n:]
		return
	}
	r.seen = r.seen[n:]
	r.used += n
}

// settle tells src what was consumed of it.
func (r *response) settle() {
	if r.used > 0 {
		r.src.Discard(r.used)
	}
	r.seen, r.used = nil, 0
}

// pulled is what one turn of a stream came to.
type pulled struct {
	heads   int  // HEADERS frames
	conts   int  // CONTINUATION frames
	frames  int  // DATA frames
	data    int  // bytes of DATA
	end     bool // END_STREAM was sent
	more    bool // DATA waits that the grant did not cover
	failed  bool // the response cannot be completed:
	code    Code // RST_STREAM with this
	trailer bool // END_STREAM was on a HEADERS frame
	half    bool // end is that of one direction of a tunnel
	left    bool // the other direction has no reader any more

	priority signal // what the origin says of it (RFC 9218, section 8)
}

func (p *pulled) fail(code Code) { p.failed, p.code = true, code }

// A puller turns responses into frames. It belongs to who writes.
type puller struct {
	enc       *blockEncoder
	head      h1.ResponseHead
	frameSize int // the largest frame that the client takes
}

// pull appends frames of stream id's response to b: heads, then at most grant
// bytes of DATA in one frame, then the end. What it consumed for the last of
// them is left for the close to tell.
func (w *puller) pull(r *response, id uint32, b []byte, grant int) ([]byte, pulled) {
	var p pulled
	b = w.pullTo(r, id, b, grant, &p)
	if !p.end || p.half {
		r.settle()
	}
	r.seen = nil
	return b, p
}

func (w *puller) pullTo(r *response, id uint32, b []byte, grant int, p *pulled) []byte {
	for !r.begun {
		var ok bool
		if b, ok = w.pullHead(r, id, b, p); !ok {
			return b
		}
	}
	switch {
	case p.end:
		return b
	case r.ended:
		r.pullEnded(p)
		return b
	}
	return w.pullBody(r, id, b, grant, p)
}

// pullHead appends one head, if it is there whole.
func (w *puller) pullHead(r *response, id uint32, b []byte, p *pulled) ([]byte, bool) {
	n, ok := w.readHead(r, p)
	if !ok {
		return b, false
	}
	status := w.head.Status()
	if status < 200 {
		r.consume(n)
		if status == 101 && r.tunnel {
			return w.pullSwitched(r, id, b, p), true
		}
		if status == 101 { // HTTP/2 has no Upgrade (RFC 9113, section 8.6)
			p.fail(codeInternal)
			return b, false
		}
		if r.interim++; r.interim > maxInterim {
			return b, true
		}
		w.enc.head(status, &w.head.Fields)
		b = w.appendHead(b, id, false, p)
		return b, true
	}
	if r.tunnel && status < 300 { // would say that the tunnel stands
		p.fail(codeInternal)
		return b, false
	}
	method := "GET"
	if r.head {
		method = "HEAD"
	}
	f, err := h1.ResponseFraming(&w.head, method)
	if err != nil {
		p.fail(codeInternal)
		return b, false
	}
	r.consume(n)
	r.body.Reset(f, h1.Limits{})
	r.begun = true
	p.end = r.body.Done()
	p.trailer = p.end
	if r.notes != nil {
		explainHead(r.notes, &w.head)
	}
	w.enc.head(status, &w.head.Fields)
	p.priority = w.enc.priority
	return w.appendHead(b, id, p.end, p), true
}

func (w *puller) appendHead(b []byte, id uint32, end bool, p *pulled) []byte {
	b, conts := w.enc.appendTo(b, id, end, w.frameSize)
	p.heads++
	p.conts += conts
	return b
}

// readHead parses the next head into w.head and returns its length. A head that
// is not in one piece is put together in the stash.
func (w *puller) readHead(r *response, p *pulled) (int, bool) {
	for {
		view, err := r.view()
		if err != nil {
			p.fail(resetCode(err))
			return 0, false
		}
		if len(view) == 0 {
			return 0, false
		}
		n, err := h1.ParseResponseHead(&w.head, view, h1.Limits{Head: 1 << 20, Fields: 1 << 12})
		if err != nil {
			p.fail(codeInternal)
			return 0, false
		}
		if n > 0 {
			return n, true
		}
		if !r.gather(p) {
			return 0, false
		}
	}
}

// gather moves what waits in src to the stash. False means that there was
// nothing.
func (r *response) gather(p *pulled) bool {
	view, err := r.look()
	if err != nil {
		p.fail(resetCode(err))
		return false
	}
	r.stash = append(r.stash, view...)
	r.seen = nil
	r.used = len(view)
	return len(view) > 0
}

// resetCode says with what to reset a stream whose response ended early.
func resetCode(err error) Code {
	// NO_ERROR would tell the client that what it has is all.
	if e, ok := errors.AsType[*vconn.ResetError](err); ok && e.Code != uint32(codeNo) {
		return Code(e.Code)
	}
	return codeInternal
}

// pullBody appends DATA and the end of the stream.
func (w *puller) pullBody(r *response, id uint32, b []byte, grant int, p *pulled) []byte {
	at := len(b)
	quota := min(grant, w.frameSize)
	open := false
	for {
		// Look for the end even when nothing more may be sent: END_STREAM
		// needs no window.
		if r.pend == 0 && !r.decode(p) || quota <= 0 {
			break
		}
		view, err := r.view()
		if err != nil || len(view) == 0 { // reset since it was decoded, a turn ago
			p.fail(resetCode(err))
			break
		}
		if !open {
			b = appendFrameHeader(b, http2.FrameData, 0, id, 0)
			open = true
		}
		n := min(r.pend, quota, len(view))
		b = append(b, view[:n]...)
		r.consume(n)
		r.pend -= n
		quota -= n
		p.data += n
	}
	if open {
		b[at], b[at+1], b[at+2] = byte(p.data>>16), byte(p.data>>8), byte(p.data)
		p.frames++
	}
	if p.end {
		r.ended, p.half = r.switched, r.switched
		return w.endBody(r, id, b, at, open, p)
	}
	p.more = r.pend > 0
	return b
}

// decode moves over framing to the next body bytes. False means that there are
// none now: the body ended (p.end), failed (p.failed), or has to be waited for.
func (r *response) decode(p *pulled) bool {
	for {
		if r.body.Done() {
			p.end = true
			return false
		}
		view, err := r.view()
		if errors.Is(err, io.EOF) && r.body.EOF() == nil {
			p.end = true
			return false
		}
		if err != nil {
			p.fail(resetCode(err))
			return false
		}
		if len(view) == 0 {
			return false
		}
		data, n, err := r.body.Next(view)
		if err != nil {
			p.fail(codeInternal)
			return false
		}
		// What is decoded stays in the source until there is a window for
		// it: only the framing in front of it is consumed.
		r.consume(n - len(data))
		if r.pend = len(data); r.pend > 0 {
			return true
		}
		if n == 0 && !r.body.Done() {
			return false
		}
	}
}

// endBody ends the stream: by trailers, by a flag on the DATA frame at b[at:], or
// by an empty one.
func (w *puller) endBody(r *response, id uint32, b []byte, at int, open bool, p *pulled) []byte {
	if t := r.body.Trailers(); t.Len() > 0 {
		if r.notes != nil {
			r.notes.Response("trailers become HEADERS with END_STREAM (RFC 9113, 8.1)")
		}
		w.enc.trailers(t)
		p.trailer = true
		return w.appendHead(b, id, true, p)
	}
	if !open {
		p.frames++
		return appendFrameHeader(b, http2.FrameData, http2.FlagDataEndStream, id, 0)
	}
	b[at+4] |= byte(http2.FlagDataEndStream)
	return b
}
