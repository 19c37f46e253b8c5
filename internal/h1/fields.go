package h1

import (
	"slices"
	"unsafe"
)

// Fields is an ordered field section: names and values as received, in the order
// received, case kept. It cannot hold a malformed field.
//
// It owns its bytes in one buffer and keeps offsets into it, so that a pooled one is
// filled again without allocating per field. Slices it returns are valid until the
// next mutation or Reset, and must not be written to. Lookups ignore ASCII case and
// do not allocate; those by Name do not compare text either. Bytes of deleted and
// replaced fields stay in the buffer until Reset. The zero value is empty and ready;
// a used Fields must not be copied by assignment (see CopyFrom). Not safe for
// concurrent use.
type Fields struct {
	// buf holds whole lines, "name: value CRLF": what was parsed as it came, what
	// was added in that form. So lines that follow each other here and there are
	// written in one piece.
	buf   []byte
	lines []fieldLine
	// present are the names of lines, repeated those of more than one. NameOther
	// stands for many names, and may be in both when it is in neither.
	present, repeated NameSet
}

type fieldLine struct {
	nameAt, nameLen, valueAt, valueLen uint32

	name  Name
	plain bool // reads "name: value CRLF" in the buffer, as it is to be written
}

// end is where the text of a plain line ends.
func (l *fieldLine) end() uint32 { return l.valueAt + l.valueLen + 2 }

// Reset empties f and keeps its memory. What was returned before is invalid.
func (f *Fields) Reset() {
	f.buf = f.buf[:0]
	f.lines = f.lines[:0]
	f.present, f.repeated = 0, 0
}

// Size returns the bytes of memory f holds on to, so that a pool can let an
// unusually large one go.
func (f *Fields) Size() int { return cap(f.buf) + int(unsafe.Sizeof(fieldLine{}))*cap(f.lines) }

// Len returns the number of field lines; a repeated name counts each time.
func (f *Fields) Len() int { return len(f.lines) }

// At returns the i-th field line, 0 <= i < Len. It panics outside that range, as a
// slice does.
func (f *Fields) At(i int) (name, value []byte) {
	l := &f.lines[i]
	return f.nameOf(l), f.valueOf(l)
}

// Line is At with the number of the name.
func (f *Fields) Line(i int) (id Name, name, value []byte) {
	l := &f.lines[i]
	return l.name, f.nameOf(l), f.valueOf(l)
}

// Three-index slices: an append to what we returned must not write over a neighbour.
func (f *Fields) nameOf(l *fieldLine) []byte {
	return f.buf[l.nameAt : l.nameAt+l.nameLen : l.nameAt+l.nameLen]
}

func (f *Fields) valueOf(l *fieldLine) []byte {
	return f.buf[l.valueAt : l.valueAt+l.valueLen : l.valueAt+l.valueLen]
}

// next returns the index of the first line at or after i with that name, or -1.
func (f *Fields) next(n Name, i int) int {
	for ; i < len(f.lines); i++ {
		if f.lines[i].name == n {
			return i
		}
	}
	return -1
}

// find is next for any name. id is its number.
func (f *Fields) find(id Name, name string, i int) int {
	if f.present&id.set() == 0 {
		return -1
	}
	if id != NameOther {
		return f.next(id, i)
	}
	for ; i < len(f.lines); i++ {
		if l := &f.lines[i]; l.name == NameOther && int(l.nameLen) == len(name) && sameFold(f.nameOf(l), name) {
			return i
		}
	}
	return -1
}

// Get returns the value of the first field with that name, in any case.
func (f *Fields) Get(name string) (value []byte, ok bool) {
	i := f.find(NameOfString(name), name, 0)
	if i < 0 {
		return nil, false
	}
	return f.valueOf(&f.lines[i]), true
}

// Value is Get by number; n must not be NameOther.
func (f *Fields) Value(n Name) (value []byte, ok bool) {
	if f.present&n.set() == 0 {
		return nil, false
	}
	i := f.next(n, 0)
	if i < 0 {
		return nil, false
	}
	return f.valueOf(&f.lines[i]), true
}

// Once is Value of a field that is there exactly once; n must be one of the
// constants but NameOther.
func (f *Fields) Once(n Name) (value []byte, ok bool) {
	if f.repeated&n.set() != 0 {
		return nil, false
	}
	return f.Value(n)
}

// Has reports whether a field with that name is present.
func (f *Fields) Has(name string) bool { return f.find(NameOfString(name), name, 0) >= 0 }

// HasAny reports whether a field with a name of s is present. s must not hold
// NameOther.
func (f *Fields) HasAny(s NameSet) bool { return f.present&s != 0 }

// HasName reports whether a field with that name is present; n must not be
// NameOther.
func (f *Fields) HasName(n Name) bool {
	return f.present&n.set() != 0 && (n.tracked() || f.next(n, 0) >= 0)
}

// Count returns how many field lines have that name.
func (f *Fields) Count(name string) int {
	id, n := NameOfString(name), 0
	for i := f.find(id, name, 0); i >= 0; i = f.find(id, name, i+1) {
		n++
	}
	return n
}

// All iterates over the field lines in order. f must not be changed meanwhile.
func (f *Fields) All() func(yield func(name, value []byte) bool) {
	return func(yield func(name, value []byte) bool) {
		for i := range f.lines {
			if !yield(f.At(i)) {
				return
			}
		}
	}
}

// Add appends a field line. It returns a *ProtocolError and changes nothing when
// name or value is not valid (ValidName, ValidValue).
func (f *Fields) Add(name, value string) error { return f.AddBytes(bytesOf(name), bytesOf(value)) }

// AddBytes is Add for byte slices, which are copied.
func (f *Fields) AddBytes(name, value []byte) error {
	id := NameOf(name)
	if id == NameOther && !ValidName(name) {
		return refuse(400, "a field name is not a token")
	}
	if !ValidValue(value) {
		return errBadValue()
	}
	f.add(id, name, value)
	return nil
}

// AddName is AddBytes with the name of n as it is usually written. n must not be
// NameOther.
func (f *Fields) AddName(n Name, value []byte) error {
	if !ValidValue(value) {
		return errBadValue()
	}
	f.add(n, bytesOf(nameList[n].text), value)
	return nil
}

func errBadValue() error {
	return refuse(400, "a field value holds a control character or white space at an end")
}

// add appends a line that is known to be valid.
func (f *Fields) add(id Name, name, value []byte) {
	at := uint32(len(f.buf))
	f.buf = appendField(f.buf, name, value)
	l := f.push(id)
	l.nameAt, l.nameLen = at, uint32(len(name))
	l.valueAt, l.valueLen = at+uint32(len(name))+2, uint32(len(value))
	l.name, l.plain = id, true
}

// push appends a line that its caller fills, part by part: a fieldLine that is made
// elsewhere and copied costs as much again as all the rest of a line.
func (f *Fields) push(n Name) *fieldLine {
	if len(f.lines) == cap(f.lines) {
		f.lines = slices.Grow(f.lines, 16)
	}
	f.lines = f.lines[:len(f.lines)+1]
	s := n.set()
	f.repeated |= f.present & s
	f.present |= s
	return &f.lines[len(f.lines)-1]
}

// A Line is a field line that was found valid once and is added often.
type Line struct {
	text    string // "name: value CRLF"
	nameLen uint32
	name    Name
}

// NewLine returns the line of a field. The error is that of Fields.Add.
func NewLine(name, value string) (Line, error) {
	var f Fields
	if err := f.Add(name, value); err != nil {
		return Line{}, err
	}
	return Line{string(f.buf), f.lines[0].nameLen, f.lines[0].name}, nil
}

// MustLine is NewLine for constants. It panics where that returns an error.
func MustLine(name, value string) Line {
	l, err := NewLine(name, value)
	if err != nil {
		panic(err)
	}
	return l
}

// AddLine appends l, without looking at it again. The zero Line adds nothing.
func (f *Fields) AddLine(l Line) {
	if l.text == "" {
		return
	}
	at := uint32(len(f.buf))
	f.buf = append(f.buf, l.text...)
	valueAt := l.nameLen + 2
	to := f.push(l.name)
	to.nameAt, to.nameLen = at, l.nameLen
	to.valueAt, to.valueLen = at+valueAt, uint32(len(l.text))-valueAt-2
	to.name, to.plain = l.name, true
}

// Set replaces the value of the first field with that name and removes the others,
// or appends one when there is none. It returns a *ProtocolError and changes nothing
// when name or value is not valid.
func (f *Fields) Set(name, value string) error {
	id := NameOfString(name)
	i := f.find(id, name, 0)
	if err := f.Add(name, value); err != nil || i < 0 {
		return err
	}
	last := len(f.lines) - 1
	// The name as the caller writes it: a later reader should see what was set.
	f.lines[i] = f.lines[last]
	f.lines = f.lines[:last]
	for j := f.find(id, name, i+1); j >= 0; j = f.find(id, name, j) {
		f.lines = append(f.lines[:j], f.lines[j+1:]...)
	}
	if id.tracked() {
		f.repeated &^= id.set()
	}
	return nil
}

// Del removes every field with that name and returns how many there were.
func (f *Fields) Del(name string) int {
	id := NameOfString(name)
	switch {
	case id.tracked():
		return f.DelNames(id.set())
	case f.find(id, name, 0) < 0:
		return 0
	}
	return f.DelFunc(func(n, _ []byte) bool { return sameFold(n, name) })
}

// DelNames removes every field with a name of s and returns how many there were. s
// must not hold NameOther.
func (f *Fields) DelNames(s NameSet) int {
	if f.present&s == 0 {
		return 0
	}
	kept := 0
	for i := range f.lines {
		if f.lines[i].name.set()&s != 0 {
			continue
		}
		if kept != i {
			f.lines[kept] = f.lines[i]
		}
		kept++
	}
	n := len(f.lines) - kept
	f.lines = f.lines[:kept]
	f.present &^= s
	f.repeated &^= s
	return n
}

// dropLast removes the last line, which is the only one of its name.
func (f *Fields) dropLast() {
	last := len(f.lines) - 1
	if n := f.lines[last].name; n.tracked() {
		f.present &^= n.set()
	}
	f.lines = f.lines[:last]
}

// DelFunc removes the fields for which del says so and returns how many. del must
// not change f.
func (f *Fields) DelFunc(del func(name, value []byte) bool) int {
	lines, n := f.lines, 0
	f.lines, f.present, f.repeated = f.lines[:0], 0, 0
	for i := range lines {
		if del(f.nameOf(&lines[i]), f.valueOf(&lines[i])) {
			n++
		} else {
			*f.push(lines[i].name) = lines[i]
		}
	}
	return n
}

// CopyFrom makes f a copy of src that shares no memory with it.
func (f *Fields) CopyFrom(src *Fields) {
	f.buf = append(f.buf[:0], src.buf...)
	f.lines = append(f.lines[:0], src.lines...)
	f.present, f.repeated = src.present, src.repeated
}
