package h2session

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/h1"
)

// fieldsOf makes a field section of names and values in turn.
func fieldsOf(t testing.TB, fields ...string) *h1.Fields {
	t.Helper()
	fs := new(h1.Fields)
	for i := 0; i < len(fields); i += 2 {
		if err := fs.Add(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

// want is what a decoder has to make of a response head.
func want(status int, fs *h1.Fields) (all []hpack.HeaderField) {
	all = append(all, hpack.HeaderField{Name: ":status", Value: fmt.Sprint(status)})
	for name, value := range fs.All() {
		if lower := strings.ToLower(string(name)); !connectionSpecific(lower) {
			all = append(all, hpack.HeaderField{Name: lower, Value: string(value)})
		}
	}
	return all
}

// Whatever is encoded, in whatever order, with whatever table sizes in between:
// another decoder makes the same fields of it.
func TestAnyFieldsAreDecodedToThemselves(t *testing.T) {
	names := []string{"Date", "ETag", "content-type", "X-Own", "x-other", "Set-Cookie", "Cache-Control", "Priority", "Connection",
		"X-" + strings.Repeat("long-", 40), "Vary", "server", "Content-Length"}
	values := []string{"", "a", "text/html; charset=utf-8", strings.Repeat("v", 300), strings.Repeat("\xfe", 50), "u=1", "12345"}
	statuses := []int{100, 200, 204, 206, 304, 400, 404, 500, 301, 302, 503, 599}
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		e := newBlockEncoder()
		dec := hpack.NewDecoder(tableLimit, nil)
		for range 400 {
			fs := new(h1.Fields)
			for range rng.IntN(8) {
				value := values[rng.IntN(len(values))]
				if rng.IntN(3) == 0 {
					value = fmt.Sprint("unique ", rng.IntN(300))
				}
				fs.Add(names[rng.IntN(len(names))], value)
			}
			if rng.IntN(50) == 0 {
				// As SETTINGS would, once or twice between two blocks.
				for range 1 + rng.IntN(2) {
					e.resize(uint32(rng.IntN(6000)))
				}
			}
			status := statuses[rng.IntN(len(statuses))]
			e.head(status, fs)
			got, err := dec.DecodeFull(e.block)
			if err != nil || !slices.Equal(got, want(status, fs)) {
				t.Fatalf("seed %d: %v, %v\nwant %v", seed, got, err, want(status, fs))
			}
		}
	}
}

// A field that comes again and again costs a byte or two, whatever else comes.
func TestAFieldThatComesAgainIsIndexed(t *testing.T) {
	e := newBlockEncoder()
	fs := fieldsOf(t, "Server", "nginx/1.22.1", "X-Own", "a value of its own", "Content-Type", "text/html")
	var sizes []int
	for range 4 {
		e.head(301, fs)
		sizes = append(sizes, len(e.block))
	}
	if sizes[2] != 4 || sizes[3] != 4 {
		t.Errorf("blocks of %v bytes, want 4 in the end", sizes)
	}
	for i := range 1000 {
		e.head(200, fieldsOf(t, "ETag", fmt.Sprint(i)))
	}
	if e.head(301, fs); len(e.block) != 4 {
		t.Errorf("after values that came once: %d bytes, want 4", len(e.block))
	}
}

// What has gone out of the table is put in again when it comes again.
func TestAFieldThatWasEvictedIsIndexedAgain(t *testing.T) {
	e := newBlockEncoder()
	dec := hpack.NewDecoder(tableLimit, nil)
	send := func(name, value string) int {
		fs := fieldsOf(t, name, value)
		e.head(200, fs)
		if got, err := dec.DecodeFull(e.block); err != nil || !slices.Equal(got, want(200, fs)) {
			t.Fatalf("%v, %v", got, err)
		}
		return len(e.block)
	}
	for range 2 {
		send("x-own", "value")
	}
	if n := send("x-own", "value"); n != 2 {
		t.Fatalf("%d bytes, want 2", n)
	}
	for i := range 40 {
		for range 2 {
			send("x-large", fmt.Sprint(i, strings.Repeat("x", 200)))
		}
	}
	if n := send("x-own", "value"); n <= 2 {
		t.Errorf("%d bytes: still in the table", n)
	}
	send("x-own", "value") // the cache had forgotten it, too
	if n := send("x-own", "value"); n != 2 {
		t.Errorf("%d bytes, want 2", n)
	}
}

// More fields than are remembered come as they are: they do not push each other
// out, response after response.
func TestMoreFieldsThanAreRememberedDoNotThrash(t *testing.T) {
	e := newBlockEncoder()
	fs := new(h1.Fields)
	for i := range 100 {
		fs.Add(fmt.Sprint("x-own-", i), fmt.Sprint("value ", i))
	}
	for range 3 {
		e.head(200, fs)
	}
	met := *e.met.metCache
	if n := testing.AllocsPerRun(50, func() { e.head(200, fs) }); n > 0 {
		t.Errorf("%v allocations for a head", n)
	}
	for i := range met.hashes {
		if met.hashes[i] != e.met.hashes[i] {
			t.Fatal("a field was displaced by others that come as often")
		}
	}
}

// Guesses of a secret must not become visible in the size of a block.
func TestSecretsStayOutOfTheTable(t *testing.T) {
	e := newBlockEncoder()
	for _, name := range []string{"Set-Cookie", "Authorization"} {
		for range 3 {
			e.head(200, fieldsOf(t, name, "secret"))
		}
		if e.table.added != 0 {
			t.Errorf("%s went into the table", name)
		}
	}
}

// A table of nothing, or too small for a field, is left alone.
func TestATableThatHoldsNothing(t *testing.T) {
	e := newBlockEncoder()
	dec := hpack.NewDecoder(tableLimit, nil)
	fs := fieldsOf(t, "x-own", "value")
	e.resize(0)
	for range 4 {
		e.head(200, fs)
		if got, err := dec.DecodeFull(e.block); err != nil || !slices.Equal(got, want(200, fs)) {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if e.table.added != 0 || e.table.size != 0 {
		t.Errorf("table %+v", e.table)
	}
}

// The name index and the integers are those of the RFC's examples (appendix C.1).
func TestIntegers(t *testing.T) {
	for _, tt := range []struct {
		n      uint64
		prefix int
		want   []byte
	}{{10, 5, []byte{10}}, {1337, 5, []byte{31, 154, 10}}, {42, 8, []byte{42}}, {30, 5, []byte{30}}, {31, 5, []byte{31, 0}}, {127, 7, []byte{127, 0}}, {255, 7, []byte{127, 128, 1}}} {
		if got := appendInt(nil, 0, tt.prefix, tt.n); !bytes.Equal(got, tt.want) {
			t.Errorf("%d in %d bits: %v, want %v", tt.n, tt.prefix, got, tt.want)
		}
	}
}

// Our part of the static table is that of the decoder.
func TestStaticNames(t *testing.T) {
	for name, i := range staticName {
		got, err := hpack.NewDecoder(0, nil).DecodeFull(appendString(appendInt(nil, 0, 4, uint64(i)), "v"))
		if err != nil || len(got) != 1 || got[0].Name != name {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for status := 100; status < 600; status++ {
		if f := statusField(status); f != 0 {
			got, err := hpack.NewDecoder(0, nil).DecodeFull([]byte{f})
			if err != nil || len(got) != 1 || got[0].Name != ":status" || got[0].Value != fmt.Sprint(status) {
				t.Errorf("%d: %v, %v", status, got, err)
			}
		}
	}
}

// BenchmarkEncodeHead encodes a head like those of a web server: what repeats is
// in the table, and one field is new each time.
func BenchmarkEncodeHead(b *testing.B) {
	var fs h1.Fields
	e := newBlockEncoder()
	etag := []byte("\"65a1b2c3-00000000\"")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		fs.Reset()
		fs.Add("Server", "nginx/1.22.1")
		fs.Add("Date", "Mon, 23 Nov 2026 08:07:39 GMT")
		fs.Add("Content-Type", "text/html; charset=utf-8")
		fs.Add("Content-Length", "100")
		for at, n := len(etag)-2, i; n > 0; at, n = at-1, n/10 {
			etag[at] = byte('0' + n%10)
		}
		fs.AddBytes([]byte("ETag"), etag)
		fs.Add("Via", "1.1 h2gw")
		e.head(200, &fs)
	}
}
