package h2session

// How a stream was closed. It decides what its late frames mean.
type ending uint8

const (
	endedWell      ending = iota // END_STREAM both ways; also what was never noted
	resetByUs                    // late frames are ignored
	resetByClient                // late frames are its fault
	resetForgotten               // too long ago to know: taken for resetByUs
)

// maxTombs bounds the memory of reset streams. A client has at most about two
// times the stream limit in flight; older ones are judged kindly.
const maxTombs = 256

// tombstones remember the streams that were closed by RST_STREAM. Those that
// ended well need no memory: what is not here, and not newer than any that was
// dropped, ended well.
type tombstones struct {
	ring      []tombstone // grows to maxTombs, then wraps
	at        int
	forgotten uint32 // the highest id that was dropped
}

type tombstone struct {
	id uint32
	by ending
}

// note remembers how stream id was closed. Of two endings the last counts: the
// client that sent DATA behind its RST_STREAM gets one of ours, and no more.
func (t *tombstones) note(id uint32, by ending) {
	for i := range t.ring {
		if t.ring[i].id == id {
			t.ring[i].by = by
			return
		}
	}
	if len(t.ring) < maxTombs {
		t.ring = append(t.ring, tombstone{id, by})
		return
	}
	t.forgotten = max(t.forgotten, t.ring[t.at].id)
	t.ring[t.at] = tombstone{id, by}
	t.at = (t.at + 1) % maxTombs
}

// find tells how a closed stream was closed.
func (t *tombstones) find(id uint32) ending {
	for _, s := range t.ring {
		if s.id == id {
			return s.by
		}
	}
	if id <= t.forgotten {
		return resetForgotten
	}
	return endedWell
}
