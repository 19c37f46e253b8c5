package h1

// Fields is an ordered field section: names and values as received, in the order
// received, case kept. It cannot hold a malformed field.
//
// It owns its bytes in one buffer and keeps offsets into it, so that a pooled one is
// filled again without allocating per field. Slices it returns are valid until the
// next mutation or Reset, and must not be written to. Lookups ignore ASCII case and
// do not allocate. Bytes of deleted and replaced fields stay in the buffer until
// Reset. The zero value is empty and ready; a used Fields must not be copied by
// assignment (see CopyFrom). Not safe for concurrent use.
type Fields struct {
	buf   []byte
	lines []fieldLine
}

type fieldLine struct{ nameAt, nameLen, valueAt, valueLen uint32 }

// Reset empties f and keeps its memory. What was returned before is invalid.
func (f *Fields) Reset() {
	f.buf = f.buf[:0]
	f.lines = f.lines[:0]
}

// Size returns the bytes of memory f holds on to, so that a pool can let an
// unusually large one go.
func (f *Fields) Size() int { return cap(f.buf) + 16*cap(f.lines) }

// Len returns the number of field lines; a repeated name counts each time.
func (f *Fields) Len() int { return len(f.lines) }

// At returns the i-th field line, 0 <= i < Len. It panics outside that range, as a
// slice does.
func (f *Fields) At(i int) (name, value []byte) {
	l := f.lines[i]
	return f.name(l), f.value(l)
}

// Three-index slices: an append to what we returned must not write over a neighbour.
func (f *Fields) name(l fieldLine) []byte {
	return f.buf[l.nameAt : l.nameAt+l.nameLen : l.nameAt+l.nameLen]
}

func (f *Fields) value(l fieldLine) []byte {
	return f.buf[l.valueAt : l.valueAt+l.valueLen : l.valueAt+l.valueLen]
}

// find returns the index of the first line at or after i with that name, or -1.
func (f *Fields) find(name string, i int) int {
	for ; i < len(f.lines); i++ {
		if l := f.lines[i]; int(l.nameLen) == len(name) && sameFold(f.name(l), name) {
			return i
		}
	}
	return -1
}

// Get returns the value of the first field with that name, in any case.
func (f *Fields) Get(name string) (value []byte, ok bool) {
	i := f.find(name, 0)
	if i < 0 {
		return nil, false
	}
	return f.value(f.lines[i]), true
}

// Has reports whether a field with that name is present.
func (f *Fields) Has(name string) bool { return f.find(name, 0) >= 0 }

// Count returns how many field lines have that name.
func (f *Fields) Count(name string) int {
	n := 0
	for i := f.find(name, 0); i >= 0; i = f.find(name, i+1) {
		n++
	}
	return n
}

// All iterates over the field lines in order. f must not be changed meanwhile.
func (f *Fields) All() func(yield func(name, value []byte) bool) {
	return func(yield func(name, value []byte) bool) {
		for _, l := range f.lines {
			if !yield(f.name(l), f.value(l)) {
				return
			}
		}
	}
}

// Add appends a field line. It returns a *ProtocolError and changes nothing when
// name or value is not valid (ValidName, ValidValue).
func (f *Fields) Add(name, value string) error { return addLine(f, name, value) }

// AddBytes is Add for byte slices, which are copied.
func (f *Fields) AddBytes(name, value []byte) error { return addLine(f, name, value) }

func addLine[T string | []byte](f *Fields, name, value T) error {
	l := fieldLine{nameAt: uint32(len(f.buf)), nameLen: uint32(len(name)), valueLen: uint32(len(value))}
	l.valueAt = l.nameAt + l.nameLen
	// Copied first and checked in place: one check for both kinds of text. What is
	// refused leaves the buffer again.
	buf := append(append(f.buf, name...), value...)
	if !ValidName(buf[l.nameAt:l.valueAt]) {
		return refuse(400, "a field name is not a token")
	}
	if !ValidValue(buf[l.valueAt:]) {
		return refuse(400, "a field value holds a control character or white space at an end")
	}
	f.buf = buf
	f.lines = append(f.lines, l)
	return nil
}

// Set replaces the value of the first field with that name and removes the others,
// or appends one when there is none. It returns a *ProtocolError and changes nothing
// when name or value is not valid.
func (f *Fields) Set(name, value string) error {
	i := f.find(name, 0)
	if err := f.Add(name, value); err != nil || i < 0 {
		return err
	}
	last := len(f.lines) - 1
	set := f.lines[last]
	f.lines = f.lines[:last]
	// The name as the caller writes it: a later reader should see what was set.
	f.lines[i] = set
	for j := f.find(name, i+1); j >= 0; j = f.find(name, j) {
		f.lines = append(f.lines[:j], f.lines[j+1:]...)
	}
	return nil
}

// Del removes every field with that name and returns how many there were.
func (f *Fields) Del(name string) int {
	if f.find(name, 0) < 0 {
		return 0
	}
	return f.DelFunc(func(n, _ []byte) bool { return sameFold(n, name) })
}

// DelFunc removes the fields for which del says so and returns how many. del must
// not change f.
func (f *Fields) DelFunc(del func(name, value []byte) bool) int {
	kept := f.lines[:0]
	for _, l := range f.lines {
		if !del(f.name(l), f.value(l)) {
			kept = append(kept, l)
		}
	}
	n := len(f.lines) - len(kept)
	f.lines = kept
	return n
}

// CopyFrom makes f a copy of src that shares no memory with it.
func (f *Fields) CopyFrom(src *Fields) {
	f.buf = append(f.buf[:0], src.buf...)
	f.lines = append(f.lines[:0], src.lines...)
}
