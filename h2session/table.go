package h2session

import "iter"

// A streamTable finds open streams by their ids. A client's ids rise by two, and
// those that are open are mostly close together: an id says where to look, and
// that is nearly always right. A stream whose place another has, for ids can leave
// gaps of any size, is in a map. The zero value is empty.
type streamTable struct {
	slots []*stream // that of id is at id/2, modulo their number, a power of two
	other map[uint32]*stream
	n     int
}

const (
	leastSlots = 32
	mostSlots  = 1 << 10
)

func (t *streamTable) at(id uint32) int { return int(id/2) & (len(t.slots) - 1) }

// get returns the stream, or nil.
func (t *streamTable) get(id uint32) *stream {
	if t.n == 0 {
		return nil
	}
	if st := t.slots[t.at(id)]; st != nil && st.id == id {
		return st
	}
	return t.other[id]
}

// put adds st, which is not in t.
func (t *streamTable) put(st *stream) {
	if 2*t.n >= len(t.slots) && len(t.slots) < mostSlots {
		t.grow()
	}
	t.n++
	t.place(st)
}

func (t *streamTable) place(st *stream) {
	if slot := &t.slots[t.at(st.id)]; *slot == nil {
		*slot = st
		return
	}
	if t.other == nil {
		t.other = make(map[uint32]*stream)
	}
	t.other[st.id] = st
}

// grow makes twice as many places.
func (t *streamTable) grow() {
	old := *t
	*t = streamTable{slots: make([]*stream, max(leastSlots, 2*len(old.slots))), n: old.n}
	for st := range old.all() {
		t.place(st)
	}
}

// remove takes st out, if it is in.
func (t *streamTable) remove(st *stream) {
	if t.get(st.id) != st {
		return
	}
	t.n--
	if slot := &t.slots[t.at(st.id)]; *slot == st {
		*slot = nil
		return
	}
	delete(t.other, st.id)
}

// all are the streams, in no order. Those may be removed meanwhile, and none added.
func (t *streamTable) all() iter.Seq[*stream] {
	return func(yield func(*stream) bool) {
		for _, st := range t.slots {
			if st != nil && !yield(st) {
				return
			}
		}
		for _, st := range t.other {
			if !yield(st) {
				return
			}
		}
	}
}
