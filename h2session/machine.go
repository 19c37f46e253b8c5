package h2session

import (
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/vconn"
)

const (
	codeNo            = http2.ErrCodeNo
	codeProtocol      = http2.ErrCodeProtocol
	codeInternal      = http2.ErrCodeInternal
	codeFlowControl   = http2.ErrCodeFlowControl
	codeStreamClosed  = http2.ErrCodeStreamClosed
	codeFrameSize     = http2.ErrCodeFrameSize
	codeRefusedStream = http2.ErrCodeRefusedStream
	codeCancel        = http2.ErrCodeCancel
	codeCompression   = http2.ErrCodeCompression
	codeCalm          = http2.ErrCodeEnhanceYourCalm
)

// A machine is the HTTP/2 protocol for one session, without I/O, goroutines or a
// clock of its own: frames and times go in, and what is to be done comes out as
// control frames (ctrl), streams that are ready, and operations on virtual
// connections (ops). Session.mu guards it.
type machine struct {
	cfg     *Config
	account *account // the session's; nil in tests of the machine alone
	phase   phase

	streams streamTable // open and half-closed ones
	spare   *stream     // free list, linked by next
	nspare  int
	tombs   tombstones
	maxID   uint32 // highest stream the client opened

	zombies int // streams that were reset while their transaction runs
	live    int // virtual connections that are not closed on both ends

	opened, refused, peak uint64
	resetsIn, resetsOut   uint64

	// Control frames wait here, encoded, and go before any response.
	ctrl    []byte
	ready   readyQueue // have something to say
	pulled  *stream    // is having its turn; nil: none
	starved streamList // have DATA, but the session window is shut
	in      inflow
	out     outflow

	peer         peerSettings
	settingsSeen bool // the client's first SETTINGS
	ackPending   int  // SETTINGS of ours not acknowledged

	priorities
	floods
	goingAway
	clocks
	ops   ops
	count counters
}

// newMachine returns the machine of a session that begins now, with our SETTINGS
// queued: they are the server's connection preface (RFC 9113, section 3.4).
func newMachine(cfg *Config, now time.Time) *machine {
	m := &machine{
		cfg:  cfg,
		in:   newInflow(defaultWindow),
		out:  defaultWindow,
		peer: peerSettings{window: defaultWindow, frameSize: minFrameSize, headerTable: headerTable},
	}
	m.start(now)
	m.queueSettings()
	return m
}

// lookup finds the stream that a frame other than HEADERS names. A nil stream
// and nil error mean that the frame is to be ignored: the stream was closed, and
// the client may not have known.
func (m *machine) lookup(id uint32, ev streamEvent) (*stream, error) {
	if st := m.streams.get(id); st != nil {
		return st, nil
	}
	if id%2 == 0 || id > m.maxID {
		_, err := idle.step(id, ev)
		return nil, err
	}
	return nil, m.onClosed(id, ev)
}

// onClosed judges a frame on a closed stream by how that was closed (RFC 9113,
// section 5.1, "closed"): after our RST_STREAM the client's frames may have been
// on their way; after its own, or after END_STREAM both ways, they are errors.
func (m *machine) onClosed(id uint32, ev streamEvent) error {
	if transitions[closed][ev].allowed {
		return nil
	}
	switch m.tombs.find(id) {
	case resetByUs, resetForgotten:
		return nil
	case resetByClient:
		return streamError(id, codeStreamClosed, "frame after RST_STREAM")
	}
	_, err := closed.step(id, ev)
	return err
}

// newStream makes the state of a stream that begins with the next HEADERS.
func (m *machine) newStream(id uint32) *stream {
	st := m.spare
	if st == nil {
		st = &stream{resp: response{body: new(h1.BodyReader)}}
	} else {
		m.spare = st.next
		m.nspare--
		if st.whole {
			// Closed has been told, and the read loop, which alone might
			// have it still, is here.
			st.conn.Recycle()
		}
	}
	*st = stream{
		id:   id,
		out:  outflow(m.peer.window),
		in:   newInflow(m.streamWindow()),
		resp: response{stash: st.resp.stash[:0], body: st.resp.body},
	}
	return st
}

// maxSpare bounds the free list: enough for what comes and goes in a batch.
const maxSpare = 128

// recycle keeps st for a later stream once nothing refers to it: its virtual
// connection has told Closed, which is the last it tells, and who writes is
// not reading from it. The fields are cleared when it is used again.
func (m *machine) recycle(st *stream) {
	if st.live || st.pulling || st.opening || st.state != closed || m.nspare >= maxSpare {
		return
	}
	st.next, m.spare = m.spare, st
	m.nspare++
}

// finish closes a stream that ended in both directions: its slot is free.
func (m *machine) finish(st *stream, now time.Time) {
	m.release(st, now)
	m.disconnect(st, op{conn: st.link(), kind: opClose})
}

// reset closes a stream with RST_STREAM of either side. What it had received and
// not passed on is given back to the session window.
//
// why is for the transaction's record.
func (m *machine) reset(st *stream, code Code, by Initiator, why vconn.Reason, now time.Time) {
	if st.state == closed {
		return
	}
	st.state = closed
	m.release(st, now)
	if by == Local {
		m.tombs.note(st.id, resetByUs)
		m.queueReset(st.id, code)
	} else {
		m.tombs.note(st.id, resetByClient)
	}
	if st.live || st.opening {
		st.zombie = true
		m.zombies++
		m.disconnect(st, op{conn: st.link(), kind: opReset, code: code, why: why})
	}
}

// disconnect ends our side of st's virtual connection: now, or when the write
// loop no longer looks into its buffer.
func (m *machine) disconnect(st *stream, p op) {
	if st.pulling {
		st.later = p
		return
	}
	p.used, st.resp.used = st.resp.used, 0
	m.ops.add(p)
}

// release takes a closed stream out of everything.
func (m *machine) release(st *stream, now time.Time) {
	m.streams.remove(st)
	m.ready.remove(st)
	m.unstall(st, now)
	m.credit(nil, st.unread)
	st.unread = 0
	if m.streams.n == 0 {
		m.idleSince = now
		m.remind(now, m.cfg.sessionIdle())
		m.remind(now, restAfter)
		m.settle()
	}
}

// credit returns n received bytes to the client: to the session's window, and to
// the stream's when it can still use it.
func (m *machine) credit(st *stream, n int) {
	if n == 0 {
		return
	}
	if inc := m.in.give(n); inc > 0 {
		m.queueWindow(0, inc)
	}
	if st == nil || (st.state != open && st.state != halfClosedLocal) {
		return
	}
	if inc := st.in.give(n); inc > 0 {
		m.queueWindow(st.id, inc)
	}
}

// consumed is credit's driver: the transaction read n bytes of HTTP/1.1 text.
// Text is not DATA: a head and chunk lines are in between. Those are taken off
// first, so that credit is never given early, and none is missing when all was
// read.
func (m *machine) consumed(st *stream, n int) {
	skip := min(n, st.overhead)
	st.overhead -= skip
	n = min(n-skip, st.unread)
	st.unread -= n
	m.credit(st, n)
}

// connClosed notes that both ends of a stream's virtual connection are closed.
func (m *machine) connClosed(st *stream) {
	st.live = false
	m.live--
	if st.zombie {
		st.zombie = false
		m.zombies--
	}
	m.recycle(st)
}

// An op is something to do to a virtual connection once Session.mu is released,
// for vconn calls observers and those take it.
type op struct {
	conn *vconn.Conn
	kind uint8
	why  vconn.Reason
	code Code
	used int // bytes of the response that the last turn has consumed
}

const (
	opClose uint8 = iota
	opReset
)

// ops is a queue of op with room for the usual few, so that it need not allocate.
type ops struct {
	n     int
	first [2]op
	more  []op
}

func (o *ops) add(p op) {
	if p.conn == nil {
		return // not connected yet: openStream looks at the state after it is
	}
	if o.n < len(o.first) {
		o.first[o.n] = p
		o.n++
		return
	}
	o.more = append(o.more, p)
}

func (p op) do() {
	if p.kind == opReset {
		if p.used > 0 {
			p.conn.Discard(p.used)
		}
		p.conn.ResetFor(p.why, uint32(p.code))
		return
	}
	p.conn.CloseAfter(p.used)
}
