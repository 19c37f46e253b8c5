package h2session

import (
	"hash/maphash"
	"unsafe"

	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/h1"
)

// The parts of HPACK (RFC 7541) that an encoder needs which is the only user of its
// dynamic table.

// appendString appends a string literal (RFC 7541, section 5.2), Huffman-coded
// where that is shorter.
func appendString(b []byte, s string) []byte {
	if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
		return hpack.AppendHuffmanString(appendInt(b, 0x80, 7, n), s)
	}
	return append(appendInt(b, 0, 7, uint64(len(s))), s...)
}

// textOf is b as a string that is valid as long as b is.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// rawOf is s as bytes that must not be written to.
func rawOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// appendInt appends an integer with a prefix of so many bits, the others being
// those of first (RFC 7541, section 5.1).
func appendInt(b []byte, first byte, prefix int, n uint64) []byte {
	most := uint64(1)<<prefix - 1
	if n < most {
		return append(b, first|byte(n))
	}
	b = append(b, first|byte(most))
	for n -= most; n >= 128; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

const (
	metSlots   = 64
	metProbes  = 16
	metOnce    = 64
	metStale   = 32
	largestMet = 1 << 10
)

// metFields are the fields that have come more than once, with their places in
// the dynamic table: a small cache in which each can be in one of some slots.
// Fields that came once are remembered elsewhere, the last of them, by their
// hashes, so that values that never come back do not displace those that do; and
// a field that has come lately is not displaced at all, so that more fields than
// fit do not displace each other for ever. What is forgotten, or taken for
// another, costs some bytes on the wire, never an error.
type metFields struct {
	*metCache // made with the first response: sessions that wait for one are many
}

type metCache struct {
	hashes [metSlots]uint64
	fields [metSlots]metField
	once   [metOnce]uint32 // a ring
	at     uint8
	blocks uint32 // header blocks so far
}

type metField struct {
	place       uint64 // in the dynamic table, if it is still there; 0 = never was
	used        uint32 // the last block it was in; 0 = the slot is free
	id          h1.Name
	name, value string // name is that of NameOther
}

var metSeed = maphash.MakeSeed()

// block begins a header block.
func (f *metFields) block() {
	if f.metCache == nil {
		f.metCache = new(metCache)
		f.blocks = metStale // a free slot is stale
	}
	f.blocks++
}

// meet returns the field if it has come before, and otherwise notes that it has;
// name is in lower case where id is NameOther.
func (f *metFields) meet(id h1.Name, name, value []byte) *metField {
	h := maphash.Bytes(metSeed, value) ^ uint64(id)*0x9e3779b97f4a7c15
	if id == h1.NameOther {
		h ^= maphash.Bytes(metSeed, name) * 3
	}
	free := -1
	for i := range uint64(metProbes) {
		at := (h + i) % metSlots
		m := &f.fields[at]
		if f.hashes[at] == h && m.is(id, name, value) {
			m.used = f.blocks
			return m
		}
		if free < 0 && f.blocks-m.used > metStale {
			free = int(at)
		}
	}
	if free < 0 || !f.cameOnce(uint32(h>>32)) {
		return nil
	}
	m := &f.fields[free]
	f.hashes[free], *m = h, metField{used: f.blocks, id: id, value: string(value)}
	if id == h1.NameOther {
		m.name = string(name)
	}
	return m
}

// cameOnce reports whether a field with that hash has come lately, and otherwise
// notes that it has.
func (c *metCache) cameOnce(h uint32) bool {
	for _, o := range c.once {
		if o == h {
			return true
		}
	}
	c.once[c.at%metOnce] = h
	c.at++
	return false
}

func (m *metField) is(id h1.Name, name, value []byte) bool {
	return m.id == id && m.value == string(value) && (id != h1.NameOther || m.name == string(name))
}

const (
	// tableLimit is the largest dynamic table we use, whatever a client allows.
	tableLimit = 4 << 10
	// fieldOverhead is what an entry counts for besides its text (RFC 7541,
	// section 4.1).
	fieldOverhead = 32
	mostFields    = tableLimit / fieldOverhead
	staticFields  = 61
)

// A fieldTable is our side's view of the dynamic table (RFC 7541, section 2.3.2),
// reduced to what says which entries are in it: their sizes, in order. Entries
// have numbers, their places, from 1 on.
type fieldTable struct {
	sizes       *[mostFields]uint16 // of the entry in place n: sizes[n%mostFields]
	added, gone uint64              // the places of the newest, and of the last that was evicted
	size, max   int
}

// index returns the index of the entry in a place; 0 when it is not in the table.
func (t *fieldTable) index(place uint64) uint64 {
	if place <= t.gone {
		return 0
	}
	return staticFields + 1 + t.added - place
}

// add adds an entry with so many bytes of text and returns its place; 0 when it is
// larger than the table, which then is left as it is.
func (t *fieldTable) add(text int) (place uint64) {
	size := text + fieldOverhead
	if size > t.max {
		return 0
	}
	t.evict(t.max - size)
	if t.sizes == nil {
		t.sizes = new([mostFields]uint16)
	}
	t.added++
	t.sizes[t.added%mostFields] = uint16(size)
	t.size += size
	return t.added
}

// evict drops the oldest entries until those that are left have at most size.
func (t *fieldTable) evict(size int) {
	for t.size > size {
		t.gone++
		t.size -= int(t.sizes[t.gone%mostFields])
	}
}

// resize changes how much the table holds, at most tableLimit.
func (t *fieldTable) resize(most int) {
	t.max = most
	t.evict(most)
}
