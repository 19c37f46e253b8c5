package prefetch

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// A page is memory whose first line begins with it.
type page [64 * line]byte

func newPage() *page {
	b := make([]byte, 2*unsafe.Sizeof(page{}))
	return (*page)(unsafe.Pointer(&b[line-uintptr(unsafe.Pointer(&b[0]))%line]))
}

func TestAListNamesEachLineOfWhatItIsGiven(t *testing.T) {
	p := newPage()
	for name, tc := range map[string]struct {
		from, size uintptr
		lines      int
	}{
		"a byte":                     {0, 1, 1},
		"a line":                     {0, line, 1},
		"the last byte of a line":    {line - 1, 1, 1},
		"two bytes in two lines":     {line - 1, 2, 2},
		"a line's worth in two":      {8, line, 2},
		"three lines":                {line, 3 * line, 3},
		"as many as can be":          {0, maxLines * line, maxLines},
		"more than that":             {0, 64 * line, maxLines},
		"nothing":                    {0, 0, 0},
		"a size that cannot be":      {0, math.MaxUint32, maxLines},
		"the end of one to the next": {5*line + 60, 8, 2},
	} {
		var l List
		l.Span(unsafe.Pointer(&p[tc.from]), tc.size)
		if l.Lines() != tc.lines {
			t.Errorf("%s: %d lines, want %d", name, l.Lines(), tc.lines)
		}
		if want := uintptr(unsafe.Pointer(p)) + tc.from/line*line; tc.lines > 0 && l.spans[0]&^maxLines != want {
			t.Errorf("%s: from %#x on, want %#x", name, l.spans[0]&^maxLines, want)
		}
	}
}

func TestAFullListIgnoresWhatIsMore(t *testing.T) {
	var l, all List
	for range maxSpans + 5 {
		Add(&l, newPage())
	}
	Add[page](&all, nil)
	all.AddFirst(7, &l)
	all.AddFirst(maxSpans, &List{})
	if all.Len() != 7 || all.spans[6] != l.spans[6] {
		t.Errorf("%d of the first 7", all.Len())
	}
	all.Reset()
	all.AddFirst(maxSpans, &l)
	all.AddFirst(maxSpans, &l)
	Add(&all, newPage())
	if l.n != maxSpans || all != l {
		t.Errorf("%d spans, then %d", l.n, all.n)
	}
	if l.Reset(); l != (List{}) {
		t.Error("a list is not empty after Reset")
	}
}

// Whatever is named, fetching it is no fault, even where there is nothing.
func TestFetchingNeverFaults(t *testing.T) {
	var l List
	l.Fetch()
	l.FetchList()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		l.Reset()
		for range rng.IntN(maxSpans + 1) {
			l.spans[l.n] = uintptr(rng.Uint64() >> rng.IntN(64))
			l.n++
		}
		l.Fetch()
	}
}

func TestReachFollowsFieldsToWhatTheyLeadTo(t *testing.T) {
	type leaf [3 * line]byte
	type inner struct {
		any  any
		leaf *leaf
		buf  []byte
		none *inner
	}
	v := &struct{ in inner }{inner{any: &inner{leaf: new(leaf)}, leaf: new(leaf), buf: make([]byte, 1, 100*line), none: nil}}
	for name, tc := range map[string]struct {
		path  []string
		found bool
		least int
	}{
		"a field":                  {[]string{"in"}, true, 1},
		"through a pointer":        {[]string{"in", "leaf"}, true, 3},
		"through an interface":     {[]string{"in", "any", "leaf"}, true, 3},
		"the beginning of a slice": {[]string{"in", "buf"}, true, shortSlice / line},
		"itself":                   {nil, true, 1},
		"a nil pointer":            {[]string{"in", "none"}, false, 0},
		"behind a nil pointer":     {[]string{"in", "none", "leaf"}, false, 0},
		"a nil interface":          {[]string{"in", "any", "any"}, false, 0},
		"no such field":            {[]string{"in", "was"}, false, 0},
		"a field of no struct":     {[]string{"in", "buf", "len"}, false, 0},
	} {
		var l List
		if found := Reach(&l, v, tc.path...); found != tc.found || l.Lines() < tc.least || !found && l.n > 0 {
			t.Errorf("%s: %t, %d lines; want %t, at least %d", name, found, l.Lines(), tc.found, tc.least)
		}
	}
	if Reach(new(List), nil) {
		t.Error("nothing was found behind nil")
	}
}

// BenchmarkCold reads 32 lines of each of many objects in turn, as a poller serves
// sessions, with and without their having been fetched while the one before was read.
func BenchmarkCold(b *testing.B) {
	const objects = 1 << 14
	type object struct {
		next *object // in no order that a processor would guess
		_    [line - 8]byte
		rest [31][line]byte
	}
	all := make([]object, objects)
	order := rand.New(rand.NewPCG(3, 4)).Perm(objects)
	lists := make(map[*object]*List)
	for i, at := range order {
		all[at].next = &all[order[(i+1)%objects]]
		l := new(List)
		Add(l, &all[at])
		lists[&all[at]] = l
	}
	for name, fetches := range map[string]bool{"as it comes": false, "fetched before": true} {
		b.Run(name, func(b *testing.B) {
			var turn []*List
			for o := &all[0]; len(turn) < objects; o = o.next {
				turn = append(turn, lists[o.next])
			}
			o := &all[0]
			var sum int
			for i := range b.N {
				if l := turn[i%objects]; fetches {
					turn[(i+1)%objects].FetchList()
					l.Fetch()
				}
				for j := range o.rest { // each read waits for the one before, as pointers do
					sum += int(o.rest[(j+sum&1)%len(o.rest)][0])
				}
				o = o.next
			}
			if sum != 0 {
				b.Fatal(sum)
			}
		})
	}
}
