package prefetch

import "unsafe"

// A List names memory that is going to be used together. It keeps nothing alive:
// what has been freed meanwhile is fetched for nothing. The zero List is empty.
//
// It has one owner, who alone may call its methods, but for Fetch and FetchList:
// anybody may, at any time.
type List struct {
	spans [maxSpans]uintptr // address of a line, and in the bits below how many; 0: the end
	n     int               // that Add has taken
}

const (
	line     = 64
	maxLines = line - 1
	maxSpans = 20 // fetch_*.s knows it, too
)

// Add adds what p points to: its first 63 lines of 64 bytes, at most. Nil adds
// nothing, as does anything to a full list.
func Add[T any](l *List, p *T) { l.Span(unsafe.Pointer(p), unsafe.Sizeof(*p)) }

// Span is Add, of size bytes from p on.
func (l *List) Span(p unsafe.Pointer, size uintptr) {
	if s := span(uintptr(p), size); s != 0 && l.n < maxSpans {
		l.spans[l.n] = s
		l.n++
	}
}

// AddFirst adds the first n things that other names.
func (l *List) AddFirst(n int, other *List) {
	l.n += copy(l.spans[l.n:], other.spans[:min(n, other.n)])
}

// Reset empties the list.
func (l *List) Reset() { *l = List{} }

// Fetch asks for all that the list names, without waiting for any of it.
func (l *List) Fetch() { fetch(l) }

// FetchList asks for the list itself, which Fetch has to read.
func (l *List) FetchList() { fetchList(l) }

// span packs the lines from at on; 0: there are none.
func span(at, size uintptr) uintptr {
	if at == 0 || size == 0 {
		return 0
	}
	first := at &^ (line - 1)
	return first | min((at+size-first+line-1)/line, maxLines)
}

// Len is how many things the list names.
func (l *List) Len() int { return l.n }

// Lines is how many lines the list names.
func (l *List) Lines() (n int) {
	for _, s := range l.spans[:l.n] {
		n += int(s % line)
	}
	return n
}
