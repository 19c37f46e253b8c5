package h2session

import (
	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/h1"
)

// A blockEncoder turns HTTP/1.1 heads and trailers into HEADERS frames (RFC 7541).
// It belongs to who writes, so the order of encoding is the order on the
// wire.
//
// What it has met before goes into the dynamic table, of which it is the only
// user: what is met again is found in a small cache that knows its place there,
// so no table is searched.
type blockEncoder struct {
	block []byte // the block being made
	table fieldTable
	met   metFields
	// resized means that the next block has to begin with a change of the
	// table's size (RFC 7541, section 4.2), and emptied with one to 0 before it.
	resized, emptied bool
	size             int    // what it changes to
	lower            []byte // a name in lower case
	// priority is what the last head's priority field says.
	priority signal
}

func newBlockEncoder() *blockEncoder { return &blockEncoder{table: fieldTable{max: tableLimit}} }

// resize keeps the dynamic table within what the client allows. Of two changes
// before a block both the least and the last size have to be told (RFC 7541,
// section 4.2); the decoder of Go takes a second update only when the first has
// emptied the table.
func (e *blockEncoder) resize(n uint32) {
	e.emptied = e.emptied || e.resized
	e.resized, e.size = true, int(min(n, tableLimit))
}

// begin begins a block.
func (e *blockEncoder) begin() {
	e.block = e.block[:0]
	e.met.block()
	if !e.resized {
		return
	}
	if e.emptied {
		e.block = append(e.block, 0x20)
		e.table.resize(0)
	}
	e.block = appendInt(e.block, 0x20, 5, uint64(e.size))
	e.table.resize(e.size)
	e.resized, e.emptied = false, false
}

// rest lets go of what an idle session need not hold. The dynamic table stays:
// the client has it, too.
func (e *blockEncoder) rest() { e.block, e.lower, e.met = nil, nil, metFields{} }

var statusName = []byte(":status")

// statusField has the indexed fields of the codes in the static table.
func statusField(status int) byte {
	switch status {
	case 200:
		return 0x80 | 8
	case 204:
		return 0x80 | 9
	case 206:
		return 0x80 | 10
	case 304:
		return 0x80 | 11
	case 400:
		return 0x80 | 12
	case 404:
		return 0x80 | 13
	case 500:
		return 0x80 | 14
	}
	return 0
}

// head encodes a response head.
func (e *blockEncoder) head(status int, fs *h1.Fields) {
	e.begin()
	if status < 100 || status > 599 {
		status = 500
	}
	if f := statusField(status); f != 0 {
		e.block = append(e.block, f)
	} else {
		text := [...]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)}
		e.field(h1.NameOther, statusName, text[:], nameRule{static: 8})
	}
	e.priority = signal{}
	e.fields(fs)
}

// trailers encodes a trailer section.
func (e *blockEncoder) trailers(fs *h1.Fields) {
	e.begin()
	e.fields(fs)
}

// nameRule is what is to be known of a name: whether it has no place in HTTP/2,
// whether it is kept out of the table, and its index in the static one.
type nameRule struct {
	drop, secret bool
	static       byte
}

var nameRules = func() (t [h1.NumNames]nameRule) {
	for name, i := range staticName {
		id := h1.NameOfString(name)
		if id == h1.NameOther {
			panic("h2session: " + name + " has no number")
		}
		t[id].static = i
	}
	for id := range t {
		name := h1.Name(id).String()
		t[id].drop, t[id].secret = connectionSpecific(name), secret(name)
	}
	return t
}()

// secret fields are kept out of the table, where guesses could be tested against
// them (RFC 7541, section 7.1.3).
func secret(name string) bool { return name == "set-cookie" || name == "authorization" }

// staticName is the part of HPACK's static table (RFC 7541, appendix A) that
// responses use: the index of a name.
var staticName = map[string]byte{
	"accept-ranges": 18, "access-control-allow-origin": 20, "age": 21, "allow": 22, "cache-control": 24,
	"content-disposition": 25, "content-encoding": 26, "content-language": 27, "content-length": 28,
	"content-location": 29, "content-range": 30, "content-type": 31, "date": 33, "etag": 34, "expires": 36,
	"last-modified": 44, "link": 45, "location": 46, "retry-after": 53, "server": 54, "set-cookie": 55,
	"strict-transport-security": 56, "vary": 59, "via": 60, "www-authenticate": 61,
}

// fields encodes what HTTP/2 may carry: names in lower case, nothing that is
// connection-specific (RFC 9113, section 8.2). The transaction removes hop-by-hop
// fields; framing fields of HTTP/1.1 are ours to remove.
func (e *blockEncoder) fields(fs *h1.Fields) {
	for i := range fs.Len() {
		id, name, value := fs.Line(i)
		rule := nameRules[id]
		switch {
		case rule.drop:
			continue
		case id == h1.NamePriority:
			e.priority, _ = parsePriority(value)
		case id == h1.NameOther:
			e.lower = h1.AppendLower(e.lower[:0], name)
			name = e.lower
		}
		e.field(id, name, value, rule)
	}
}

// field encodes one field; name is in lower case where id is NameOther. What has
// been met before goes into the dynamic table; what is new does not, for dates,
// tags and lengths that never come back would only push out what does.
func (e *blockEncoder) field(id h1.Name, name, value []byte, rule nameRule) {
	var m *metField
	if !rule.secret && len(name)+len(value) <= largestMet {
		m = e.met.meet(id, name, value)
	}
	if m == nil {
		e.block = appendName(e.block, 0, 4, rule.static, id, name)
		e.block = appendString(e.block, textOf(value))
		return
	}
	if i := e.table.index(m.place); i > 0 {
		e.block = appendInt(e.block, 0x80, 7, i)
		return
	}
	// Literals with and without incremental indexing (RFC 7541, section 6.2).
	kind, prefix := byte(0x40), 6
	if m.place = e.table.add(len(name) + len(value)); m.place == 0 {
		kind, prefix = 0, 4
	}
	e.block = appendName(e.block, kind, prefix, rule.static, id, name)
	e.block = appendString(e.block, textOf(value))
}

// appendName appends the first part of a literal: its kind, with the index of the
// name or the name itself.
func appendName(b []byte, kind byte, prefix int, static byte, id h1.Name, name []byte) []byte {
	if static > 0 {
		return appendInt(b, kind, prefix, uint64(static))
	}
	b = append(b, kind)
	if id != h1.NameOther {
		return appendString(b, id.String())
	}
	return appendString(b, textOf(name))
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
