package h2session

import "encoding/binary"

// Priorities, RFC 9218. A client says with the priority field, and changes with
// PRIORITY_UPDATE frames, how urgent a response is and whether it is of use
// piece by piece. The tree of RFC 7540 is ignored, and SETTINGS says so.

const (
	urgencies      = 8 // 0, the most urgent, to 7
	defaultUrgency = 3

	settingNoTree       = 0x9  // SETTINGS_NO_RFC7540_PRIORITIES (section 2.1.1)
	framePriorityUpdate = 0x10 // section 7.1
)

// A rank is a priority: two times the urgency, and one more when responses of
// it are incremental. The smaller goes first.
type rank uint8

const ranks = 2 * urgencies

func rankOf(urgency int, incremental bool) rank {
	r := rank(2 * urgency)
	if incremental {
		r++
	}
	return r
}

func (r rank) urgency() int      { return int(r / 2) }
func (r rank) incremental() bool { return r%2 == 1 }

// A signal is what a priority field value says. The zero signal says nothing.
type signal struct {
	urgency     uint8 // plus 1; 0 = not said
	incremental uint8 // plus 1, of 0 and 1; 0 = not said
}

// over returns r with what s says in place of it.
func (s signal) over(r rank) rank {
	urgency, incremental := r.urgency(), r.incremental()
	if s.urgency > 0 {
		urgency = int(s.urgency) - 1
	}
	if s.incremental > 0 {
		incremental = s.incremental == 2
	}
	return rankOf(urgency, incremental)
}

// parsePriority reads a priority field value (section 4). A malformed one is
// ignored as a whole (RFC 8941, section 4.2): ok is false then. Members that are
// not known, of another type or out of range are ignored each for itself.
func parsePriority[T string | []byte](value T) (s signal, ok bool) {
	r := sfReader[T]{s: value}
	ok = r.dictionary(func(key T, kind sfKind, v int) {
		switch string(key) {
		case "u": // of a key that comes twice the last value counts
			s.urgency = 0
			if kind == sfInteger && 0 <= v && v < urgencies {
				s.urgency = uint8(v) + 1
			}
		case "i":
			s.incremental = 0
			if kind == sfBoolean {
				s.incremental = uint8(v) + 1
			}
		}
	})
	if !ok {
		return signal{}, false
	}
	return s, true
}

// priorities are what a session knows of its client's wishes.
type priorities struct {
	// aware means that the client has sent a priority signal. A client that
	// does not know of RFC 9218 expects its responses to share the
	// connection, not to come one after the other; so does x/net/http2 treat
	// it. The same holds for an intermediary, whose streams belong to several
	// users (section 13.1).
	aware, intermediary bool
	// early are signals for streams that are not open yet (section 7.1).
	early []earlyUpdate
	// noTree is the client's SETTINGS_NO_RFC7540_PRIORITIES, plus 1; 0 before.
	noTree uint32
}

type earlyUpdate struct {
	id   uint32
	rank rank
}

// usual is the priority of a stream of which nothing is said.
func (p *priorities) usual() rank {
	return rankOf(defaultUrgency, !p.aware || p.intermediary)
}

// opening returns the priority of stream id, whose request says what b holds: a
// PRIORITY_UPDATE that came before counts more than the priority field (section
// 7). Signals for it and for older streams, which cannot be opened any more, are
// dropped.
func (p *priorities) opening(id uint32, b *headerBlock) rank {
	p.intermediary = p.intermediary || b.forwarded
	var field signal
	if b.priority != "" {
		p.aware = true
		field, _ = parsePriority(b.priority)
	}
	l := field.over(p.usual())
	if len(p.early) == 0 {
		return l
	}
	kept := p.early[:0]
	for _, e := range p.early {
		switch {
		case e.id == id:
			l = e.rank
		case e.id > id:
			kept = append(kept, e)
		}
	}
	p.early = kept
	return l
}

// recvPriorityUpdate applies a PRIORITY_UPDATE frame (section 7.1). Its value is
// complete: what it does not say is the default.
func (m *machine) recvPriorityUpdate(onStream uint32, payload []byte) error {
	switch {
	case onStream != 0:
		return connError(codeProtocol, "PRIORITY_UPDATE on a stream")
	case len(payload) < 4:
		return connError(codeFrameSize, "PRIORITY_UPDATE is too short")
	}
	id := binary.BigEndian.Uint32(payload) & (1<<31 - 1)
	switch {
	case id == 0:
		return connError(codeProtocol, "PRIORITY_UPDATE for stream 0")
	case id%2 == 0:
		return connError(codeProtocol, "PRIORITY_UPDATE for a push, and there are none")
	}
	m.aware = true
	s, ok := parsePriority(payload[4:])
	if !ok {
		return nil
	}
	l := s.over(rankOf(defaultUrgency, false))
	if st := m.streams.get(id); st != nil {
		m.prioritize(st, l)
		return nil
	}
	if id <= m.maxID {
		return nil // closed: the frames crossed
	}
	return m.rememberPriority(id, l)
}

// rememberPriority keeps l for a stream that the client is about to open. Those
// and the open ones may be no more than the streams allowed (section 7.1).
func (m *machine) rememberPriority(id uint32, l rank) error {
	for i := range m.early {
		if m.early[i].id == id {
			m.early[i].rank = l
			return nil
		}
	}
	if len(m.early)+m.streams.n >= m.cfg.maxStreams() {
		if m.ackPending > 0 {
			return nil // it may not know yet how many those are
		}
		return connError(codeProtocol, "PRIORITY_UPDATE for more streams than may be open")
	}
	m.early = append(m.early, earlyUpdate{id, l})
	return nil
}

// prioritize gives st its priority, and the place in the queue that belongs to
// it.
func (m *machine) prioritize(st *stream, l rank) {
	if st.rank == l {
		return
	}
	if !m.ready.holds(st) {
		st.rank = l
		return
	}
	m.ready.remove(st)
	st.rank = l
	m.ready.push(st)
}

// applyNoTree checks the client's SETTINGS_NO_RFC7540_PRIORITIES. We ignore the
// tree whatever it says; that it changes its mind is an error (section 2.1.1).
func (p *priorities) applyNoTree(val uint32) error {
	switch {
	case val > 1:
		return connError(codeProtocol, "SETTINGS_NO_RFC7540_PRIORITIES is neither 0 nor 1")
	case p.noTree != 0 && p.noTree != val+1:
		return connError(codeProtocol, "SETTINGS_NO_RFC7540_PRIORITIES has changed")
	}
	p.noTree = val + 1
	return nil
}
