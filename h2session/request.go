package h2session

import (
	"fmt"
	"time"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/vconn"
)

// The read loop's way from a header block and DATA to HTTP/1.1 text in a virtual
// connection. Nothing here is called with Session.mu held.

// endBlock acts on a complete header block.
func (s *Session) endBlock() error {
	b, id, end := s.block, s.block.id, s.block.end
	defer s.forget()
	if err := b.finish(); err != nil {
		return err
	}
	b.hold(&s.account, 0)
	st, verdict, txn, err := s.judgeHeaders(id, end)
	if err != nil {
		return err
	}
	switch verdict {
	case headersOpen:
		return s.openStream(st, txn)
	case headersTrailers:
		return s.recvTrailers(st)
	case headersRefused:
		r := s.refusal(id, txn)
		r.H2Error, r.Outcome, r.Reason = codeRefusedStream.String(), outcomeRequestDenied, "too many streams"
		if s.isLeaving() {
			r.Outcome, r.Reason = outcomeDraining, "the session is being closed"
		}
		s.refuse(r)
	case headersOverloaded:
		r := s.refusal(id, txn)
		r.H2Error, r.Outcome, r.Reason = codeRefusedStream.String(), outcomeOverloaded, "no memory is left (limits.memory)"
		s.refuse(r)
	}
	return nil
}

// forget drops what an unusually large head has left behind.
func (s *Session) forget() {
	const usual = 16 << 10
	s.block.forget()
	if cap(s.req.cookie) > usual {
		s.req.cookie = nil
	}
	if cap(s.text) > 2*usual {
		s.text = nil
	}
}

func (s *Session) judgeHeaders(id uint32, end bool) (*stream, headersVerdict, uint64, error) {
	s.lock()
	defer s.unlock()
	s.take()
	s.m.headSince = time.Time{}
	if err := s.m.chargeNames(s.block.noName, s.in.now); err != nil {
		return nil, 0, 0, err
	}
	st, verdict, err := s.m.recvHeaders(id, end, s.in.now)
	if verdict == headersOpen {
		st.rank = s.m.opening(id, s.block)
		st.sess, st.opening = s, true
	}
	return st, verdict, s.m.opened, err
}

// openStream answers the request that opened st, or gives it to a transaction.
func (s *Session) openStream(st *stream, txn uint64) error {
	b, req := s.block, &s.req
	switch {
	case b.longTarget && b.bad == "":
		return s.reply(st, txn, 414, outcomeRequestError, "the request target is longer than the limit")
	case b.manyFields && b.bad == "":
		return s.reply(st, txn, 431, outcomeRequestError, "more fields than the limit")
	case b.tooMany && b.bad == "":
		return s.reply(st, txn, 431, outcomeRequestError, "the head is larger than the limit")
	}
	req.text = s.text[:0]
	reason := s.translate(b, req)
	s.text, req.text = req.text, nil
	if reason == refusedConnect {
		return s.reply(st, txn, 405, outcomeRequestDenied, reason)
	} else if reason != "" {
		s.disown(st)
		r := s.refusal(st.id, txn)
		r.H2Error, r.Outcome, r.Reason = codeProtocol.String(), outcomeRequestError, reason
		s.countRefused()
		s.refuse(r)
		return streamError(st.id, codeProtocol, reason)
	}
	if !req.known() { // RFC 9220, section 3
		return s.reply(st, txn, 501, outcomeRequestDenied, "the protocol that CONNECT asks for is not served")
	}
	st.request = requestBody{chunked: req.chunked, length: req.length}
	st.tunnel, st.resp.tunnel = req.protocol != "", req.protocol != ""
	st.resp.head = b.pseudo[pseudoMethod] == "HEAD"
	if s.explain {
		st.resp.notes = s.explainRequest(b, req)
		explainTunnel(st.resp.notes, req)
	}
	return s.connect(st, txn, s.text)
}

// connect opens st's virtual connection with the request's head in it. The
// transaction may run at once, in this goroutine: it can have answered, and
// ended, when Accept returns.
func (s *Session) connect(st *stream, txn uint64, head []byte) error {
	o := vconn.Options{
		Addr: s.cfg.Addr, Identity: s.sess.Identity, Session: s.sess, Request: s.words(),
		Stream: st.id, Txn: txn, Observer: st, ActiveToPassive: s.bound(st, len(head)), PassiveToActive: responseBound(st), Meter: (*connMeter)(&s.account),
		Head: head, Notes: st.resp.notes,
		Events: vconn.OnReadable | vconn.OnClosed,
	}
	if o.Ended = s.block.end; !o.Ended {
		o.Events |= vconn.OnConsumed
		st.overhead = len(head) // before it can be consumed
		if st.request.length == 0 {
			// Complete as HTTP/1.1, but not as HTTP/2 until END_STREAM comes.
			st.request.hold(head[len(head)-1])
			o.Head = head[:len(head)-1]
		}
	}
	later := !o.Ended && !st.tunnel && st.request.canWait()
	c, err := s.connector.Prepare(&o)
	if err != nil {
		s.disown(st)
		r := s.refusal(st.id, txn)
		r.H2Error, r.Outcome, r.Reason = codeInternal.String(), outcomeInternal, err.Error()
		s.countRefused()
		s.refuse(r)
		return streamError(st.id, codeInternal, "no virtual connection")
	}
	st.conn, st.resp.src, st.whole = c, c, o.Ended
	if later {
		s.beginLater(st)
	} else {
		s.connector.AcceptLater(c, s.turns.later)
	}
	s.opened = st
	return nil
}

// handOver is take in a round of its own, for when the next frame of a request is
// not here yet.
func (s *Session) handOver() {
	s.lock()
	defer s.unlock()
	s.take()
}

// take hands to the machine what the read loop has gathered for it since its last
// round: the frames it has counted, and the stream it has opened. With the lock
// held.
func (s *Session) take() {
	for typ, n := range s.taken {
		s.m.count.framesIn[typ] += n
	}
	s.taken = [2]uint64{}
	if st := s.opened; st != nil {
		s.opened = nil
		s.connected(st)
	}
}

// connected joins st and its virtual connection. With the lock held.
func (s *Session) connected(st *stream) {
	m := s.m
	st.opening = false
	st.live = true
	m.live++
	s.account.add(streamCost)
	if st.state == closed { // while Open ran, when there was nothing to reset
		m.ops.add(op{conn: st.conn, kind: opReset, code: codeCancel})
	}
	if st.again {
		m.wake(st)
	}
}

// disown says that st gets no virtual connection.
func (s *Session) disown(st *stream) {
	s.lock()
	defer s.unlock()
	s.disowned(st)
}

func (s *Session) disowned(st *stream) {
	st.opening = false
	if st.zombie {
		st.zombie = false
		s.m.zombies--
	}
}

// bound is the room that st's request needs at most, so that writing it never
// waits: its head, the largest window (a DATA byte takes up to six bytes as a
// chunk of its own), trailers, and the last chunk.
func (s *Session) bound(st *stream, head int) int {
	window := max(s.cfg.streamWindow(), defaultWindow)
	if st.request.chunked {
		window *= 6
	}
	return head + window + s.cfg.requestHead() + 64
}

// closedWindow is the most that a client with a closed window has us hold of a
// response: a head and the first read of a body; openWindow is the most otherwise:
// a head and a body of 64 KiB.
const (
	closedWindow = 20 << 10
	openWindow   = 66 << 10
)

// responseBound is how much of st's response may wait for the client. The write
// loop does not know st yet.
func responseBound(st *stream) int {
	if st.out < closedWindow/2 {
		return closedWindow
	}
	return openWindow
}

// recvBody passes DATA on that the machine has accepted.
func (s *Session) recvBody(st *stream, data []byte, end bool) {
	b := &st.request
	if st.conn == nil || b.discarded {
		s.discard(st)
		return
	}
	switch {
	case b.chunked:
		s.text = s.text[:0]
		if len(data) > 0 {
			s.text = h1.AppendChunk(s.text, data)
		}
		if end {
			s.text = h1.AppendLastChunk(s.text, nil)
		}
		s.put(st, s.text)
	case !end && b.got == b.length && len(data) > 0:
		// The origin must not see a complete request before we know that
		// it is one: more DATA would make it malformed.
		b.hold(data[len(data)-1])
		s.put(st, data[:len(data)-1])
	default:
		s.put(st, data)
	}
	switch {
	case end:
		s.endBody(st)
	case st.late && b.got > shortBody:
		s.begin(st)
	}
}

// recvTrailers ends a request with trailers. A body with content-length has no
// place for them in HTTP/1.1; they are dropped.
func (s *Session) recvTrailers(st *stream) error {
	b := &st.request
	if s.block.tooMany {
		return streamError(st.id, codeCalm, "trailers too large")
	}
	if reason := s.block.trailers(&s.fields); reason != "" {
		return streamError(st.id, codeProtocol, reason)
	}
	if err := b.account(st.id, 0, true); err != nil {
		return err
	}
	if st.conn != nil && st.conn.Notes() != nil {
		explainTrailers(st.conn.Notes(), s.block, b.chunked)
	}
	if st.conn != nil && !b.discarded && b.chunked {
		s.text = h1.AppendLastChunk(s.text[:0], &s.fields)
		s.put(st, s.text)
	}
	s.endBody(st)
	return nil
}

// endBody tells the transaction that the request is complete.
func (s *Session) endBody(st *stream) {
	b := &st.request
	if st.conn != nil {
		if b.hasHeld {
			b.hasHeld = false
			s.put(st, []byte{b.held})
		}
		st.conn.CloseWrite()
	}
	s.ended(st)
	s.begin(st)
}

func (s *Session) ended(st *stream) {
	s.lock()
	defer s.unlock()
	s.m.ended(st, s.in.now)
}

func (b *requestBody) hold(c byte) { b.held, b.hasHeld = c, true }

// put writes text into st's virtual connection. It cannot be short: the bound
// was made for the window. When the transaction reads no more, the rest of the
// body is taken from the client and dropped.
func (s *Session) put(st *stream, text []byte) {
	if len(text) == 0 || st.request.discarded {
		return
	}
	n, err := st.conn.TryWrite(text)
	switch {
	case err != nil:
		st.request.discarded = true
		s.discard(st)
	case n < len(text):
		panic(fmt.Sprintf("stream %d: %d of %d bytes fit into the virtual connection", st.id, n, len(text)))
	}
}

// discard gives the credit back for everything that st has received: nobody is
// going to read it.
func (s *Session) discard(st *stream) {
	s.lock()
	defer s.unlock()
	n := st.unread
	st.unread = 0
	s.m.credit(st, n)
}

// words are what a log says of the request in s.block, as far as it is known.
// They may hold anything.
func (s *Session) words() vconn.Request {
	b := s.block
	host := b.pseudo[pseudoAuthority]
	for i := 0; host == "" && i < len(b.fields); i++ {
		if b.fields[i].id == h1.NameHost {
			host = b.fields[i].lasting(b.fields[i].value)
		}
	}
	return vconn.Request{Method: b.pseudo[pseudoMethod], Host: host, Path: b.pseudo[pseudoPath], UserAgent: b.agent}
}

func (s *Session) refusal(id uint32, txn uint64) *Refusal {
	w := s.words()
	return &Refusal{
		Session: s.sess, Stream: id, Txn: txn, Time: time.Now(),
		Method: printable(w.Method), Host: printable(w.Host), Path: printable(w.Path), UserAgent: printable(w.UserAgent),
	}
}

// printable makes text from a client fit for a log: control characters and what
// is not ASCII become "?".
func printable(v string) string {
	const most = 1024
	v = v[:min(len(v), most)]
	for i := range len(v) {
		if v[i] < ' ' || v[i] > '~' {
			b := []byte(v)
			for j, c := range b {
				if c < ' ' || c > '~' {
					b[j] = '?'
				}
			}
			return string(b)
		}
	}
	return v
}

func (s *Session) refuse(r *Refusal) {
	if s.explain {
		s.logRefusal(r)
	}
	if f := s.cfg.OnRefusal; f != nil {
		f(r)
	}
}

func (s *Session) countRefused() {
	s.mu.Lock()
	s.m.refused++
	s.mu.Unlock()
}

func (s *Session) isLeaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m.phase == leaving
}
