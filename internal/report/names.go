package report

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Names come from the log, and a log can hold anything: each kind of name is
// bounded in number and length, and what is beyond is counted together.
const (
	otherName = "(other)"
	maxName   = 256 // bytes

	maxTags    = 32
	maxWords   = 256 // outcomes, causes, error codes
	maxOrigins = 256
)

// names numbers the different values of one field, in the order in which they
// are first met; number 0 is otherName. All workers share it: reading takes no
// lock, a new name copies the map, which happens at most max times.
type names struct {
	max  int
	byID atomic.Pointer[map[string]int]
	mu   sync.Mutex // for new names
	list []string   // guarded by mu until the workers have ended
}

func newNames(max int) *names {
	n := &names{max: max, list: []string{otherName}}
	n.byID.Store(&map[string]int{})
	return n
}

// id returns the number of name.
func (n *names) id(name []byte) int {
	if id, ok := (*n.byID.Load())[string(name)]; ok {
		return id
	}
	return n.add(name)
}

func (n *names) add(name []byte) int {
	if len(name) > maxName {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	old := *n.byID.Load()
	if id, ok := old[string(name)]; ok {
		return id
	}
	if len(n.list) > n.max {
		return 0
	}
	id := len(n.list)
	n.list = append(n.list, string(name))
	next := maps.Clone(old)
	next[string(name)] = id
	n.byID.Store(&next)
	return id
}

// counts counts by number of name. The zero counts is empty.
type counts []uint64

func (c *counts) add(id int, n uint64) {
	if id >= len(*c) {
		*c = append(*c, make([]uint64, id+1-len(*c))...)
	}
	(*c)[id] += n
}

func (c *counts) merge(o counts) {
	for id, n := range o {
		if n > 0 {
			c.add(id, n)
		}
	}
}
