package report

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/gzip"
)

const (
	// maxLine is the longest line that is read, without its newline.
	maxLine = 1 << 20
	// chunkSize is how much a worker takes at once: small enough to stay in the
	// second-level cache between being read and being parsed.
	chunkSize = 256 << 10
)

// A chunk is a piece of one input, cut after a newline or at the input's end.
type chunk struct {
	seq   uint64 // 0, 1, 2 … over all inputs
	input int
	data  []byte // valid until the buffer given to next is used again
	// tooLong: in place of data there was one line longer than maxLine.
	tooLong bool
}

// A source cuts the inputs into chunks. Workers call next in turn; there is no
// reader goroutine, so that bytes are parsed on the processor that read them.
type source struct {
	ctx      context.Context
	names    []string // "-" is stdin
	stdin    io.Reader
	size     int         // of a chunk
	progress func(n int) // bytes read from the input, compressed where it is

	mu     sync.Mutex
	seq    uint64
	at     int // number of the open input, or of the next one
	file   io.Closer
	r      io.Reader // nil: open the next input
	first  bool      // nothing of the input was given out yet
	skip   bool      // inside a line that is too long
	carry  []byte    // begin of a line, read together with the chunk before
	inputs []Input   // all but Lines and Broken, which the sequencer counts
}

// next fills *buf with the next chunk; ok is false when there is none.
func (s *source) next(buf *[]byte) (c chunk, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.ctx.Err() == nil {
		if s.r == nil {
			if s.at == len(s.names) {
				return chunk{}, false
			}
			if err := s.open(); err != nil {
				s.finish(err)
				continue
			}
		}
		c, ok, err := s.cut(buf)
		if s.first && len(c.data) > 0 {
			s.first = false
			c.data = bytes.TrimPrefix(c.data, []byte("\xef\xbb\xbf"))
		}
		c.input = s.at
		if err != nil {
			s.finish(err)
		}
		if ok {
			c.seq = s.seq
			s.seq++
			return c, true
		}
	}
	return chunk{}, false
}

// cut reads until there is at least one whole line and no room for more. err is
// io.EOF at the input's end, where ok may be true all the same.
func (s *source) cut(buf *[]byte) (c chunk, ok bool, err error) {
	b := *buf
	if len(b) < max(s.size, len(s.carry)) {
		b = make([]byte, max(s.size, 2*len(s.carry)))
	}
	n := copy(b, s.carry)
	s.carry = s.carry[:0]
	for {
		m, err := fill(s.r, b[n:])
		n += m
		s.inputs[s.at].Bytes += uint64(m)
		*buf = b
		if s.skip {
			n = s.skipped(b[:n])
		}
		if err != nil {
			// What follows the last newline is a line too, if an unfinished one.
			return chunk{data: b[:n]}, n > 0, err
		}
		if s.skip {
			continue
		}
		if end := bytes.LastIndexByte(b[:n], '\n'); end >= 0 {
			s.carry = append(s.carry, b[end+1:n]...)
			return chunk{data: b[:end+1]}, true, nil
		}
		if n > maxLine+1 { // +1: a carriage return
			s.skip = true
			return chunk{tooLong: true}, true, nil
		}
		if n == len(b) {
			b = append(b, make([]byte, len(b))...)
		}
	}
}

// fill reads until b is full. Unlike io.ReadFull it hands on the reader's error
// as it is: a truncated gzip file ends with io.ErrUnexpectedEOF.
func fill(r io.Reader, b []byte) (n int, err error) {
	for idle := 0; n < len(b) && err == nil; {
		var m int
		m, err = r.Read(b[n:])
		n += m
		if m > 0 {
			idle = 0
		} else if idle++; idle > 100 && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

// skipped drops the rest of a line that is too long from the front of b and
// returns how much is left. While the line goes on that is nothing.
func (s *source) skipped(b []byte) int {
	at := bytes.IndexByte(b, '\n')
	if at < 0 {
		return 0
	}
	s.skip = false
	return copy(b, b[at+1:])
}

// open opens the next input, whatever its compression.
func (s *source) open() error {
	in := &s.inputs[s.at]
	raw := s.stdin
	s.file = nil
	if in.Name != "-" {
		f, err := os.Open(in.Name)
		if err != nil {
			return err
		}
		raw, s.file = f, f
	}
	if raw == nil {
		return errors.New("there is no standard input")
	}
	// Peek needs a buffer; large reads go around it.
	br := bufio.NewReaderSize(&countingReader{r: raw, count: s.progress}, 64<<10)
	s.r, s.first = br, true
	if magic, _ := br.Peek(2); string(magic) == "\x1f\x8b" {
		in.Gzip = true
		z, err := gzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("read gzip: %w", err)
		}
		s.r = z
	}
	return nil
}

// finish ends the open input. What was read of it before an error counts.
func (s *source) finish(err error) {
	if err != io.EOF {
		in := &s.inputs[s.at]
		var pathErr *os.PathError
		switch {
		case errors.As(err, &pathErr):
			err = pathErr.Err // the name is said beside it
		case in.Gzip && errors.Is(err, io.ErrUnexpectedEOF):
			err = fmt.Errorf("the gzip data ends too early: %w", err)
		}
		in.Error = err.Error()
		in.err = err
	}
	if s.file != nil {
		_ = s.file.Close() // only read from: nothing can be lost
		s.file = nil
	}
	s.r, s.skip, s.carry = nil, false, s.carry[:0]
	s.at++
}

type countingReader struct {
	r     io.Reader
	count func(int)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.count != nil && n > 0 {
		c.count(n)
	}
	return n, err
}
