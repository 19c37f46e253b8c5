package h2session

import (
	"encoding/binary"
	"time"

	"golang.org/x/net/http2"
)

// peerSettings are the client's, as far as they concern us (RFC 9113, section
// 6.5.2).
type peerSettings struct {
	window       int64  // what a new stream's send window starts with
	frameSize    int    // the largest frame it takes
	headerTable  uint32 // the largest dynamic table our encoder may use
	leastTable   uint32 // the least of those it was not told of: what did not fit is gone
	tableChanged bool   // not told to the encoder yet
}

// queueSettings queues our SETTINGS, and the session window on top of them.
func (m *machine) queueSettings() {
	set := []setting{
		{http2.SettingMaxConcurrentStreams, uint32(m.cfg.maxStreams())},
		{http2.SettingInitialWindowSize, uint32(m.cfg.streamWindow())},
		{http2.SettingMaxHeaderListSize, uint32(m.cfg.requestHead())},
		{settingNoTree, 1},
		{http2.SettingEnableConnectProtocol, 1}, // RFC 8441, section 3
	}
	if n := m.cfg.maxFrameSize(); n != minFrameSize {
		set = append(set, setting{http2.SettingMaxFrameSize, uint32(n)})
	}
	m.frame(http2.FrameSettings, 0, 0, 6*len(set))
	for _, s := range set {
		m.ctrl = binary.BigEndian.AppendUint16(m.ctrl, uint16(s.id))
		m.ctrl = binary.BigEndian.AppendUint32(m.ctrl, s.val)
	}
	m.ackPending++
	if more := m.cfg.sessionWindow() - defaultWindow; more > 0 {
		m.in.grow(more)
		m.queueWindow(0, more)
	}
}

// streamWindow is what a new stream may receive. Until the client has acknowledged
// our SETTINGS it may go by the RFC's default, where ours is smaller.
func (m *machine) streamWindow() int {
	w := m.cfg.streamWindow()
	if m.ackPending > 0 {
		return max(w, defaultWindow)
	}
	return w
}

// recvSettingsAck lets our SETTINGS hold.
func (m *machine) recvSettingsAck(now time.Time) error {
	if m.ackPending == 0 {
		return m.spend(FloodAcks, 1, now) // nothing forbids it, and nothing follows from it
	}
	before := m.streamWindow()
	m.ackPending--
	if delta := m.streamWindow() - before; delta != 0 {
		for st := range m.streams.all() {
			st.in.grow(delta)
		}
	}
	return nil
}

// recvSettings applies the client's SETTINGS, payload by payload order (RFC
// 9113, section 6.5.3), and queues the acknowledgement.
func (m *machine) recvSettings(payload []byte, now time.Time) error {
	if err := m.spend(FloodSettings, 1, now); err != nil {
		return err
	}
	if err := m.spend(FloodSettingsEntries, len(payload)/6, now); err != nil {
		return err
	}
	for ; len(payload) >= 6; payload = payload[6:] {
		s := setting{
			id:  http2.SettingID(binary.BigEndian.Uint16(payload)),
			val: binary.BigEndian.Uint32(payload[2:]),
		}
		if err := m.apply(s, now); err != nil {
			return err
		}
	}
	if !m.settingsSeen {
		m.settingsSeen = true
		if m.phase == handshaking {
			m.phase = serving
		}
		m.idleSince = now
		m.remind(now, m.cfg.sessionIdle())
		m.remind(now, restAfter)
	}
	m.frame(http2.FrameSettings, http2.FlagSettingsAck, 0, 0)
	return nil
}

func (m *machine) apply(s setting, now time.Time) error {
	switch s.id {
	case http2.SettingEnablePush:
		if s.val > 1 {
			return connError(codeProtocol, "SETTINGS_ENABLE_PUSH is neither 0 nor 1")
		}
	case http2.SettingEnableConnectProtocol: // means nothing to a server
		if s.val > 1 {
			return connError(codeProtocol, "SETTINGS_ENABLE_CONNECT_PROTOCOL is neither 0 nor 1")
		}
	case http2.SettingMaxFrameSize:
		if s.val < minFrameSize || s.val > maxFrameSize {
			return connError(codeProtocol, "SETTINGS_MAX_FRAME_SIZE is not within 2^14 and 2^24-1")
		}
		m.peer.frameSize = int(s.val)
	case http2.SettingHeaderTableSize:
		p := &m.peer
		if p.headerTable = min(s.val, headerTable); !p.tableChanged {
			p.leastTable = p.headerTable
		}
		p.leastTable = min(p.leastTable, p.headerTable)
		p.tableChanged = true
	case http2.SettingInitialWindowSize:
		return m.applyWindow(s.val, now)
	case settingNoTree:
		return m.applyNoTree(s.val)
	}
	// MAX_CONCURRENT_STREAMS limits pushes, which do not exist;
	// MAX_HEADER_LIST_SIZE is advice; what is unknown is ignored.
	return nil
}

// applyWindow moves the send window of every stream by the difference, which may
// leave it negative (RFC 9113, section 6.9.2).
func (m *machine) applyWindow(val uint32, now time.Time) error {
	if val > maxWindow {
		return connError(codeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE exceeds 2^31-1")
	}
	delta := int64(val) - m.peer.window
	m.peer.window = int64(val)
	for st := range m.streams.all() {
		if !st.out.add(delta) {
			return connError(codeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE makes a stream window exceed 2^31-1")
		}
		m.reopened(st, now)
	}
	return nil
}
