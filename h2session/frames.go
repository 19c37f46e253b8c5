package h2session

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// The read loop's view of frames: what section 6 of RFC 9113 says about each
// payload. What a frame means for the session is the machine's business.

const preface = http2.ClientPreface

// readPreface checks the client's connection preface (RFC 9113, section 3.4), or
// what is left of it to be checked.
// The SETTINGS behind it are checked with the frames.
func (s *Session) readPreface() error {
	if s.prefaced == len(preface) {
		return nil
	}
	if reason := inadequate(s.sess.TLS); reason != "" {
		return s.fault(connError(http2.ErrCodeInadequateSecurity, reason))
	}
	for ; s.prefaced < len(preface); s.prefaced++ {
		// A byte at a time, so that what is not HTTP/2 is not waited for.
		c, err := s.in.next(1)
		if err != nil && s.prefaced > 0 {
			err = midFrame(err)
		}
		if err != nil {
			return err
		}
		if c[0] != preface[s.prefaced] {
			return s.fault(connError(codeProtocol, "no HTTP/2 connection preface"))
		}
	}
	return nil
}

// recvFrame acts on one frame.
func (s *Session) recvFrame(f *frame) error {
	switch f.typ {
	case http2.FrameData, http2.FrameHeaders, http2.FrameContinuation:
		if err := s.admit(f); err != nil {
			return err
		}
	}
	switch f.typ {
	case http2.FrameData:
		return s.onData(f)
	case http2.FrameHeaders:
		return s.onHeaders(f)
	case http2.FrameContinuation:
		return s.onFragment(f)
	}
	s.lock()
	defer s.unlock()
	if err := s.admitted(f); err != nil {
		return err
	}
	return s.onControl(f)
}

// admit counts the frame, holds the reader back while too many answers wait for
// the client to read them, and checks the order of frames. The frames of
// requests are taken without the lock; the round that judges them counts them.
func (s *Session) admit(f *frame) error {
	if f.typ <= http2.FrameHeaders && !s.held.Load() {
		s.taken[f.typ]++
		return s.inOrder(f)
	}
	s.lock()
	defer s.unlock()
	return s.admitted(f)
}

// holds reports whether frames have to be looked at with the lock held before
// they are taken: the session is closing, or the reader has to wait.
func (m *machine) holds() bool { return m.phase == closing || len(m.ctrl) > maxControl }

// holdsReader reports whether the reader has to wait.
func (m *machine) holdsReader() bool { return m.phase != closing && len(m.ctrl) > maxControl }

// admitted is admit with the lock held.
func (s *Session) admitted(f *frame) error {
	s.take()
	m := s.m
	if m.holdsReader() {
		if err := m.spend(FloodQueued, 1, s.in.now); err != nil {
			return err
		}
	}
	for m.holdsReader() && !s.turns.polled { // else before the next frame
		s.reader.Wait()
	}
	if m.phase == closing {
		return errClosing
	}
	m.count.frameIn(f.typ)
	return s.inOrder(f)
}

// inOrder checks what is the read loop's to know.
func (s *Session) inOrder(f *frame) error {
	switch {
	case !s.m.settingsSeen && (f.typ != http2.FrameSettings || f.flags.Has(http2.FlagSettingsAck)):
		return connError(codeProtocol, "the first frame is not SETTINGS")
	case s.block.id != 0 && (f.typ != http2.FrameContinuation || f.id != s.block.id):
		return connError(codeProtocol, "a header block is interrupted")
	case s.block.id == 0 && f.typ == http2.FrameContinuation:
		return connError(codeProtocol, "CONTINUATION without HEADERS")
	}
	return nil
}

func (s *Session) onData(f *frame) error {
	if f.id == 0 {
		return connError(codeProtocol, "DATA on stream 0")
	}
	length := len(f.payload)
	if err := f.unpad(); err != nil {
		return err
	}
	end := f.flags.Has(http2.FlagDataEndStream)
	st, err := s.judgeData(f.id, length, len(f.payload), end)
	if err != nil || st == nil {
		return err
	}
	s.recvBody(st, f.payload, end)
	return nil
}

func (s *Session) judgeData(id uint32, length, data int, end bool) (*stream, error) {
	s.lock()
	defer s.unlock()
	s.take()
	if err := s.m.chargeData(data, end, s.in.now); err != nil {
		return nil, err
	}
	return s.m.recvData(id, length, data, end)
}

func (s *Session) onHeaders(f *frame) error {
	if f.id == 0 {
		return connError(codeProtocol, "HEADERS on stream 0")
	}
	if err := f.unpad(); err != nil {
		return err
	}
	selfDep := false
	if f.flags.Has(http2.FlagHeadersPriority) {
		if len(f.payload) < 5 {
			return connError(codeFrameSize, "HEADERS too short for its priority")
		}
		selfDep = dependency(f.payload) == f.id
		f.payload = f.payload[5:]
	}
	s.block.begin(f.id, f.flags.Has(http2.FlagHeadersEndStream), selfDep)
	return s.onFragment(f)
}

func (s *Session) onFragment(f *frame) error {
	if err := s.chargeBlock(f); err != nil {
		return err
	}
	if err := s.block.fragment(f.payload); err != nil {
		return s.blockError(err)
	}
	if f.flags.Has(http2.FlagHeadersEndHeaders) {
		return s.endBlock()
	}
	s.block.hold(&s.account, s.block.bytes+s.block.size)
	s.lock()
	s.take()
	if s.m.headSince.IsZero() {
		s.m.headSince = s.in.now
		s.m.remind(s.in.now, s.cfg.headTimeout())
	}
	s.unlock()
	return nil
}

// onControl acts on the frames that concern the machine alone. With the lock
// held.
func (s *Session) onControl(f *frame) error {
	m, now, p := s.m, s.in.now, f.payload
	switch f.typ {
	case http2.FramePriority:
		if len(p) != 5 {
			return connError(codeFrameSize, "PRIORITY is not 5 bytes")
		}
		if err := m.spend(FloodPriority, 1, now); err != nil {
			return err
		}
		return m.recvPriority(f.id, dependency(p))
	case http2.FrameRSTStream:
		if len(p) != 4 {
			return connError(codeFrameSize, "RST_STREAM is not 4 bytes")
		}
		return m.recvReset(f.id, Code(binary.BigEndian.Uint32(p)), now)
	case http2.FrameSettings:
		return s.onSettings(f)
	case http2.FramePushPromise:
		return connError(codeProtocol, "PUSH_PROMISE from a client")
	case http2.FramePing:
		if len(p) != 8 {
			return connError(codeFrameSize, "PING is not 8 bytes")
		}
		if f.id != 0 {
			return connError(codeProtocol, "PING on a stream")
		}
		return m.recvPing(f.flags.Has(http2.FlagPingAck), [8]byte(p), now)
	case http2.FrameGoAway:
		if len(p) < 8 {
			return connError(codeFrameSize, "GOAWAY is too short")
		}
		if f.id != 0 {
			return connError(codeProtocol, "GOAWAY on a stream")
		}
		return m.recvGoAway(Code(binary.BigEndian.Uint32(p[4:])), now)
	case http2.FrameWindowUpdate:
		if len(p) != 4 {
			return connError(codeFrameSize, "WINDOW_UPDATE is not 4 bytes")
		}
		if err := m.chargeUpdate(now); err != nil {
			return err
		}
		return m.recvWindow(f.id, binary.BigEndian.Uint32(p)&(1<<31-1), now)
	case framePriorityUpdate:
		if err := m.spend(FloodPriority, 1, now); err != nil {
			return err
		}
		return m.recvPriorityUpdate(f.id, p)
	}
	return m.spend(FloodUseless, 1, now) // unknown types are ignored (RFC 9113, section 4.1)
}

func (s *Session) onSettings(f *frame) error {
	ack := f.flags.Has(http2.FlagSettingsAck)
	switch {
	case f.id != 0:
		return connError(codeProtocol, "SETTINGS on a stream")
	case ack && len(f.payload) > 0, len(f.payload)%6 != 0:
		return connError(codeFrameSize, "SETTINGS of a wrong size")
	case ack:
		return s.m.recvSettingsAck(s.in.now)
	}
	return s.m.recvSettings(f.payload, s.in.now)
}

func dependency(p []byte) uint32 { return binary.BigEndian.Uint32(p) & (1<<31 - 1) }
