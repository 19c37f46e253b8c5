package h2session

import (
	"errors"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/h1"
)

// A field is a field of a request as it came.
type field struct {
	name, value string
	id          h1.Name // of a name in lower case; NameOther for any other
	valid       bool    // what h1 says of name and value; false also when it was not asked
	// owned says that the strings are valid for ever; otherwise until the decoder
	// is reset.
	owned bool
}

// check asks h1, once for a field that goes into a table and is used often.
func (f *field) check() {
	f.id = idOf(f.name)
	f.valid = (f.id != h1.NameOther || h1.ValidName(rawOf(f.name))) && h1.ValidValue(rawOf(f.value))
}

// idOf is the number of a name in lower case. One with capitals is malformed in
// HTTP/2, and not what it looks like.
func idOf(name string) h1.Name {
	id := h1.NameOfString(name)
	if id != h1.NameOther && name != id.String() {
		return h1.NameOther
	}
	return id
}

// A decoder reads header blocks (RFC 7541) as they come, in pieces. It calls emit
// for each field, which reports whether it has kept it: the text of a literal is
// in a buffer that is used again, so that only what goes into the dynamic table is
// allocated. After an error it must not be used any more.
type decoder struct {
	emit func(f *field) (kept bool)
	// most is the longest string that is taken, and that is waited for.
	most int

	table ring
	limit int    // of the table's size, as our SETTINGS say
	begun bool   // the block has had a field: no change of the table's size may follow
	rest  []byte // of the last piece, the beginning of a representation
	text  []byte // of literals
	f     field  // being emitted
}

var (
	errIndex     = errors.New("hpack: there is no field with that index")
	errInteger   = errors.New("hpack: an integer is too large")
	errTableSize = errors.New("hpack: a dynamic table size update is too large, or not at the beginning of a block")
	errTruncated = errors.New("hpack: a block ends within a field")
	errNeedMore  = errors.New("hpack: the rest of a representation is needed")
)

func newDecoder(limit, most int, emit func(*field) bool) decoder {
	return decoder{emit: emit, most: most, limit: limit, table: ring{max: limit}}
}

// write decodes a piece of a block.
func (d *decoder) write(p []byte) error {
	if len(d.rest) > 0 {
		d.rest = append(d.rest, p...)
		p = d.rest
	}
	for len(p) > 0 {
		n, err := d.next(p)
		if err == errNeedMore {
			if len(p) > 2*(d.most+8) { // a name and a value, and their lengths
				return hpack.ErrStringLength
			}
			d.rest = append(d.rest[:0], p...)
			return nil
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	d.rest = d.rest[:0]
	return nil
}

// end ends a block.
func (d *decoder) end() error {
	d.begun = false
	if len(d.rest) > 0 {
		return errTruncated
	}
	return nil
}

// scrub is set by tests, so that a string which was kept too long shows.
var scrub = false

// reset makes what was emitted invalid.
func (d *decoder) reset() {
	const usual = 16 << 10
	d.f = field{}
	if scrub {
		clear(d.text)
	}
	if d.text = d.text[:0]; cap(d.text) > usual {
		d.text = nil
	}
	if cap(d.rest) > usual {
		d.rest = nil
	}
}

// next decodes one representation (RFC 7541, section 6) and returns its length.
func (d *decoder) next(p []byte) (n int, err error) {
	switch b := p[0]; {
	case b&0x80 != 0:
		d.begun = true
		i, n, err := readInt(p, 7)
		if err != nil {
			return 0, err
		}
		f := d.table.at(i)
		if f == nil {
			return 0, errIndex
		}
		d.emit(f)
		return n, nil
	case b&0xc0 == 0x40:
		return d.literal(p, 6, true)
	case b&0xe0 == 0x20:
		size, n, err := readInt(p, 5)
		if err != nil {
			return 0, err
		}
		if d.begun || size > uint64(d.limit) {
			return 0, errTableSize
		}
		d.table.resize(int(size))
		return n, nil
	}
	return d.literal(p, 4, false) // without indexing, or never to be indexed
}

// literal decodes a literal field, of which the prefix has so many bits, and adds
// it to the table if it is to be indexed.
func (d *decoder) literal(p []byte, prefix int, indexed bool) (n int, err error) {
	d.begun = true
	i, n, err := readInt(p, prefix)
	if err != nil {
		return 0, err
	}
	var known *field
	var name, value rawString
	if i > 0 {
		if known = d.table.at(i); known == nil {
			return 0, errIndex
		}
	} else if name, err = d.readString(p, &n); err != nil {
		return 0, err
	}
	if value, err = d.readString(p, &n); err != nil {
		return 0, err
	}
	from := len(d.text)
	f := &d.f
	*f = field{}
	if known == nil {
		if f.name, err = d.decode(name); err != nil {
			return 0, err
		}
	} else {
		f.name, f.id = known.name, known.id
	}
	if f.value, err = d.decode(value); err != nil {
		return 0, err
	}
	if indexed {
		f.own(known)
		f.check()
		d.table.add(f)
	} else if known == nil {
		f.id = idOf(f.name)
	}
	if !d.emit(f) || indexed {
		d.text = d.text[:from]
	}
	return n, nil
}

// own gives f strings that are valid for ever, in one piece. The name of known,
// if that is set, is one already.
func (f *field) own(known *field) {
	f.owned = true
	if known != nil {
		f.value = strings.Clone(f.value)
		return
	}
	// Not f.name + f.value: with one of them empty that is the other, uncopied.
	both := make([]byte, 0, len(f.name)+len(f.value))
	both = append(append(both, f.name...), f.value...)
	f.name, f.value = textOf(both[:len(f.name)]), textOf(both[len(f.name):])
}

// A rawString is a string that was not decoded yet.
type rawString struct {
	b       []byte
	huffman bool
}

// readString finds the string literal at p[n:] (section 5.2) and moves n behind it.
func (d *decoder) readString(p []byte, n *int) (rawString, error) {
	p = p[*n:]
	if len(p) == 0 {
		return rawString{}, errNeedMore
	}
	length, at, err := readInt(p, 7)
	switch {
	case err != nil:
		return rawString{}, err
	case length > uint64(d.most):
		return rawString{}, hpack.ErrStringLength
	case uint64(len(p)-at) < length:
		return rawString{}, errNeedMore
	}
	*n += at + int(length)
	return rawString{p[at : at+int(length)], p[0]&0x80 != 0}, nil
}

// decode puts a string into text. What it returns stays valid when text grows.
func (d *decoder) decode(s rawString) (string, error) {
	from := len(d.text)
	if !s.huffman {
		d.text = append(d.text, s.b...)
		return textOf(d.text[from:]), nil
	}
	if _, err := hpack.HuffmanDecode((*textWriter)(d), s.b); err != nil {
		return "", err
	}
	if len(d.text)-from > d.most {
		return "", hpack.ErrStringLength
	}
	return textOf(d.text[from:]), nil
}

// A textWriter appends to a decoder's text.
type textWriter decoder

func (w *textWriter) Write(p []byte) (int, error) {
	w.text = append(w.text, p...)
	return len(p), nil
}

// readInt reads an integer with a prefix of so many bits at the beginning of p,
// which is not empty (section 5.1), and returns how many bytes that took.
func readInt(p []byte, prefix int) (i uint64, n int, err error) {
	most := uint64(1)<<prefix - 1
	if i = uint64(p[0]) & most; i < most {
		return i, 1, nil
	}
	for n = 1; n < len(p); n++ {
		shift := 7 * (n - 1)
		i += uint64(p[n]&0x7f) << shift
		if p[n]&0x80 == 0 {
			return i, n + 1, nil
		}
		if shift >= 56 {
			return 0, 0, errInteger
		}
	}
	return 0, 0, errNeedMore
}

// staticTable is appendix A, as the decoder of x/net knows it.
var staticTable = func() (t [staticFields]field) {
	dec := hpack.NewDecoder(0, nil)
	for i := range t {
		got, err := dec.DecodeFull([]byte{0x80 | byte(i+1)})
		if err != nil {
			panic(err)
		}
		t[i] = field{name: got[0].Name, value: got[0].Value, owned: true}
		t[i].check()
	}
	return t
}()

// A ring is a dynamic table (section 2.3.2), of which the entries are in a ring
// that grows as they become more. Those of a table of tableLimit are 128 at most.
type ring struct {
	fields      []field // a power of two of them; entry n is fields[n%len(fields)]
	added, gone uint64  // the newest entry, and the last that was evicted; the first is 1
	size, max   int
}

// at returns the field with an index, static ones included; nil when there is
// none. It is valid until the next add.
func (r *ring) at(index uint64) *field {
	if index-1 < staticFields {
		return &staticTable[index-1]
	}
	if index -= staticFields; index-1 >= r.added-r.gone { // of 0, too
		return nil
	}
	return &r.fields[(r.added+1-index)&uint64(len(r.fields)-1)]
}

func sizeOf(f *field) int { return len(f.name) + len(f.value) + fieldOverhead }

// add adds f. One that is larger than the table empties it (section 4.4).
func (r *ring) add(f *field) {
	size := sizeOf(f)
	r.evict(max(r.max-size, 0))
	if size > r.max {
		return
	}
	if r.added-r.gone == uint64(len(r.fields)) {
		r.grow()
	}
	r.added++
	r.fields[r.added&uint64(len(r.fields)-1)] = *f
	r.size += size
}

func (r *ring) grow() {
	bigger := make([]field, max(8, 2*len(r.fields)))
	for n := r.gone + 1; n <= r.added; n++ {
		bigger[n&uint64(len(bigger)-1)] = r.fields[n&uint64(len(r.fields)-1)]
	}
	r.fields = bigger
}

// evict drops the oldest entries until those that are left have at most size.
func (r *ring) evict(size int) {
	for r.size > size {
		r.gone++
		f := &r.fields[r.gone&uint64(len(r.fields)-1)]
		r.size -= sizeOf(f)
		*f = field{} // lets go of the strings
	}
}

func (r *ring) resize(most int) {
	r.max = most
	r.evict(most)
}
