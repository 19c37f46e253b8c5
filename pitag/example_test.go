package pitag_test

import (
	"fmt"

	"github.com/h2gw/h2gw/pitag"
)

// One counter names the client connections of every protocol, so that an id is
// enough to find one in the log.
func Example() {
	h2 := pitag.NewSequence(pitag.TagH2)
	http1 := h2.WithTag(pitag.TagHTTP1)

	first, second := h2.Next(), http1.Next()
	fmt.Println(first, second, pitag.Identity{})

	var read pitag.Identity
	if err := read.UnmarshalText([]byte("h2#1")); err != nil {
		fmt.Println(err)
	}
	fmt.Println(read == first, read.Tag, read.ID)
	// Output:
	// h2#1 http/1.1#2 *#0
	// true h2 1
}
