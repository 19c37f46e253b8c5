package vconn

import "sync"

// Chunk sizes. A request or response head fits the first; one DATA frame of the
// default size the third; the last is what bulk writers use, and large enough
// that the cost of a chunk disappears behind its copies.
var classSizes = [...]int{smallSize, 4 << 10, 16 << 10, 32 << 10}

var classPools [len(classSizes)]sync.Pool

// onChunk, when a test sets it before any connection exists, sees every chunk
// taken (+1) and returned (-1).
var onChunk func(delta int)

// A chunk is a piece of buffered bytes, b[r:w], in a list. It belongs to one
// half, under the pair's lock, from takeChunk to putChunk.
type chunk struct {
	next  *chunk
	b     []byte
	r, w  int
	class uint8
	spent bool // the meter was told of it
}

// A smallChunk is a chunk of the first class with its bytes behind it, 1 KiB in
// all: who looks at the one has the first of the others at hand.
type smallChunk struct {
	chunk
	bytes [smallSize]byte
}

const smallSize = 960

// takeChunk returns an empty chunk that holds want bytes, or the largest there
// is.
func takeChunk(want int) *chunk {
	class := 0
	for class < len(classSizes)-1 && classSizes[class] < want {
		class++
	}
	if onChunk != nil {
		onChunk(+1)
	}
	if k, ok := classPools[class].Get().(*chunk); ok {
		return k
	}
	if class == 0 {
		k := new(smallChunk)
		k.b = k.bytes[:]
		return &k.chunk
	}
	return &chunk{b: make([]byte, classSizes[class]), class: uint8(class)}
}

func putChunk(k *chunk) {
	if onChunk != nil {
		onChunk(-1)
	}
	k.next, k.r, k.w = nil, 0, 0
	classPools[k.class].Put(k)
}

// A buffer is a bounded first-in first-out list of chunks. It does no waiting
// and no locking.
type buffer struct {
	head, tail *chunk
	n          int // bytes held
	bound      int // most bytes held
	meter      Meter

	// A chunk that Peek has shown must not go back to the pool under the
	// reader's eyes when the *other* end resets: it is set aside in orphan
	// until the reading end's next call.
	pinned bool
	orphan *chunk
}

func (b *buffer) room() int { return b.bound - b.n }

// write copies in as much of p as fits the bound.
func (b *buffer) write(p []byte) int {
	p = p[:min(len(p), b.bound-b.n)]
	total := len(p)
	for len(p) > 0 {
		if b.tail == nil || b.tail.w == len(b.tail.b) {
			// A chunk as large as what waits already: many small writes
			// make a short list, and at most half of it is unused.
			b.grow(max(len(p), b.n))
		}
		k := b.tail
		n := copy(k.b[k.w:], p)
		k.w += n
		b.n += n
		p = p[n:]
	}
	return total
}

func (b *buffer) grow(want int) {
	k := takeChunk(want)
	if b.meter != nil && (b.tail != nil || k.class > 0) {
		k.spent = true
		b.meter.Buffered(len(k.b))
	}
	if b.tail == nil {
		b.head = k
	} else {
		b.tail.next = k
	}
	b.tail = k
}

// read copies out up to len(p) bytes and returns drained chunks.
func (b *buffer) read(p []byte) int {
	b.unpin()
	total := 0
	for b.head != nil && total < len(p) {
		k := b.head
		n := copy(p[total:], k.b[k.r:k.w])
		total += n
		b.skip(n)
	}
	return total
}

// skip consumes n bytes of the first chunk, n at most what it holds.
func (b *buffer) skip(n int) {
	k := b.head
	k.r += n
	b.n -= n
	if k.r < k.w {
		return
	}
	b.head = k.next
	if b.head == nil {
		b.tail = nil
	}
	b.put(k)
}

// put gives a chunk back.
func (b *buffer) put(k *chunk) {
	b.unmeter(k)
	putChunk(k)
}

func (b *buffer) unmeter(k *chunk) {
	if k.spent {
		k.spent = false
		b.meter.Buffered(-len(k.b))
	}
}

// peek shows the bytes of the first chunk and pins it.
func (b *buffer) peek() []byte {
	b.unpin()
	if b.head == nil {
		return nil
	}
	b.pinned = true
	k := b.head
	return k.b[k.r:k.w:k.w]
}

// discard consumes up to n bytes, from as many chunks as it takes.
func (b *buffer) discard(n int) int {
	b.unpin()
	total := 0
	for b.head != nil && total < n {
		k := min(n-total, b.head.w-b.head.r)
		total += k
		b.skip(k)
	}
	return total
}

// unpin ends the validity of what peek showed: the reading end has moved on.
func (b *buffer) unpin() {
	b.pinned = false
	if b.orphan != nil {
		b.put(b.orphan)
		b.orphan = nil
	}
}

// abandon leaves a chunk that Peek has shown, and that was cleared away since, to
// the garbage collector: its reader, another goroutine, may still be looking.
func (b *buffer) abandon() {
	if k := b.orphan; k != nil {
		b.orphan = nil
		b.unmeter(k)
		if onChunk != nil {
			onChunk(-1)
		}
	}
}

// clear gives all chunks back, but for a pinned one, and returns the number of
// bytes lost.
func (b *buffer) clear() int {
	if b.pinned && b.head != nil {
		b.orphan, b.head = b.head, b.head.next
		b.pinned = false
	}
	for b.head != nil {
		k := b.head
		b.head = k.next
		b.put(k)
	}
	lost := b.n
	b.tail, b.n = nil, 0
	return lost
}
