package metrics

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/h2gw/h2gw/pitag"
)

// Label values for what is not in a closed set and for what is absent.
const (
	other  = "_other"
	absent = pitag.AbsentTag
)

// The values of the label proto, and the index of each in tables of children.
const (
	protoH2 = iota
	protoH2C
	protoHTTP1
	protoAbsent
	protoOther
	numProtos
)

var protoNames = [numProtos]string{pitag.TagH2, pitag.TagH2C, pitag.TagHTTP1, absent, other}

func protoIndex(tag string) int {
	switch tag {
	case pitag.TagH2:
		return protoH2
	case pitag.TagHTTP1:
		return protoHTTP1
	case pitag.TagH2C:
		return protoH2C
	case "", absent:
		return protoAbsent
	}
	return protoOther
}

func protoName(tag string) string { return protoNames[protoIndex(tag)] }

// methodNames are the methods of RFC 9110, section 9, and RFC 5789. Anybody can
// invent more, so the rest is one value.
var methodNames = [...]string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", other, absent}

func methodIndex(m string) int {
	switch m {
	case "GET":
		return 0
	case "HEAD":
		return 1
	case "POST":
		return 2
	case "PUT":
		return 3
	case "DELETE":
		return 4
	case "CONNECT":
		return 5
	case "OPTIONS":
		return 6
	case "TRACE":
		return 7
	case "PATCH":
		return 8
	case "":
		return 10
	}
	return 9
}

// A codeIndex is a place in a table of status codes: 100 to 599 (RFC 9110,
// section 15), then "_other", then absent.
const (
	codeOther = 500 + iota
	codeAbsent
	numCodes
)

func codeIndex(status int) int {
	switch {
	case status >= 100 && status <= 599:
		return status - 100
	case status == 0:
		return codeAbsent
	}
	return codeOther
}

// labelText makes s fit for a label: never empty, always UTF-8 (client_golang
// panics on other bytes), not endless, and not a view of a buffer that somebody
// else will reuse.
func labelText(s string) string {
	if s == "" {
		return absent
	}
	const limit = 128
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.Clone(strings.ToValidUTF8(s, "_"))
}

// A table holds one V per label value, for a label whose values the code does
// not list. It learns values up to a bound; what comes after shares the value of
// "_other". Reading is a look-up in a map that never changes.
type table[V any] struct {
	bound int
	bind  func(label string) *V

	mu   sync.Mutex // for writers
	read atomic.Pointer[map[string]*V]
}

func newTable[V any](bound int, bind func(string) *V) *table[V] {
	t := &table[V]{bound: bound, bind: bind}
	t.read.Store(&map[string]*V{})
	return t
}

func (t *table[V]) get(key string) *V {
	if v, ok := (*t.read.Load())[key]; ok {
		return v
	}
	return t.learn(key)
}

func (t *table[V]) learn(key string) *V {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := *t.read.Load()
	if v, ok := old[key]; ok {
		return v
	}
	label := labelText(key)
	if len(old) >= t.bound {
		label = other
	}
	// Two keys may have one label ("" and "*"): they share the child. Past the
	// bound nothing is kept per key.
	v, ok := old[label]
	if ok && label == other {
		return v
	}
	next := maps.Clone(old)
	if !ok {
		v = t.bind(label)
		next[label] = v
	}
	if label != other {
		next[strings.Clone(key)] = v
	}
	t.read.Store(&next)
	return v
}

// A nameSet is a table that only maps a value to its label.
type nameSet struct{ *table[string] }

func newNameSet(bound int) nameSet {
	return nameSet{newTable(bound, func(label string) *string { return &label })}
}

func (n nameSet) label(s string) string { return *n.get(s) }

// frameTypes (RFC 9113, section 6, and what else is registered), errorCodes
// (section 7) and directions are closed: what is not in them is "_other".
var (
	frameTypes = setOf("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY",
		"WINDOW_UPDATE", "CONTINUATION", "ALTSVC", "ORIGIN", "PRIORITY_UPDATE")
	errorCodes = setOf("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
		"STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR",
		"ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED")
	directions = setOf("in", "out")
)

type closedSet map[string]bool

func setOf(names ...string) closedSet {
	s := make(closedSet, len(names))
	for _, n := range names {
		s[n] = true
	}
	return s
}

func (s closedSet) label(v string) string {
	switch {
	case s[v]:
		return v
	case v == "":
		return absent
	}
	return other
}
