package h2session

import (
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/vconn"
)

const (
	// batchSize is about how much one conn.Write carries: enough to make its
	// cost small beside that of the bytes, little enough that control frames
	// do not wait long.
	batchSize = 64 << 10
	// sliceSize is how much of one stream goes in a turn: with its frame header
	// it fills a TLS record, and a batch of them ends with a full one.
	sliceSize = 16<<10 - frameHeaderLen
)

// wake puts a stream into the ready list because its response may have something
// to say.
func (m *machine) wake(st *stream) {
	switch {
	case st.state == closed || st.state == idle:
	case st.pulling || st.opening:
		st.again = true
	case st.list != nil || st.stall != stallNone:
		// Queued already, or waits for a window, which is what its data has
		// to wait for too.
	default:
		st.again = false
		m.ready.push(st)
	}
}

// next takes the stream whose turn it is and the number of DATA bytes that it may
// send, which may be 0 or less: heads need no window.
func (m *machine) next() (*stream, int) {
	st := m.ready.pop()
	if st == nil {
		return nil, 0
	}
	st.pulling, st.again = true, false
	m.pulled = st
	return st, int(min(int64(st.out), int64(m.out), sliceSize, int64(m.peer.frameSize)))
}

// sent accounts what pull appended for st, and decides where st waits next. The
// stream may have been closed meanwhile: what was appended is sent anyway, for
// the HPACK table has moved and the window is used.
func (m *machine) sent(st *stream, p *pulled, now time.Time) {
	m.endTurn()
	m.count.framesOut[http2.FrameHeaders] += uint64(p.heads)
	m.count.framesOut[http2.FrameContinuation] += uint64(p.conts)
	m.count.framesOut[http2.FrameData] += uint64(p.frames)
	m.out -= outflow(p.data)
	st.out -= outflow(p.data)
	if st.state == closed {
		m.recycle(st)
		return
	}
	if p.priority != (signal{}) {
		m.prioritize(st, p.priority.over(st.rank))
	}
	m.advance(st, p)
	if err := m.chargeTurn(st, p, now); err != nil {
		m.failFor(err, now)
		m.recycle(st)
		return
	}
	switch {
	case p.failed:
		m.reset(st, p.code, Local, vconn.ReasonInternal, now) // unless the transaction reset it
	case p.end && p.half && st.state != closed:
		m.ready.push(st) // once more: the transaction may have left already
	case p.end || p.left:
		m.endResponse(st, now)
	case p.more:
		m.queue(st, now)
	case st.again:
		m.ready.push(st)
	}
	m.recycle(st)
}

// endTurn ends the turn that next began, if any; so it must when who writes
// ends in the middle of one.
func (m *machine) endTurn() {
	st := m.pulled
	if st == nil {
		return
	}
	m.pulled = nil
	st.pulling = false
	if st.later.conn != nil {
		m.disconnect(st, st.later)
		st.later = op{}
	}
}

// advance brings the frames of a turn to the stream's state. That one of them is
// refused cannot happen.
func (m *machine) advance(st *stream, p *pulled) {
	step := func(n int, ev streamEvent) {
		if n == 0 {
			return
		}
		next, err := st.state.step(st.id, ev)
		if err != nil {
			panic(err)
		}
		st.state = next
	}
	heads, datas := p.heads, p.frames
	if p.end && p.trailer {
		heads--
		step(heads, sendHeaders)
		step(datas, sendData)
		step(1, sendHeadersEnd)
		return
	}
	step(heads, sendHeaders)
	if p.end {
		step(datas-1, sendData)
		step(1, sendDataEnd)
		return
	}
	step(datas, sendData)
}

// endResponse closes a stream whose response is complete. A request that is not
// complete by then has no reader any more: the client is told to stop sending it,
// without blame (RFC 9113, section 8.1).
func (m *machine) endResponse(st *stream, now time.Time) {
	if st.state == closed {
		m.finish(st, now)
		return
	}
	st.state = closed
	m.finish(st, now)
	m.tombs.note(st.id, resetByUs)
	m.queueReset(st.id, codeNo)
}

// queue makes a stream that has DATA wait: for its own window, for the session's,
// or for its turn.
func (m *machine) queue(st *stream, now time.Time) {
	switch {
	case st.out <= 0:
		st.stall, st.stalledAt = stallStream, now
		m.remind(now, m.cfg.writeStall())
	case m.out <= 0:
		st.stall, st.stalledAt = stallSession, now
		m.starved.push(st)
		if m.starvedSince.IsZero() {
			m.starvedSince = now
			m.remind(now, m.cfg.writeStall())
		}
	default:
		m.ready.push(st)
	}
}

// unstall ends a wait for a window and counts how long it was.
func (m *machine) unstall(st *stream, now time.Time) {
	if st.stall == stallNone {
		return
	}
	// The read loop's time is that of its last Read, which may be earlier.
	m.count.stalled[st.stall] += max(0, now.Sub(st.stalledAt))
	st.stall = stallNone
	if m.starved.head == nil {
		m.starvedSince = time.Time{}
	}
}

// wantsWrite reports whether there is anything to fill a batch with.
func (m *machine) wantsWrite() bool { return len(m.ctrl) > 0 || !m.ready.empty() }
