package h2session

import (
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/h1"
)

// However often the client changes its header table between two blocks, what
// comes is what decoders take: also that of Go, which wants an empty table before
// a second size update.
func TestTableSizesChangeBetweenBlocks(t *testing.T) {
	var fs h1.Fields
	fs.Add("x-repeated", "this value goes into the dynamic table")
	for _, sizes := range [][]uint32{{4096}, {100}, {0}, {100, 4096}, {672, 3520}, {4096, 200, 4096, 300}, {0, 4096}, {3000, 100}} {
		e := newBlockEncoder()
		dec := hpack.NewDecoder(4096, nil)
		check := func(when string) {
			e.head(200, &fs)
			got, err := dec.DecodeFull(e.block)
			if err != nil || len(got) != 2 || got[1].Value != "this value goes into the dynamic table" {
				t.Errorf("%v, %s: %v, %v", sizes, when, got, err)
			}
		}
		check("before")
		check("the field is known")
		check("the field is in the table")
		for _, n := range sizes {
			e.resize(n)
		}
		check("after")
		check("and again")
	}
}
