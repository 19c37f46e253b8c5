package report

import (
	"bytes"
	"sync"
)

// maxBroken is how many broken lines are named; all are counted.
const maxBroken = 10

// maxClient clips a client's address; an honest one has at most 21 bytes, or 47
// with IPv6, and a zone.
const maxClient = 80

// A result is what a worker found in one chunk and what has an order: the
// events of connections, and broken lines, whose number in the file is known
// only when all chunks before have been counted.
type result struct {
	seq    uint64
	input  int
	lines  LineCounts
	broken []brokenAt
	events []event
	text   []byte // the clients of events
}

type brokenAt struct {
	line   uint64 // from 1 in the chunk
	reason string
}

func (r *result) reset(c chunk) {
	*r = result{seq: c.seq, input: c.input, broken: r.broken[:0], events: r.events[:0], text: r.text[:0]}
}

// A worker takes chunks from the source, parses and counts them.
type worker struct {
	src   *source
	seq   *sequencer
	tally *tally
	line  line
}

// run works until the source has no more chunks.
func (w *worker) run() {
	var buf []byte
	for {
		c, ok := w.src.next(&buf)
		if !ok {
			return
		}
		r := w.seq.get()
		r.reset(c)
		w.chunk(c, r)
		w.seq.put(r)
	}
}

func (w *worker) chunk(c chunk, r *result) {
	if c.tooLong {
		r.lines.Total++
		r.fail(errTooLong)
		return
	}
	for b := c.data; len(b) > 0; {
		text := b
		if end := bytes.IndexByte(b, '\n'); end >= 0 {
			text, b = b[:end], b[end+1:]
		} else {
			b = nil
		}
		r.lines.Total++
		if n := len(text); n > 0 && text[n-1] == '\r' {
			text = text[:n-1]
		}
		if err := w.one(text, r); err != nil {
			r.fail(err)
		}
	}
}

// one parses and counts one line.
func (w *worker) one(text []byte, r *result) error {
	if len(text) > maxLine {
		return errTooLong
	}
	l := &w.line
	if err := l.parse(text); err != nil {
		if len(bytes.TrimSpace(text)) == 0 {
			r.lines.Blank++
			return nil
		}
		return err
	}
	var access bool
	switch string(l.text(fEvent)) {
	case "access":
		access = true
	case "session":
	default:
		r.lines.Other++
		return nil
	}
	if err := w.tally.check(l, access); err != nil {
		return err
	}
	w.count(l, access, r)
	return nil
}

// count counts an access or session line, and adds its event to r.
func (w *worker) count(l *line, access bool, r *result) {
	tag := w.tally.voc.tags.id(l.text(fTag))
	e := event{id: l.number(fID), tag: uint32(tag), session: !access}
	if access {
		r.lines.Access++
		w.tally.access(l, tag)
	} else {
		r.lines.Session++
		w.tally.session(l, tag)
		e.streams = l.number(fStreams)
	}
	e.in, e.out = l.number(fBytesIn), l.number(fBytesOut)
	client := l.text(fClient)
	at := len(r.text)
	// When text grows, earlier events keep their view of the old array.
	r.text = append(r.text, client[:min(len(client), maxClient)]...)
	e.client = r.text[at:]
	r.events = append(r.events, e)
}

func (r *result) fail(err error) {
	r.lines.Broken++
	if len(r.broken) < maxBroken {
		r.broken = append(r.broken, brokenAt{line: r.lines.Total, reason: err.Error()})
	}
}

// A sequencer puts the results back into the order of the inputs and applies
// them, on the goroutine of whichever worker closed the gap. Results that wait
// for an earlier one are at most as many as there are slots.
type sequencer struct {
	mu      sync.Mutex
	turn    sync.Cond
	next    uint64
	slots   []*result // by seq modulo len(slots); nil: not there yet
	spare   []*result
	ledger  *ledger
	inputs  []inputCounts
	total   LineCounts
	broken  []BrokenLine
	sources []Input // names only
}

type inputCounts struct{ lines, broken uint64 }

func newSequencer(workers int, inputs []Input, g *ledger) *sequencer {
	s := &sequencer{slots: make([]*result, 4*workers), ledger: g, inputs: make([]inputCounts, len(inputs)), sources: inputs}
	s.turn.L = &s.mu
	return s
}

// get returns a result to fill.
func (s *sequencer) get() *result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.spare); n > 0 {
		r := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return r
	}
	return new(result)
}

// put hands r in. It waits only while r is so far ahead that it has no slot; the
// worker whose turn it is never waits.
func (s *sequencer) put(r *result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := uint64(len(s.slots))
	for r.seq >= s.next+n {
		s.turn.Wait()
	}
	s.slots[r.seq%n] = r
	moved := false
	for r := s.slots[s.next%n]; r != nil; r = s.slots[s.next%n] {
		s.slots[s.next%n] = nil
		s.apply(r)
		s.spare = append(s.spare, r)
		s.next++
		moved = true
	}
	if moved {
		s.turn.Broadcast()
	}
}

func (s *sequencer) apply(r *result) {
	in := &s.inputs[r.input]
	for _, b := range r.broken {
		if len(s.broken) == maxBroken {
			break
		}
		s.broken = append(s.broken, BrokenLine{File: s.sources[r.input].Name, Line: in.lines + b.line, Reason: b.reason})
	}
	in.lines += r.lines.Total
	in.broken += r.lines.Broken
	s.total.add(r.lines)
	for i := range r.events {
		s.ledger.apply(&r.events[i])
	}
}
