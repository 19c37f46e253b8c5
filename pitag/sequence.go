package pitag

import "sync/atomic"

// A Sequence hands out session identities. Ids start at 1 and never repeat in a
// process; 0 means "not set". It is safe for concurrent use. Make one with
// [NewSequence]; a Sequence must not be copied.
//
// It is deliberately this small: a source of ids that also encodes host and
// start time (a snowflake) can take its place behind the same two methods.
type Sequence struct {
	tag  string
	last *atomic.Uint64 // shared with every sequence made by WithTag
}

// NewSequence returns a sequence whose identities carry tag. tag may be empty.
func NewSequence(tag string) *Sequence {
	return &Sequence{tag: tag, last: new(atomic.Uint64)}
}

// WithTag returns a sequence that gives its identities another tag and draws
// from the same counter as s: an id is then unique over all protocols of a
// process, not only within one.
func (s *Sequence) WithTag(tag string) *Sequence {
	return &Sequence{tag: tag, last: s.last}
}

// Next returns the next identity.
func (s *Sequence) Next() Identity {
	return Identity{Tag: s.tag, ID: s.last.Add(1)}
}
