package httpsm

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/h1"
)

const (
	// discardBytes is how much of a response that nobody waits for is read for
	// the sake of those behind it; more costs more than asking again.
	discardBytes = 64 << 10
	// discardTime is how long it may take from when it is its turn.
	discardTime = time.Second
)

// A discard reads the rest of a response on a shared connection and throws it
// away. It is resumed by the connection, never blocks, and belongs to whoever
// runs Resume. It holds nothing of the transaction, which goes on without it.
type discard struct {
	ex     origin.Shared
	method string
	limits h1.Limits

	resp     h1.ResponseHead
	body     h1.BodyReader
	inBody   bool
	keep     bool // the connection stays open behind this response
	interims int
	read     int
}

var discards = sync.Pool{New: func() any { return new(discard) }}

func (d *discard) start() {
	d.ex.SetReadDeadline(time.Now().Add(discardTime))
	d.ex.Abandon(d)
}

// Resume implements origin.Resumer.
func (d *discard) Resume(origin.Later) {
	if len(d.ex.Buffered()) == 0 {
		// Nothing came: Fill says at once why.
		if err := d.ex.Fill(); errors.Is(err, os.ErrDeadlineExceeded) && d.ex.Behind() {
			d.start() // it was others who took their time
			return
		} else if err != nil {
			d.end(false)
			return
		}
	}
	for {
		n, ok := d.step(d.ex.Buffered())
		if n > 0 {
			d.ex.Discard(n)
			d.read += n
		}
		switch {
		case !ok || d.read > discardBytes:
			d.end(false)
			return
		case d.inBody && d.body.Done():
			d.end(d.keep)
			return
		case n == 0:
			d.ex.Await(d)
			return
		}
	}
}

// step takes what it can of b; 0: it needs more. false: this will not end well.
func (d *discard) step(b []byte) (n int, ok bool) {
	if d.inBody {
		_, n, err := d.body.Next(b)
		return n, err == nil
	}
	n, err := h1.ParseResponseHead(&d.resp, b, d.limits)
	if n == 0 || err != nil {
		return 0, err == nil
	}
	f, err := h1.ResponseFraming(&d.resp, d.method)
	switch {
	case err != nil:
		return n, false
	case d.resp.Status() >= 200:
		return n, d.begin(f, h1.ResponseKeepAlive(&d.resp))
	}
	d.interims++
	return n, d.resp.Status() != 101 && d.interims <= maxInterim
}

// begin begins a body. false: it is not worth reading.
func (d *discard) begin(f h1.Framing, keep bool) bool {
	d.body.Reset(f, d.limits)
	d.inBody, d.keep = true, keep
	if !keep || f.Kind == h1.UntilClose {
		d.ex.Last()
		return false
	}
	return f.Length <= discardBytes
}

func (d *discard) end(reusable bool) {
	ex := d.ex
	d.ex, d.inBody, d.keep, d.interims, d.read = nil, false, false, 0, 0
	d.resp.Reset()
	discards.Put(d)
	ex.Release(reusable)
}
