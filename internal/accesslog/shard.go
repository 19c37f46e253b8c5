package accesslog

import (
	"bytes"
	"sync"
)

// A chunk is a buffer of whole lines on its way to the output. It has one owner
// at a time: a shard while it fills, the queue, then the writing goroutine.
type chunk struct {
	b     []byte
	off   int // written so far
	lines uint64
}

// rewind moves the offset back to the start of the line that it stands in.
func (c *chunk) rewind() {
	c.off = bytes.LastIndexByte(c.b[:c.off], '\n') + 1
}

// unwritten returns how many lines have not been written whole.
func (c *chunk) unwritten() uint64 {
	return uint64(bytes.Count(c.b[c.off:], []byte{'\n'}))
}

// A shard takes the lines of the client connections whose id falls on it, so
// that processors rarely meet at one lock and the lines of one connection keep
// their order.
type shard struct {
	w *writer

	mu      sync.Mutex
	active  *chunk // nil, or has at least one line
	closed  bool
	dropped uint64

	_ [64]byte // keeps the locks of two shards off one cache line
}

// write takes one whole line, newline included. It never blocks on the output and
// never fails: a line without room is counted as dropped.
func (s *shard) write(line []byte) {
	s.mu.Lock()
	if s.closed {
		s.dropped++
		s.mu.Unlock()
		return
	}
	c := s.active
	first, full := c == nil, false
	if c != nil && cap(c.b)-len(c.b) < len(line) {
		// Under s.mu, so that the chunks of a shard stay in order.
		full = s.w.enqueue(c)
		c = nil
	}
	if c == nil {
		c = s.w.take(len(line))
		s.active = c
	}
	if c != nil {
		c.b = append(c.b, line...)
		c.lines++
	} else {
		s.dropped++
	}
	s.mu.Unlock()
	switch {
	case full: // the wait for the flush interval has begun before
		signal(s.w.full)
	case first && c != nil:
		signal(s.w.wake)
	}
}

// collect moves the active chunk to the queue. With last set, nothing is taken
// any more.
func (s *shard) collect(last bool) {
	s.mu.Lock()
	if s.active != nil {
		s.w.enqueue(s.active)
		s.active = nil
	}
	s.closed = s.closed || last
	s.mu.Unlock()
}

// signal makes ch ready without waiting; ch has room for one.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
