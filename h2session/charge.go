package h2session

import (
	"errors"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Where frames are charged to the budgets. Frames that a client needs for its
// requests cost a comparison; what spends is what an honest one does rarely.

// chargeBlock charges for a piece of a header block, which is before it in
// s.block: pieces too short to be meant, and bytes that are read for the sake of
// HPACK only.
func (s *Session) chargeBlock(f *frame) error {
	short := f.typ == http2.FrameContinuation && !f.flags.Has(http2.FlagHeadersEndHeaders) && len(f.payload) < shortContinuation
	past := min(len(f.payload), s.block.bytes+len(f.payload)-s.cfg.requestHead())
	if !short && past <= 0 {
		return nil
	}
	s.lock()
	defer s.unlock()
	s.take()
	if short {
		if err := s.m.spend(FloodContinuation, 1, s.in.now); err != nil {
			return err
		}
	}
	if past > 0 {
		return s.m.spend(FloodHeaderBytes, past, s.in.now)
	}
	return nil
}

// blockError says how decoding failed. A single string of several times the
// limit is not kept in any mode.
func (s *Session) blockError(err error) error {
	if errors.Is(err, hpack.ErrStringLength) {
		s.lock()
		defer s.unlock()
		s.m.count.flood(FloodHeaderBytes)
		s.m.passed |= 1 << FloodHeaderBytes
		return FloodHeaderBytes.exceeded(s.cfg.flood(FloodHeaderBytes))
	}
	return connError(codeCompression, "header block cannot be decoded")
}

// chargeStream charges for a stream about to be opened. It is called before the
// stream exists, so that a flood's last stream is none.
func (m *machine) chargeStream(now time.Time) error {
	m.updates = min(m.updates+updatesPerStream, maxPaid)
	if err := m.spend(FloodStreams, 1, now); err != nil {
		return err
	}
	if m.phase == serving && m.full() {
		return m.spend(FloodRefused, 1, now)
	}
	return nil
}

// chargeNames charges for n fields without a name in a block.
func (m *machine) chargeNames(n int, now time.Time) error {
	if n == 0 {
		return nil
	}
	return m.spend(FloodEmptyNames, n, now)
}

// chargeData charges for DATA that is hardly any.
func (m *machine) chargeData(data int, end bool, now time.Time) error {
	switch {
	case end || data >= smallData:
		return nil
	case data == 0:
		return m.spend(FloodEmptyData, 1, now)
	}
	return m.spend(FloodSmallData, 1, now)
}

// chargePing charges for a PING that is to be answered.
func (m *machine) chargePing(now time.Time) error {
	if m.pings > 0 {
		m.pings--
		return nil
	}
	return m.spend(FloodPing, 1, now)
}

// chargeUpdate charges for a WINDOW_UPDATE.
func (m *machine) chargeUpdate(now time.Time) error {
	if m.updates > 0 {
		m.updates--
		return nil
	}
	return m.spend(FloodWindowUpdates, 1, now)
}

// chargeTurn notes what frames of a response have paid for, and charges for a
// window that lets us send next to nothing.
func (m *machine) chargeTurn(st *stream, p *pulled, now time.Time) error {
	if p.heads+p.frames > 0 {
		m.pings = min(m.pings+1, maxPaidPings)
		m.updates = min(m.updates+updatesPerData*p.frames, maxPaid)
	}
	if !p.more || p.data == 0 || p.data >= tinyWindow || st.out > 0 && m.out > 0 {
		m.given = min(m.given+p.data, maxGiven)
		return nil
	}
	if m.given >= dataPerRest {
		m.given -= dataPerRest
		return nil
	}
	return m.spend(FloodTinyWindows, 1, now)
}

// chargeReset charges for a RST_STREAM that the client has provoked.
func (m *machine) chargeReset(e *StreamError, now time.Time) error {
	if e.Code == codeInternal {
		return nil // ours
	}
	return m.spend(FloodProvokedResets, 1, now)
}
