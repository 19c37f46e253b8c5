package h2session

import (
	"unsafe"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/h1"
)

// A blockEncoder turns HTTP/1.1 heads and trailers into HEADERS frames. It
// belongs to the write loop, so the order of encoding is the order on the wire.
type blockEncoder struct {
	enc   *hpack.Encoder
	block []byte // the block being made; enc writes to its end
	seen  seenValues
	// resized means that enc has a table size update to tell, which has to be
	// first in a block (RFC 7541, section 4.2): the next field is enc's.
	resized bool
	// priority is what the last head's priority field says.
	priority signal
}

// resize keeps the dynamic table within what the client allows. Of two changes
// before a block both the least and the last size have to be told (RFC 7541,
// section 4.2); the decoder of Go takes a second update only when the first has
// emptied the table.
func (e *blockEncoder) resize(n uint32) {
	if e.resized {
		e.enc.SetMaxDynamicTableSize(0)
	}
	e.enc.SetMaxDynamicTableSize(n)
	e.resized = true
}

func newBlockEncoder() *blockEncoder {
	e := new(blockEncoder)
	e.enc = hpack.NewEncoder(e)
	return e
}

// rest lets go of what an idle session need not hold. The dynamic table stays:
// the client has it, too.
func (e *blockEncoder) rest() { e.block, e.seen = nil, seenValues{} }

// Write takes what enc has encoded.
func (e *blockEncoder) Write(p []byte) (int, error) {
	e.block = append(e.block, p...)
	return len(p), nil
}

// statusText has the codes in use; others are made when they come.
var statusText = func() (t [600]string) {
	for i := 100; i < len(t); i++ {
		t[i] = string([]byte{byte('0' + i/100), byte('0' + i/10%10), byte('0' + i%10)})
	}
	return t
}()

// head encodes a response head.
func (e *blockEncoder) head(status int, fs *h1.Fields) {
	e.block = e.block[:0]
	text := "500"
	if status >= 100 && status < len(statusText) {
		text = statusText[status]
	}
	e.enc.WriteField(hpack.HeaderField{Name: ":status", Value: text})
	e.resized = false
	e.priority = signal{}
	e.fields(fs)
}

// trailers encodes a trailer section.
func (e *blockEncoder) trailers(fs *h1.Fields) {
	e.block = e.block[:0]
	e.fields(fs)
}

// fields encodes what HTTP/2 may carry: names in lower case, nothing that is
// connection-specific (RFC 9113, section 8.2). The transaction removes hop-by-hop
// fields; framing fields of HTTP/1.1 are ours to remove.
func (e *blockEncoder) fields(fs *h1.Fields) {
	for i := range fs.Len() {
		name, value := fs.At(i)
		lower := h1.LowerName(name)
		if connectionSpecific(lower) {
			continue
		}
		if lower == "priority" {
			e.priority, _ = parsePriority(value)
		}
		e.field(lower, value)
	}
}

// field encodes one field. What has been seen before goes into the dynamic
// table; what is new does not, for dates, tags and lengths that never come back
// would only push out what does. That also keeps new values from being
// allocated: the encoder keeps only what it puts into the table.
func (e *blockEncoder) field(name string, value []byte) {
	if e.resized {
		e.resized = false
		e.enc.WriteField(hpack.HeaderField{Name: name, Value: string(value)})
		return
	}
	if v, known := e.seen.value(name, value); known {
		e.enc.WriteField(hpack.HeaderField{Name: name, Value: v})
		return
	}
	// A literal without indexing (RFC 7541, section 6.2.2) leaves the table
	// alone, so it need not pass through the encoder.
	e.block = appendNameIndex(e.block, name)
	e.block = appendString(e.block, unsafe.String(unsafe.SliceData(value), len(value)))
}

// appendNameIndex appends a field name as a literal's first part.
func appendNameIndex(b []byte, name string) []byte {
	if i := staticName[name]; i > 0 {
		if i < 15 {
			return append(b, i)
		}
		return append(b, 15, i-15)
	}
	return appendString(append(b, 0), name)
}

// appendString appends a string literal (RFC 7541, section 5.2), Huffman-coded
// where that is shorter.
func appendString(b []byte, s string) []byte {
	if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
		at := len(b)
		b = appendInt7(b, n)
		b[at] |= 0x80
		return hpack.AppendHuffmanString(b, s)
	}
	b = appendInt7(b, uint64(len(s)))
	return append(b, s...)
}

// appendInt7 appends an integer with a 7-bit prefix (RFC 7541, section 5.1).
func appendInt7(b []byte, n uint64) []byte {
	if n < 127 {
		return append(b, byte(n))
	}
	b = append(b, 127)
	for n -= 127; n >= 128; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// staticName is the part of HPACK's static table (RFC 7541, appendix A) that
// responses use: the index of a name.
var staticName = map[string]byte{
	"accept-ranges": 18, "access-control-allow-origin": 20, "age": 21, "allow": 22, "cache-control": 24,
	"content-disposition": 25, "content-encoding": 26, "content-language": 27, "content-length": 28,
	"content-location": 29, "content-range": 30, "content-type": 31, "date": 33, "etag": 34, "expires": 36,
	"last-modified": 44, "link": 45, "location": 46, "retry-after": 53, "server": 54, "set-cookie": 55,
	"strict-transport-security": 56, "vary": 59, "via": 60, "www-authenticate": 61,
}

// seenValues remembers which fields came before, and the strings of those that
// came twice. It is a small direct-mapped cache: a collision costs some bytes on
// the wire, never an error.
type seenValues struct {
	slots *[64]seenValue // made with the first response
}

type seenValue struct {
	hash        uint32
	name, value string // set when the field came again
}

// value returns value as a string that may be kept, when the field has come
// before.
func (s *seenValues) value(name string, value []byte) (string, bool) {
	if len(name)+len(value) > 1024 || secret(name) {
		return "", false
	}
	if s.slots == nil {
		s.slots = new([64]seenValue)
	}
	h := hashField(name, value)
	slot := &s.slots[h%64]
	switch {
	case slot.hash != h:
		*slot = seenValue{hash: h}
		return "", false
	case slot.name == name && slot.value == string(value):
		return slot.value, true
	case slot.name != "": // two fields with one hash
		return "", false
	}
	slot.name, slot.value = name, string(value)
	return slot.value, true
}

// secret fields are kept out of the table, where guesses could be tested against
// them (RFC 7541, section 7.1.3).
func secret(name string) bool { return name == "set-cookie" || name == "authorization" }

// hashField is FNV-1a.
func hashField(name string, value []byte) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	for _, c := range value {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// appendTo appends the block as HEADERS, and CONTINUATION where it is longer than
// a frame, to b. It returns how many CONTINUATIONs that took.
func (e *blockEncoder) appendTo(b []byte, id uint32, end bool, frameSize int) ([]byte, int) {
	rest, more := e.block, 0
	typ, flags := http2.FrameHeaders, http2.Flags(0)
	if end {
		flags = http2.FlagHeadersEndStream
	}
	for {
		n := min(len(rest), frameSize)
		if n == len(rest) {
			flags |= http2.FlagHeadersEndHeaders
		}
		b = appendFrameHeader(b, typ, flags, id, n)
		b = append(b, rest[:n]...)
		if rest = rest[n:]; len(rest) == 0 {
			return b, more
		}
		typ, flags = http2.FrameContinuation, 0
		more++
	}
}
