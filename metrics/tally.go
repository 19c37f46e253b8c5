package metrics

import (
	"sync"
	"time"
	"unsafe"

	"github.com/h2gw/h2gw/httpsm"
)

// A tally counts transactions. Each is counted in one of some shards, under its
// lock, in plain numbers: a transaction moves six counters and two histograms, which
// with atomics that all processors share would cost several times as much. A scrape
// adds the shards up. All that one transaction moves is moved at once, so the sums
// agree in each scrape, not only when nothing is in flight.
type tally struct {
	created time.Time
	shards  [tallyShards]tallyShard

	outcomes nameSet
	origins  *table[originNames]
}

// tallyShards: client connections fall on one by their number; two processors
// rarely meet at one.
const tallyShards = 16

// originNames are the labels of an origin and of its endpoints.
type originNames struct {
	label     string
	endpoints nameSet
}

// A tallyShard has the counts of some of the client connections. All of it is
// guarded by mu.
type tallyShard struct {
	mu      sync.Mutex
	protos  [numProtos]*protoTally // nil: none yet
	answers map[answer]*uint64
	recent  [recentSets][2]kind
	_       [64]byte // keeps two locks off one cache line
}

// A protoTally has the counts of the transactions of one protocol.
type protoTally struct {
	streams        uint64
	duration, ttfb timing
	requests       map[request]*uint64
	outcomes       map[string]*uint64 // by label
}

// request and answer are the labels of a counter; code is a codeIndex.
type (
	request struct{ method, code int }
	answer  struct {
		origin, endpoint string
		code             int
	}
)

// A kind is what transactions that move the same counters have in common, and those
// counters: most are like one before. The strings are as they came, not labels.
type kind struct {
	proto                  int
	method                 int
	status, originStatus   int
	outcome, group, origin string

	requests, outcomes, answers *uint64 // answers nil: no origin answered
	of                          *protoTally
}

func newTally() *tally {
	t := &tally{
		created:  time.Now(),
		outcomes: newNameSet(maxOutcomes),
		origins: newTable(maxOrigins, func(label string) *originNames {
			return &originNames{label, newNameSet(maxEndpoints)}
		}),
	}
	// The protocols that a gateway serves are there, at 0, before the first
	// request. The others stay out of sight until used.
	s := &t.shards[0]
	for p := protoH2; p <= protoHTTP1; p++ {
		of := s.proto(p)
		for _, outcome := range httpsm.Outcomes() {
			cell(of.outcomes, t.outcomes.label(string(outcome)))
		}
	}
	return t
}

// count counts one transaction of client connection id. times is nil for a stream
// that was refused.
func (t *tally) count(id uint64, k *kind, times *[2]time.Duration) {
	s := &t.shards[id%tallyShards]
	s.mu.Lock()
	r := t.kind(s, k)
	r.of.streams++
	*r.requests++
	*r.outcomes++
	if r.answers != nil {
		*r.answers++
	}
	if times != nil {
		r.of.duration.observe(times[0])
		if times[1] >= 0 {
			r.of.ttfb.observe(times[1])
		}
	}
	s.mu.Unlock()
}

// kind returns what s remembers of k, or finds it out: then the oldest one that would
// be in the same place is forgotten.
func (t *tally) kind(s *tallyShard, k *kind) *kind {
	set := &s.recent[k.set()]
	for i := range set {
		if set[i].same(k) {
			return &set[i]
		}
	}
	set[1] = set[0]
	t.bind(s, k)
	set[0] = *k
	return &set[0]
}

// same reports whether r, which was bound, counts where k does.
func (r *kind) same(k *kind) bool {
	return r.of != nil && r.status == k.status && r.proto == k.proto && r.method == k.method && r.originStatus == k.originStatus &&
		r.origin == k.origin && r.outcome == k.outcome && r.group == k.group
}

// recentSets is how many places there are for kinds, two for each.
const recentSets = 16

// set is where kinds like k are remembered. Addresses of origins look alike, but each
// endpoint has its text at another place, which is good enough for this.
func (k *kind) set() int {
	at := uint64(uintptr(unsafe.Pointer(unsafe.StringData(k.origin))))
	h := at ^ uint64(k.status)<<32 ^ uint64(k.method)<<48 ^ uint64(len(k.outcome))<<56
	return int(h * 0x9e3779b97f4a7c15 >> 60)
}

// bind finds the counters of k in s.
func (t *tally) bind(s *tallyShard, k *kind) {
	k.of = s.proto(k.proto)
	k.requests = cell(k.of.requests, request{k.method, codeIndex(k.status)})
	k.outcomes = cell(k.of.outcomes, t.outcomes.label(k.outcome))
	if k.originStatus != 0 {
		if s.answers == nil {
			s.answers = make(map[answer]*uint64)
		}
		names := t.origins.get(k.group)
		k.answers = cell(s.answers, answer{names.label, names.endpoints.label(k.origin), codeIndex(k.originStatus)})
	}
}

func (s *tallyShard) proto(p int) *protoTally {
	if s.protos[p] == nil {
		s.protos[p] = &protoTally{requests: make(map[request]*uint64), outcomes: make(map[string]*uint64)}
	}
	return s.protos[p]
}

// cell returns the counter of key in m, made if it is new.
func cell[K comparable](m map[K]*uint64, key K) *uint64 {
	c := m[key]
	if c == nil {
		c = new(uint64)
		m[key] = c
	}
	return c
}
