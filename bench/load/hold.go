package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// A Hold is streams that are left open, to see what each of them costs.
type Hold struct {
	// Streams on one connection; at most 100, which every gateway allows.
	Streams int
	// Path is asked for. With Post the request has a body that never comes;
	// otherwise its response is not let through, by a window of 0.
	Path string
	Post bool
}

// Held is a connection with its streams open. Close must be called.
type Held struct {
	conn net.Conn
	done chan struct{} // closed when reading has ended
	// answered counts HEADERS, ended what ended a stream or the connection.
	answered, ended atomic.Int32
}

// Hold opens a connection and its streams.
func (c *Client) Hold(ctx context.Context, addr string, h Hold) (*Held, error) {
	conn, err := c.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	held := &Held{conn: conn, done: make(chan struct{})}
	_ = conn.SetWriteDeadline(time.Now().Add(requestWithin))
	if _, err := conn.Write(c.holding(addr, h)); err != nil {
		Abandon(conn)
		return nil, err
	}
	go held.read()
	return held, nil
}

// holding is everything such a client sends.
func (c *Client) holding(authority string, h Hold) []byte {
	// SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113, 6.5.2).
	b := frame([]byte(preface), frameSettings, 0, 0, []byte{0, 4, 0, 0, 0, 0})
	method, flags := byte(get), byte(flagEndHeaders|flagEndStream)
	if h.Post {
		method, flags = post, flagEndHeaders
	}
	block := c.block(method, authority, h.Path)
	for i := range h.Streams {
		b = frame(b, frameHeaders, flags, uint32(2*i+1), block)
	}
	return b
}

// read answers SETTINGS and counts until the connection ends.
func (h *Held) read() {
	defer close(h.done)
	var head [9]byte
	for {
		if _, err := io.ReadFull(h.conn, head[:]); err != nil {
			return
		}
		n := int64(binary.BigEndian.Uint32(head[:]) >> 8)
		if _, err := io.CopyN(io.Discard, h.conn, n); err != nil {
			return
		}
		switch kind, flags := head[3], head[4]; {
		case kind == frameSettings && flags&flagAck == 0:
			_, _ = h.conn.Write(frame(nil, frameSettings, flagAck, 0, nil))
		case kind == frameReset || kind == frameGoAway:
			h.ended.Add(1)
		case kind == frameHeaders:
			h.answered.Add(1)
			if flags&flagEndStream != 0 {
				h.ended.Add(1)
			}
		}
	}
}

// Check says whether all streams are as they should be: open, and answered or
// not.
func (h *Held) Check(want Hold) error {
	answers := want.Streams
	if want.Post {
		answers = 0
	}
	select {
	case <-h.done:
		return fmt.Errorf("the connection was closed")
	default:
	}
	if a, e := int(h.answered.Load()), int(h.ended.Load()); a != answers || e != 0 {
		return fmt.Errorf("of %d streams %d have a response head (want %d) and %d have ended (want 0)", want.Streams, a, answers, e)
	}
	return nil
}

// Close abandons the connection and its streams.
func (h *Held) Close() {
	Abandon(h.conn)
	<-h.done
}
