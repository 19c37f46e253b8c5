package h2session

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// Control frames: everything but HEADERS, CONTINUATION and DATA. They wait,
// encoded, in machine.ctrl and go out before any response.

const frameHeaderLen = 9

// maxControl is how many bytes of control frames may wait. A client that makes
// us answer but does not read the answers is not read any further until it does.
const maxControl = 16 << 10

// appendFrameHeader appends a frame header (RFC 9113, section 4.1).
func appendFrameHeader(b []byte, t http2.FrameType, flags http2.Flags, id uint32, length int) []byte {
	return append(b, byte(length>>16), byte(length>>8), byte(length), byte(t), byte(flags),
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

// frame begins a control frame; its payload is appended to m.ctrl by the caller.
func (m *machine) frame(t http2.FrameType, flags http2.Flags, id uint32, length int) {
	m.count.frameOut(t)
	m.ctrl = appendFrameHeader(m.ctrl, t, flags, id, length)
}

func (m *machine) queueReset(id uint32, code Code) {
	m.resetsOut++
	m.count.resetOut(code)
	m.frame(http2.FrameRSTStream, 0, id, 4)
	m.ctrl = binary.BigEndian.AppendUint32(m.ctrl, uint32(code))
}

func (m *machine) queueWindow(id uint32, inc int) {
	m.frame(http2.FrameWindowUpdate, 0, id, 4)
	m.ctrl = binary.BigEndian.AppendUint32(m.ctrl, uint32(inc))
}

func (m *machine) queuePing(ack bool, data [8]byte) {
	var flags http2.Flags
	if ack {
		flags = http2.FlagPingAck
	}
	m.frame(http2.FramePing, flags, 0, len(data))
	m.ctrl = append(m.ctrl, data[:]...)
}

func (m *machine) queueGoAway(last uint32, code Code, debug string) {
	m.count.goAway("out", code, string(m.cause))
	m.codeOut = code.String()
	m.frame(http2.FrameGoAway, 0, 0, 8+len(debug))
	m.ctrl = binary.BigEndian.AppendUint32(m.ctrl, last)
	m.ctrl = binary.BigEndian.AppendUint32(m.ctrl, uint32(code))
	m.ctrl = append(m.ctrl, debug...)
}

// takeControl moves the waiting control frames to the batch.
func (m *machine) takeControl(b []byte) []byte {
	b = append(b, m.ctrl...)
	m.ctrl = m.ctrl[:0]
	if cap(m.ctrl) > 1<<10 {
		m.ctrl = nil // an idle session should hold little
	}
	return b
}
