package h2session

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/h1"
)

// A collector keeps what a decoder emits, or not.
type collector struct {
	decoder
	got  []hpack.HeaderField
	kept []field // as emitted: valid until reset
	keep bool
}

func newCollector(limit, most int, keep bool) *collector {
	c := &collector{keep: keep}
	c.decoder = newDecoder(limit, most, func(f *field) bool {
		c.got = append(c.got, hpack.HeaderField{Name: strings.Clone(f.name), Value: strings.Clone(f.value)})
		if c.keep {
			c.kept = append(c.kept, *f)
		}
		return c.keep
	})
	return c
}

// block decodes a block that comes in pieces of some size, and checks that what
// was emitted is still what it was at the end.
func (c *collector) block(t *testing.T, p []byte, piece int) ([]hpack.HeaderField, error) {
	t.Helper()
	c.got, c.kept = nil, nil
	for len(p) > 0 {
		n := min(piece, len(p))
		frame := bytes.Clone(p[:n])
		if err := c.write(frame); err != nil {
			return c.got, err
		}
		clear(frame) // the next frame is read into the same buffer
		p = p[n:]
	}
	err := c.end()
	for i, f := range c.kept {
		if f.name != c.got[i].Name || f.value != c.got[i].Value {
			t.Fatalf("field %d was %q and has become %q: %q", i, c.got[i], f.name, f.value)
		}
		if want := idOf(f.name); f.id != want {
			t.Fatalf("%q has number %v, want %v", f.name, f.id, want)
		}
		if f.valid && (!h1.ValidName([]byte(f.name)) || !h1.ValidValue([]byte(f.value))) && f.name[0] != ':' {
			t.Fatalf("%q: %q is said to be valid", f.name, f.value)
		}
	}
	c.reset()
	return c.got, err
}

// What any encoder makes of any fields is decoded to them, in pieces of any size,
// and what was decoded lasts as long as it is said to.
func TestWhatIsEncodedIsDecoded(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var wire bytes.Buffer
		enc := hpack.NewEncoder(&wire)
		dec := newCollector(tableLimit, 1<<16, seed%3 > 0)
		for range 150 {
			wire.Reset()
			if rng.IntN(20) == 0 {
				enc.SetMaxDynamicTableSize(0)
				enc.SetMaxDynamicTableSize(uint32(rng.IntN(tableLimit + 1)))
			}
			var want []hpack.HeaderField
			for range rng.IntN(20) {
				f := hpack.HeaderField{
					Name:      []string{":path", "user-agent", "x-own", "Upper", "cookie", "", fmt.Sprint("n", rng.IntN(50))}[rng.IntN(7)],
					Value:     strings.Repeat([]string{"v", "\xff", "/a?b=", " "}[rng.IntN(4)], rng.IntN(1<<rng.IntN(9))) + fmt.Sprint(rng.IntN(9)),
					Sensitive: rng.IntN(3) == 0,
				}
				enc.WriteField(f)
				f.Sensitive = false
				want = append(want, f)
			}
			got, err := dec.block(t, wire.Bytes(), 1+rng.IntN(1<<rng.IntN(12)))
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("seed %d: %v, %v\nwant %v", seed, got, err, want)
			}
		}
	}
}

// The examples of appendix C.4: requests with Huffman coding, on one connection.
func TestTheExamplesOfTheRFC(t *testing.T) {
	dec := newCollector(tableLimit, 1<<10, true)
	for _, tt := range []struct{ block, want string }{
		{"828684418cf1e3c2e5f23a6ba0ab90f4ff", ":method=GET :scheme=http :path=/ :authority=www.example.com"},
		{"828684be5886a8eb10649cbf", ":method=GET :scheme=http :path=/ :authority=www.example.com cache-control=no-cache"},
		{"828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", ":method=GET :scheme=https :path=/index.html :authority=www.example.com custom-key=custom-value"},
	} {
		var p []byte
		fmt.Sscanf(tt.block, "%x", &p)
		got, err := dec.block(t, p, len(p))
		var s []string
		for _, f := range got {
			s = append(s, f.Name+"="+f.Value)
		}
		if strings.Join(s, " ") != tt.want || err != nil {
			t.Errorf("%s: %v, %v", tt.block, s, err)
		}
	}
	if dec.table.size != 164 {
		t.Errorf("the table has %d bytes, want 164", dec.table.size)
	}
}

func TestBlocksThatCannotBeDecoded(t *testing.T) {
	long := append([]byte{0x40, 1, 'n', 0x7f, 0x80 | 0x01}, 0x08) // a value of 1152 bytes
	tests := []struct {
		name  string
		block []byte
		want  error
	}{
		{"index 0", []byte{0x80}, errIndex},
		{"an index behind the tables", []byte{0x80 | 62}, errIndex},
		{"a name index behind the tables", []byte{0x7f, 0}, errIndex},
		{"an integer without an end", bytes.Repeat([]byte{0xff}, 20), errInteger},
		{"half a field", []byte{0x40, 1, 'n'}, errTruncated},
		{"a string that is too long to wait for", long, hpack.ErrStringLength},
		{"Huffman padding of zeros", []byte{0x00, 0x81, 0x00, 0x81, 0x00}, hpack.ErrInvalidHuffman},
		{"a table larger than allowed", []byte{0x3f, 0xe2, 0x1f}, errTableSize},
		{"a table size behind a field", []byte{0x82, 0x20}, errTableSize},
	}
	for _, tt := range tests {
		for _, piece := range []int{1, len(tt.block)} {
			dec := newCollector(tableLimit, 1<<10, true)
			if _, err := dec.block(t, tt.block, piece); !errors.Is(err, tt.want) {
				t.Errorf("%s, in pieces of %d: %v, want %v", tt.name, piece, err, tt.want)
			}
		}
	}
	// Several changes of the table's size may begin a block (RFC 7541, 4.2).
	dec := newCollector(tableLimit, 1<<10, true)
	dec.block(t, []byte{0x40, 1, 'n', 1, 'v'}, 9)
	if got, err := dec.block(t, []byte{0x3e, 0x3f, 0xe1, 0x1f, 0x82}, 9); err != nil || len(got) != 1 {
		t.Errorf("two size updates: %v, %v", got, err)
	}
}

// A string whose code is short and whose text is not: the limit is for both.
func TestALongTextOfAShortCode(t *testing.T) {
	v := strings.Repeat("0", 1000) // five bits each
	block := appendString([]byte{0x00, 1, 'n'}, v)
	dec := newCollector(tableLimit, 800, true)
	if _, err := dec.block(t, block, len(block)); !errors.Is(err, hpack.ErrStringLength) {
		t.Errorf("%v", err)
	}
}

// An entry that is larger than the table empties it (RFC 7541, section 4.4), and
// one of its own size is all that is in it.
func TestTheTableHoldsNoMoreThanItsSize(t *testing.T) {
	dec := newCollector(100, 1<<10, true)
	add := func(value int) {
		p := append([]byte{0x40, 1, 'n', byte(value)}, make([]byte, value)...)
		if _, err := dec.block(t, p, len(p)); err != nil {
			t.Fatal(err)
		}
	}
	add(1)
	add(1)
	if dec.table.size != 68 || dec.table.at(62) == nil || dec.table.at(63) == nil || dec.table.at(64) != nil {
		t.Fatalf("size %d", dec.table.size)
	}
	if add(67); dec.table.size != 100 || dec.table.at(62) == nil || dec.table.at(63) != nil {
		t.Fatalf("size %d", dec.table.size)
	}
	if add(68); dec.table.size != 0 || dec.table.at(62) != nil {
		t.Fatalf("size %d", dec.table.size)
	}
}

// Only what goes into the table is allocated, however many fields a block has.
func TestLiteralsAreNotAllocated(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector pools drop what they are given")
	}
	var block []byte
	for i := range 30 {
		block = appendString(append(block, 0x00), fmt.Sprint("x-field-", i))
		block = appendString(block, fmt.Sprint("a value that is coded, ", i))
		block = append(append(block, 0x04, 9), "/raw path"...)
	}
	n := 0
	dec := newDecoder(tableLimit, 1<<10, func(*field) bool { n++; return true })
	if a := testing.AllocsPerRun(100, func() {
		if dec.write(block) != nil || dec.end() != nil {
			t.Error("not decoded")
		}
		dec.reset()
	}); a > 0 {
		t.Errorf("%v allocations for a block", a)
	}
	if n == 0 {
		t.Error("no fields")
	}
}

// What is not kept leaves nothing behind.
func TestFieldsThatAreNotKeptTakeNoMemory(t *testing.T) {
	dec := newCollector(tableLimit, 1<<10, false)
	block := append([]byte{0x00, 1, 'n', 0x7f, 0x81, 0x06}, make([]byte, 127+128*6+1)...)
	for range 100 {
		if err := dec.write(block); err != nil {
			t.Fatal(err)
		}
	}
	if cap(dec.text) > 4<<10 {
		t.Errorf("%d bytes of text", cap(dec.text))
	}
}

// FuzzDecoder holds the decoder against that of x/net: the same blocks, in the
// same pieces, are the same fields or errors to both.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte("\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"), []byte("\x82\xbe\x40\x01n\x01v"), uint8(3))
	f.Add([]byte("\x3f\xe1\x1f\x40\x01n\x81\x1f"), []byte("\x20\x20\x3f\xe1\x1f\x82"), uint8(1))
	f.Add([]byte(""), []byte("\x8d0\xa2?\xcc0"), uint8('A'))
	f.Add([]byte("\x10\x02te\x08trailers\x00\x00\x00\x7f\x80\x01"), []byte("\x80"), uint8(20))
	f.Add([]byte("\x04\xff\x7f"+strings.Repeat("0", 250)+"\xff\xff\xff\xff"), []byte(""), uint8('"'))
	f.Fuzz(func(t *testing.T, one, two []byte, piece uint8) {
		const most = 300
		ours := newCollector(tableLimit, most, true)
		var want []hpack.HeaderField
		theirs := hpack.NewDecoder(tableLimit, func(f hpack.HeaderField) {
			f.Sensitive = false
			want = append(want, f)
		})
		theirs.SetMaxStringLength(most)
		for _, block := range [][]byte{one, two} {
			want = nil
			size := int(piece) + 1
			got, err := ours.block(t, block, size)
			var theirErr error
			for p := block; len(p) > 0 && theirErr == nil; p = p[min(size, len(p)):] {
				_, theirErr = theirs.Write(p[:min(size, len(p))])
			}
			if theirErr == nil {
				theirErr = theirs.Close()
			}
			if errors.Is(err, errTableSize) != strings.Contains(fmt.Sprint(theirErr), "table size update") {
				return // where size updates may be, they are both too strict and not enough
			}
			if errors.Is(err, hpack.ErrInvalidHuffman) && errors.Is(theirErr, hpack.ErrStringLength) {
				return // it is both, and x/net looks no further than to where it is too long
			}
			if (err == nil) != (theirErr == nil) || errors.Is(err, hpack.ErrStringLength) != errors.Is(theirErr, hpack.ErrStringLength) {
				t.Fatalf("%x: %v, x/net says %v", block, err, theirErr)
			}
			if n := min(len(got), len(want)); errors.Is(err, errTableSize) {
				got, want = got[:n], want[:n] // one of them may have met an update earlier that it refuses
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%x: %q, x/net says %q", block, got, want)
			}
			if err != nil {
				return
			}
		}
	})
}
