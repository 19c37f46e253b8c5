package vconn

import (
	"fmt"
	"slices"
	"sync"
)

// Notes say what became of one request and its response on their way through
// the gateway: every field that was changed, dropped, merged or added, and why,
// each in a sentence for people. They are kept only while somebody wants to read
// them; a nil *Notes stands for nobody, so whoever has something to note looks
// at that first and otherwise pays nothing.
//
// Both ends of a connection write into the same Notes; they are safe for
// concurrent use.
type Notes struct {
	mu                sync.Mutex
	request, response []string
}

// maxNotes bounds each of the two lists: a head has fewer fields than that, but
// trailers and interim heads come on top.
const maxNotes = 512

// Request adds a note on the request.
func (n *Notes) Request(format string, args ...any) { n.add(&n.request, format, args) }

// Response adds a note on the response.
func (n *Notes) Response(format string, args ...any) { n.add(&n.response, format, args) }

func (n *Notes) add(list *[]string, format string, args []any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(*list) < maxNotes {
		*list = append(*list, fmt.Sprintf(format, args...))
	}
}

// Lists returns copies of the notes on the request and on the response, each in
// the order they were made.
func (n *Notes) Lists() (request, response []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.request), slices.Clone(n.response)
}

// Notes are those of Options; nil: none are kept.
func (c *Conn) Notes() *Notes { return c.pair.notes }
