package scenario

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
)

// An http2Client is the client side of a case on HTTP/2.
type http2Client struct {
	*monitor
	cl     *testkit.Client
	wire   wire
	queues map[uint32][]testkit.Frame // what came and no step has seen, by stream
	err    error                      // why the connection ended
	done   map[uint32]bool            // streams whose response has ended
	quit   bool
	pumped chan struct{}
}

func newHTTP2Client(p *probe, conn net.Conn, https, handshake bool) *http2Client {
	c := &http2Client{
		monitor: newMonitor(), cl: testkit.NewClient(p, conn), wire: wire{https: https, next: 1},
		queues: make(map[uint32][]testkit.Frame), done: make(map[uint32]bool), pumped: make(chan struct{}),
	}
	if handshake {
		c.cl.Handshake()
	}
	go c.pump()
	return c
}

// pump sorts frames by stream, so that a case need not know in which order the
// streams get their turn.
func (c *http2Client) pump() {
	defer close(c.pumped)
	for {
		f, err := c.cl.Next()
		c.mu.Lock()
		quit := c.quit
		c.mu.Unlock()
		if err != nil && !testkit.Closed(err) && !quit && err.Error() == "nothing came" {
			continue
		}
		c.change(func() {
			if err != nil {
				c.err = err
				return
			}
			if f.End() || f.Type == http2.FrameRSTStream {
				c.done[f.Stream] = true
			}
			c.queues[f.Stream] = append(c.queues[f.Stream], f)
		})
		if err != nil {
			return
		}
	}
}

// send writes all items at once.
func (c *http2Client) send(items []item) error {
	var out []byte
	for _, it := range items {
		switch {
		case isRaw(it):
			s, err := rawText([]item{it})
			if err != nil {
				return err
			}
			out = append(out, s...)
		case it.text == "close":
			return c.closeAfter(out)
		default:
			b, err := c.wire.bytes(it)
			if err != nil {
				return err
			}
			out = append(out, b...)
		}
	}
	if _, err := c.cl.Conn.Write(out); err != nil {
		return items[0].errorf("sending: %v", err)
	}
	return nil
}

func (c *http2Client) closeAfter(out []byte) error {
	c.cl.Conn.Write(out)
	return c.cl.Conn.Close()
}

// next waits for the next frame of stream id.
func (c *http2Client) next(it item, id uint32) (f testkit.Frame, err error) {
	if !c.await(func() bool { return len(c.queues[id]) > 0 || c.err != nil || c.fatal(id) }) {
		return f, it.errorf("the client waited for stream %d and saw nothing; on others: %s", id, c.waiting())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if q := c.queues[id]; len(q) > 0 {
		f, c.queues[id] = q[0], q[1:]
		return f, nil
	}
	if c.err != nil {
		return f, it.errorf("the connection ended instead (%v); unseen: %s", c.err, c.unseen())
	}
	return f, it.errorf("the client waited for stream %d and saw instead: %s", id, c.unseen())
}

// fatal: a GOAWAY with an error came, so that nothing else will. With the lock
// held.
func (c *http2Client) fatal(id uint32) bool {
	return id != 0 && slices.ContainsFunc(c.queues[0], func(f testkit.Frame) bool {
		return f.Type == http2.FrameGoAway && f.Code() != http2.ErrCodeNo
	})
}

func (c *http2Client) waiting() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%s (connection: %v)", c.unseen(), c.err)
}

// unseen lists what no step has seen. With the lock held.
func (c *http2Client) unseen() string {
	s := ""
	for _, q := range c.queues {
		for i := range q {
			s += "\n    " + q[i].String()
		}
	}
	if s == "" {
		return "nothing"
	}
	return s
}

func (c *http2Client) see(it item) error {
	f, err := splitFrame(it)
	if err != nil {
		return err
	}
	id := max(f.id, 1)
	switch f.kind {
	case "reset":
		code, err := errorCode(f.args)
		if err != nil {
			return it.errorf("%v", err)
		}
		return c.seeReset(it, id, http2.ErrCode(code))
	case "malformed":
		return c.seeReset(it, id, http2.ErrCodeProtocol)
	case "truncated":
		return c.seeReset(it, id, http2.ErrCodeInternal)
	case "broken":
		return c.seeBroken(it, id)
	case "goaway":
		return c.seeGoAway(it, f)
	case "closed":
		if !c.await(func() bool { return c.err != nil }) {
			return it.errorf("the connection stays open")
		}
		return nil
	case "ping", "settings":
		return c.seeControl(it, f)
	case "nothing":
		return c.seeNothing(it)
	}
	w, err := wantResponse(it, f)
	if err != nil {
		return err
	}
	r, err := c.response(w)
	if err != nil {
		return err
	}
	return w.check(r)
}

func (c *http2Client) seeReset(it item, id uint32, code http2.ErrCode) error {
	got, err := c.next(it, id)
	if err == nil && (got.Type != http2.FrameRSTStream || got.Code() != code) {
		err = it.errorf("the client saw %v, want RST_STREAM %v", &got, code)
	}
	return err
}

// seeBroken takes any way of telling that a response is not whole, and no other.
func (c *http2Client) seeBroken(it item, id uint32) error {
	for {
		f, err := c.next(it, id)
		switch {
		case err != nil:
			return err
		case f.Type == http2.FrameRSTStream && f.Code() == http2.ErrCodeInternal:
			return nil
		case f.End() && f.Get(":status") != "502":
			return it.errorf("the client saw a whole response: %v", &f)
		case f.Get(":status") == "502":
			_, err := c.response(&wanted{it: it, stream: id, head: f.End()})
			return err
		}
	}
}

func (c *http2Client) seeGoAway(it item, f *frameLine) error {
	code, err := errorCode(f.args)
	if err != nil {
		return it.errorf("%v", err)
	}
	got, err := c.next(it, 0)
	for err == nil && got.Type == http2.FrameSettings {
		got, err = c.next(it, 0)
	}
	if err == nil && (got.Type != http2.FrameGoAway || got.Code() != http2.ErrCode(code)) {
		return it.errorf("the client saw %v, want GOAWAY %v", &got, http2.ErrCode(code))
	}
	if last, ok := f.opts["last"]; ok && err == nil && last != strconv.Itoa(int(got.LastStream())) {
		return it.errorf("GOAWAY names stream %d as the last, want %s", got.LastStream(), last)
	}
	return err
}

func (c *http2Client) seeControl(it item, f *frameLine) error {
	got, err := c.next(it, 0)
	for err == nil && f.kind == "ping" && got.Type == http2.FrameSettings {
		got, err = c.next(it, 0)
	}
	if err != nil {
		return err
	}
	typ := http2.FramePing
	if f.kind == "settings" {
		typ = http2.FrameSettings
	}
	if got.Type != typ || got.Flags.Has(http2.FlagPingAck) != f.is("ack") || f.text != "" && string(got.Payload) != f.text {
		return it.errorf("the client saw %v", &got)
	}
	return nil
}

// seeNothing makes sure that the server has looked at everything that was sent,
// and had nothing to say.
func (c *http2Client) seeNothing(it item) error {
	const mark = "nothing?"
	c.cl.Ping(mark)
	f, err := c.next(it, 0)
	for err == nil && f.Type == http2.FrameSettings {
		f, err = c.next(it, 0)
	}
	if err != nil {
		return err
	}
	if f.Type != http2.FramePing || string(f.Payload) != mark {
		return it.errorf("the client saw %v", &f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.unseen(); s != "nothing" {
		return it.errorf("the client saw %s", s)
	}
	return nil
}

// response collects the frames of one response.
func (c *http2Client) response(w *wanted) (*response, error) {
	r := new(response)
	if w.rest {
		r.status = w.status
	}
	for {
		switch {
		case w.unfinished && r.status != 0 && len(r.body) >= len(w.body):
			return r, nil
		case r.status >= 100 && r.status < 200:
			return r, nil
		}
		f, err := c.next(w.it, w.stream)
		if err != nil {
			return nil, fmt.Errorf("%w (so far: status %d, body %.200q)", err, r.status, r.body)
		}
		switch {
		case f.Type == http2.FrameHeaders && r.status == 0 && f.Get(":status") != "":
			r.status, _ = strconv.Atoi(f.Get(":status"))
			r.fields = h2Fields(f)
		case f.Type == http2.FrameHeaders && f.End():
			r.trailers = h2Fields(f)
		case f.Type == http2.FrameData:
			r.body += string(f.Payload)
		default:
			return nil, w.it.errorf("the client saw %v (so far: status %d, body %.200q)", &f, r.status, r.body)
		}
		if f.End() {
			if w.unfinished {
				return nil, w.it.errorf("the response ended: %v", &f)
			}
			return r, nil
		}
	}
}

// h2Fields leaves out pseudo-fields; names are as they came.
func h2Fields(f testkit.Frame) []field {
	var out []field
	for _, h := range f.Fields {
		if !h.IsPseudo() {
			out = append(out, field{h.Name, h.Value})
		}
	}
	return out
}

// finish gives up the streams that are still open and leaves, which makes the
// gateway end the connection when it has said everything; what no step has seen
// fails the case.
func (c *http2Client) finish() error {
	var out []byte
	c.mu.Lock()
	over := c.err != nil
	for _, id := range c.wire.opens {
		if !c.done[id] && id%2 == 1 {
			out = appendFrame(out, http2.FrameRSTStream, 0, id, []byte{0, 0, 0, 8})
		}
	}
	c.mu.Unlock()
	if !over {
		out = appendFrame(out, http2.FrameGoAway, 0, 0, make([]byte, 8))
		c.cl.Conn.Write(out) // the other end may be closing just now
	}
	if !c.await(func() bool { return c.err != nil }) {
		return errors.New("the connection stays open after the client's GOAWAY")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queues[0] = slices.DeleteFunc(c.queues[0], func(f testkit.Frame) bool {
		return f.Type == http2.FrameSettings || f.Type == http2.FrameGoAway && f.Code() == http2.ErrCodeNo
	})
	if s := c.unseen(); s != "nothing" {
		return fmt.Errorf("the client saw more than it should: %s", s)
	}
	return nil
}

func (c *http2Client) close() {
	c.change(func() { c.quit = true })
	c.cl.Close()
	<-c.pumped
}
