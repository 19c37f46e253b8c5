package report

import (
	"cmp"
	"slices"
)

// An event is what one line says of its client connection.
type event struct {
	id      uint64 // piid
	tag     uint32 // number of pitag
	session bool
	streams uint64 // of a session line
	in, out uint64 // bytes: of bodies in an access line, of the connection in a session line
	client  []byte // view into the text of the chunk's result
}

// connKey names a client connection within one run of the gateway.
type connKey struct {
	id  uint64
	tag uint32
}

// A conn is a client connection whose lines do not add up yet: balance is its
// access lines minus the streams that its session lines account for.
//
// One number is enough for all that can happen. Lines may come in any order
// (the log's writer is sharded, files may be named in any order): the sum does
// not change. A restarted gateway begins again at piid 1: when a connection has
// closed its balance is 0, and the next one of that name starts from there. In
// the end more than 0 is a connection that did not close, with that many
// streams, and less than 0 is access lines that the log does not have.
type conn struct {
	key     connKey
	balance int64
	in, out uint64 // bytes of bodies since the balance was last 0
	client  string
}

// A ledger follows the client connections and keeps the busiest. It holds only
// connections with a balance, so that its size depends on how many are open at
// once and not on how many there were. Past max of them it follows a sample:
// those whose hash begins with level zero bits, one in 2^level. The sample is
// fair, and what is known of a connection in it is exact, since it was followed
// from its first line on.
type ledger struct {
	max   int
	level uint
	conns map[connKey]*conn
	free  []*conn
	top   topList
	// unidentified is the balance of the lines without piid.
	unidentified int64
}

func newLedger(maxConns, top int) *ledger {
	return &ledger{max: maxConns, conns: map[connKey]*conn{}, top: topList{max: top}}
}

func (k connKey) hash() uint64 {
	// The finalizer of splitmix64; ids are consecutive, their hashes are not.
	x := k.id + uint64(k.tag+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (g *ledger) followed(k connKey) bool {
	return g.level == 0 || k.hash()>>(64-g.level) == 0
}

// apply takes one event into account.
func (g *ledger) apply(e *event) {
	delta := int64(1)
	if e.session {
		g.top.offerSession(e)
		if delta = -int64(e.streams); delta == 0 {
			return
		}
	}
	k := connKey{id: e.id, tag: e.tag}
	if k.id == 0 {
		g.unidentified += delta
		return
	}
	if !g.followed(k) {
		return
	}
	c := g.conns[k]
	if c == nil {
		if c = g.insert(k); c == nil {
			return
		}
	}
	if c.client == "" {
		c.client = string(e.client)
	}
	if !e.session {
		c.in += e.in
		c.out += e.out
	}
	if c.balance += delta; c.balance == 0 {
		delete(g.conns, k)
		g.free = append(g.free, c)
	}
}

// insert returns a new conn for k, or nil when making room for it has put k
// outside the sample.
func (g *ledger) insert(k connKey) *conn {
	for len(g.conns) >= g.max {
		g.level++
		for other, c := range g.conns {
			if !g.followed(other) {
				delete(g.conns, other)
				g.free = append(g.free, c)
			}
		}
		if !g.followed(k) {
			return nil
		}
	}
	c := new(conn)
	if n := len(g.free); n > 0 {
		c, g.free = g.free[n-1], g.free[:n-1]
	}
	*c = conn{key: k}
	g.conns[k] = c
	return c
}

// A topEntry is a connection among the busiest. The order of entries is total,
// so that the list does not depend on the order of the lines.
type topEntry struct {
	key     connKey
	client  string
	streams uint64
	in, out uint64
	open    bool
}

func (a topEntry) compare(b topEntry) int {
	open := func(e topEntry) int {
		if e.open {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(b.streams, a.streams), cmp.Compare(b.in+b.out, a.in+a.out), cmp.Compare(b.out, a.out),
		cmp.Compare(a.key.id, b.key.id), cmp.Compare(a.key.tag, b.key.tag), cmp.Compare(open(a), open(b)), cmp.Compare(a.client, b.client),
	)
}

// A topList keeps the max busiest connections, busiest first. It is short, and
// nearly every offer fails at the first comparison: a sorted slice will do.
type topList struct {
	max     int
	entries []topEntry
}

func (t *topList) offerSession(e *event) {
	if len(t.entries) == t.max && (t.max == 0 || e.streams < t.entries[t.max-1].streams) || e.streams == 0 {
		return
	}
	t.offer(topEntry{key: connKey{id: e.id, tag: e.tag}, client: string(e.client), streams: e.streams, in: e.in, out: e.out})
}

func (t *topList) offer(e topEntry) {
	i, _ := slices.BinarySearchFunc(t.entries, e, topEntry.compare)
	if i >= t.max {
		return
	}
	if len(t.entries) == t.max {
		t.entries = t.entries[:t.max-1]
	}
	t.entries = slices.Insert(t.entries, i, e)
}
