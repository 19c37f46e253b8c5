package h2session

import (
	"math/bits"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/vconn"
)

// What arrives, one method for each kind of frame. They change the machine and
// return a ConnError or StreamError for what the RFC forbids; the caller brings
// errors to fault.

// What a complete header block turned out to be.
type headersVerdict uint8

const (
	headersIgnored    headersVerdict = iota // of a stream we have reset
	headersOpen                             // opened a stream
	headersTrailers                         // ended one
	headersRefused                          // opened one that we do not take: REFUSED_STREAM is queued
	headersOverloaded                       // likewise, for want of memory
)

// recvHeaders judges the header block of stream id. st is set for headersOpen
// and headersTrailers.
func (m *machine) recvHeaders(id uint32, end bool, now time.Time) (st *stream, v headersVerdict, err error) {
	ev := recvHeaders
	if end {
		ev = recvHeadersEnd
	}
	if st = m.streams.get(id); st != nil {
		if st.tunnel {
			return nil, headersIgnored, streamError(id, codeProtocol, "HEADERS in a tunnel")
		}
		st.state, err = st.state.step(id, ev)
		return st, headersTrailers, err
	}
	if id%2 == 0 {
		return nil, 0, connError(codeProtocol, "a client's stream has an even id")
	}
	if id <= m.maxID {
		if id < m.maxID && m.tombs.find(id) == endedWell {
			return nil, 0, connError(codeProtocol, "stream ids must increase")
		}
		if err := m.onClosed(id, ev); err != nil {
			return nil, 0, err
		}
		return nil, headersIgnored, m.spend(FloodUseless, 1, now)
	}
	if err := m.chargeStream(now); err != nil {
		return nil, 0, err
	}
	m.maxID = id
	m.opened++
	if m.phase == leaving || m.full() {
		m.refuse(id)
		return nil, headersRefused, nil
	}
	if m.account.full() {
		m.refuse(id)
		return nil, headersOverloaded, nil
	}
	st = m.newStream(id)
	st.state, _ = idle.step(id, ev)
	m.streams.put(st)
	m.peak = max(m.peak, uint64(m.streams.n))
	return st, headersOpen, nil
}

// full reports whether one more stream is too many. A stream that was reset is
// not open, but its transaction may still run; counting those too, with some
// slack for honest cancels, keeps open-and-reset from multiplying work
// (CVE-2023-44487).
func (m *machine) full() bool {
	limit := m.cfg.maxStreams()
	return m.streams.n >= limit || m.streams.n+m.zombies >= 2*limit
}

// refuse answers a stream that nothing was done for; it is safe to retry (RFC
// 9113, section 8.7).
func (m *machine) refuse(id uint32) {
	m.refused++
	m.tombs.note(id, resetByUs)
	m.queueReset(id, codeRefusedStream)
}

// recvData accounts a DATA frame: length is that of its payload, which counts
// against the windows, and data of it is not padding. st is nil when the frame
// is to be dropped.
func (m *machine) recvData(id uint32, length, data int, end bool) (*stream, error) {
	ev := recvData
	if end {
		ev = recvDataEnd
	}
	if !m.in.take(length) {
		return nil, connError(codeFlowControl, "DATA exceeds the session window")
	}
	st, err := m.lookup(id, ev)
	if st == nil {
		m.credit(nil, length)
		return nil, err
	}
	next, err := st.state.step(id, ev)
	if err == nil && !st.in.take(length) {
		err = streamError(id, codeFlowControl, "DATA exceeds the stream window")
	}
	if err == nil {
		err = st.request.account(id, data, end)
	}
	if err != nil {
		m.credit(nil, length)
		return nil, err
	}
	st.state = next
	m.credit(st, length-data)
	st.unread += data
	st.overhead += st.request.overheadOf(data, end)
	return st, nil
}

// ended moves on a stream whose END_STREAM was accepted: when our side had ended
// before, it is closed.
func (m *machine) ended(st *stream, now time.Time) {
	if st.state == closed && m.streams.get(st.id) == st {
		m.finish(st, now)
	}
}

// recvReset closes a stream that the client gave up.
func (m *machine) recvReset(id uint32, code Code, now time.Time) error {
	if id == 0 {
		return connError(codeProtocol, "RST_STREAM on stream 0")
	}
	st, err := m.lookup(id, recvReset)
	if err != nil {
		return err
	}
	if err := m.spend(FloodResets, 1, now); err != nil {
		return err
	}
	m.resetsIn++
	m.count.resetIn(code)
	if st != nil {
		m.reset(st, code, Remote, vconn.ReasonLeft, now)
	}
	return nil
}

// recvWindow opens a send window.
func (m *machine) recvWindow(id uint32, inc uint32, now time.Time) error {
	if id == 0 {
		if inc == 0 {
			return connError(codeProtocol, "WINDOW_UPDATE of 0")
		}
		if !m.out.add(int64(inc)) {
			return connError(codeFlowControl, "the session window exceeds 2^31-1")
		}
		m.unstarve(now)
		return nil
	}
	st, err := m.lookup(id, recvWindow)
	switch {
	case err != nil || st == nil:
		return err
	case inc == 0:
		return streamError(id, codeProtocol, "WINDOW_UPDATE of 0")
	case !st.out.add(int64(inc)):
		return streamError(id, codeFlowControl, "the stream window exceeds 2^31-1")
	}
	m.reopened(st, now)
	return nil
}

// reopened makes a stream ready again whose own window was shut and is not now.
func (m *machine) reopened(st *stream, now time.Time) {
	if st.stall == stallStream && st.out > 0 {
		m.unstall(st, now)
		m.wake(st)
	}
}

// unstarve makes the streams ready that waited for the session window.
func (m *machine) unstarve(now time.Time) {
	if m.out <= 0 {
		return
	}
	for st := m.starved.pop(); st != nil; st = m.starved.pop() {
		m.unstall(st, now)
		m.ready.push(st)
	}
}

// recvPing answers a PING. The answer to ours, which asks whether the first
// GOAWAY has arrived, lets the drain go on.
func (m *machine) recvPing(ack bool, data [8]byte, now time.Time) error {
	switch {
	case !ack:
		if err := m.chargePing(now); err != nil {
			return err
		}
		m.queuePing(true, data)
	case m.phase == draining && data == drainPing:
		m.leave(now)
	default:
		return m.spend(FloodAcks, 1, now)
	}
	return nil
}

// recvPriority judges a PRIORITY frame. The tree of RFC 7540 is ignored (RFC
// 9113, section 5.3.2), but a stream that depends on itself is still refused.
func (m *machine) recvPriority(id, dependency uint32) error {
	switch {
	case id == 0:
		return connError(codeProtocol, "PRIORITY on stream 0")
	case id != dependency:
		return nil
	case m.streams.get(id) != nil:
		return streamError(id, codeProtocol, "a stream depends on itself")
	case id > m.maxID: // RST_STREAM must not be sent for an idle stream (6.4)
		return connError(codeProtocol, "an idle stream depends on itself")
	}
	return nil
}

// recvGoAway notes that the client is about to leave. Its open streams are
// finished; then there is nothing to wait for.
func (m *machine) recvGoAway(code Code, now time.Time) error {
	m.count.goAway("in", code, "client")
	if m.codeIn != "" {
		return m.spend(FloodUseless, 1, now)
	}
	m.codeIn = code.String()
	m.clientLeaves()
	return nil
}

// A requestBody is how a stream's DATA becomes an HTTP/1.1 body. It belongs to
// the read loop.
type requestBody struct {
	chunked   bool
	length    int64 // content-length, -1 without one
	got       int64 // DATA so far
	held      byte  // the last byte of a message that is complete but for END_STREAM
	hasHeld   bool
	discarded bool // the transaction reads no more
}

// account adds n bytes of DATA. A total that differs from content-length is a
// malformed request (RFC 9113, section 8.1.1).
func (b *requestBody) account(id uint32, n int, end bool) error {
	b.got += int64(n)
	if b.chunked || b.length < 0 {
		return nil
	}
	if b.got > b.length || (end && b.got != b.length) {
		return streamError(id, codeProtocol, "DATA does not add up to content-length")
	}
	return nil
}

// overheadOf is how much longer than its DATA the text of the frame is: the
// chunk-size line in hexadecimal, and two line ends; the last chunk.
func (b *requestBody) overheadOf(n int, end bool) int {
	if !b.chunked {
		return 0
	}
	o := 0
	if n > 0 {
		o = (bits.Len(uint(n))+3)/4 + 4
	}
	if end {
		o += len("0\r\n\r\n")
	}
	return o
}

// A setting as it arrives.
type setting struct {
	id  http2.SettingID
	val uint32
}
