package httpsm

import (
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/h1"
)

// A response that its client does not take waits where it is cheapest: in the
// origin's socket. Before the client has taken anything of the body, all that is
// held for it is what the virtual connection has taken.

const (
	// leastPart is how long body bytes are that are worth being written from
	// where they are.
	leastPart = 8 << 10
	// leastRead is how much room is worth a read.
	leastRead = 4 << 10
	// leastSpared is the memory worth to be given back for a wait.
	leastSpared = 4 << 10
)

// awaitRoom waits for a client that has not taken anything of the body yet, and
// left no room for more: perhaps it will not for long. The transaction gives back
// meanwhile what it needs for reading and writing only. Once a body flows, the
// next piece is read before there is room for it.
func (t *Txn) awaitRoom() event {
	if t.flowing || t.cl.vc == nil || len(t.ex.Buffered()) > 0 {
		return event{kind: evNone}
	}
	sparing, ok := t.ex.(origin.Sparing)
	if !ok {
		t.flowing = true
		return event{kind: evNone}
	}
	unread, room := t.cl.vc.Ahead()
	if t.flowing = int64(t.cl.bytesOut)-int64(unread) > t.headBytes; t.flowing {
		sparing.AtMost(0)
		return event{kind: evNone}
	}
	if room < leastRead {
		sparing.Spare()
		if cap(t.respOut) > leastSpared {
			t.respOut = nil
		}
		room = 0 // it is as if the body had flowed all the time
		if err := t.cl.awaitDrained(int(int64(t.cl.bytesOut)-t.headBytes)-1, t.m.cfg.Timeouts.WriteStall); err != nil {
			return clientFailed(err)
		}
		t.flowing = true
	}
	sparing.AtMost(room)
	return event{kind: evNone}
}

// awaitDrained waits until the client has left at most most bytes unread; as
// write, it gives up when nothing was taken for a span of stall.
func (c *client) awaitDrained(most int, stall time.Duration) error {
	for {
		before := c.consumed()
		if stall > 0 {
			c.vc.SetWriteDeadline(time.Now().Add(stall))
		}
		err := c.vc.AwaitDrained(most)
		switch {
		case err == nil:
			c.vc.SetWriteDeadline(time.Time{}) // it was for this wait only
			return nil
		case !isTimeout(err) || c.consumed() == before:
			return err
		}
	}
}

// inParts: data, the beginning of a longer body, is in the origin's buffer and
// need not be copied to respOut, so that only the crew of a long body waits.
func (t *Txn) inParts(data []byte) bool {
	return t.inline && len(data) >= leastPart && t.out.kind == h1.Length && t.transform == nil && t.respBody.Remaining() > 0
}

// putParts writes respOut and behind it data, from where they are. What finds no
// room is left in respOut.
func (t *Txn) putParts(data []byte) event {
	if t.rec.FirstByte.IsZero() {
		t.rec.FirstByte = t.now
	}
	t.bodyOut += int64(len(data))
	before := len(t.respOut)
	n, err := t.cl.vc.TryWriteParts(t.respOut, data, t.later)
	t.cl.bytesOut += uint64(n)
	lost := min(t.bodyOut, int64(before+len(data)-n))
	t.rec.BytesOut += t.bodyOut - lost
	t.bodyOut = lost
	if err != nil {
		return clientFailed(err)
	}
	t.respOut = t.respOut[:copy(t.respOut, t.respOut[min(n, before):])]
	t.respOut = append(t.respOut, data[max(0, n-before):]...)
	return event{kind: evNone}
}
