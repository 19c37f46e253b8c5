package accesslog

import (
	"context"
	"errors"
	"io"
	"math/bits"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxChunk = 64 << 10
	// maxMuch is the most that waits for the flush interval. A file is written to
	// by calls that Go's scheduler watches over, and for some milliseconds after
	// each burst of them it looks every few microseconds what became of it: a
	// burst for every chunk costs a busy gateway more than making the lines does.
	maxMuch    = 1 << 20
	maxShards  = 16
	retryAfter = time.Second // between attempts on an output that fails
)

// A writer owns the output. Lines come in through its shards; run, the only
// goroutine that touches the output, writes them.
type writer struct {
	shards   []*shard
	chunk    int // usual size of a chunk
	much     int // bytes in full chunks that do not wait for the flush interval
	limit    int // bytes of all chunks
	interval time.Duration
	onError  func(error)

	wake, full chan struct{} // a shard has its first line; the queue has much
	ops        chan *op
	quit, done chan struct{}
	quitOnce   sync.Once

	mu    sync.Mutex // short: queue, free, held
	queue []*chunk
	free  []*chunk
	held  int // bytes of all chunks outside free

	lines, dropped, bytes, writes, errors atomic.Uint64

	// Owned by run.
	out     io.Writer
	own     io.Closer // closes out; nil when it is not ours
	pending []*chunk  // taken from the queue, oldest first
	spare   []*chunk  // empty, takes turns with queue
	err     error     // of the last write; nil when it worked
}

// An op asks the writing goroutine to write everything, then go on with file if
// that is not nil.
type op struct {
	file  *os.File
	reply chan error
}

// errNotDone wraps the reason why an op never reached the writing goroutine.
var errNotDone = errors.New("access log: not done")

var errClosed = errors.New("access log: closed")

func newWriter(cfg Config, out io.Writer, own io.Closer) *writer {
	w := &writer{
		limit:    cfg.MaxBytes,
		interval: cfg.FlushInterval,
		onError:  cfg.OnError,
		wake:     make(chan struct{}, 1),
		full:     make(chan struct{}, 1),
		ops:      make(chan *op),
		quit:     make(chan struct{}),
		done:     make(chan struct{}),
		out:      out,
		own:      own,
	}
	if w.limit <= 0 {
		w.limit = DefaultMaxBytes
	}
	if w.interval <= 0 {
		w.interval = DefaultFlushInterval
	}
	n := min(1<<bits.Len(uint(runtime.GOMAXPROCS(0)-1)), maxShards)
	for range n {
		w.shards = append(w.shards, &shard{w: w})
	}
	// Each shard can fill one chunk while another is being written.
	w.chunk = max(min(maxChunk, w.limit/(2*n)), 1)
	w.much = min(maxMuch, w.limit/4)
	go w.run()
	return w
}

func (w *writer) shard(id uint64) *shard { return w.shards[id%uint64(len(w.shards))] }

// take returns an empty chunk with room for a line of n bytes, or nil when that
// would hold more than the limit.
func (w *writer) take(n int) *chunk {
	size := max(n, w.chunk)
	w.mu.Lock()
	if w.held+size > w.limit {
		w.mu.Unlock()
		return nil
	}
	w.held += size
	var c *chunk
	if last := len(w.free) - 1; last >= 0 && size == w.chunk {
		c, w.free = w.free[last], w.free[:last]
	}
	w.mu.Unlock()
	if c == nil {
		c = &chunk{b: make([]byte, 0, size)}
	}
	return c
}

// give returns a chunk. As many are kept as a steady load uses; the rest of a
// burst goes back to the heap, and so does one made for a long line.
func (w *writer) give(c *chunk) {
	size := cap(c.b)
	*c = chunk{b: c.b[:0]}
	w.mu.Lock()
	w.held -= size
	if size == w.chunk && len(w.free) < max(2*len(w.shards), 8)+w.much/w.chunk {
		w.free = append(w.free, c)
	}
	w.mu.Unlock()
}

// enqueue reports whether there is so much that it is not to wait for the flush
// interval.
func (w *writer) enqueue(c *chunk) (much bool) {
	w.mu.Lock()
	w.queue = append(w.queue, c)
	much = len(w.queue)*w.chunk >= w.much
	w.mu.Unlock()
	return much
}

// run waits for lines, gives them the flush interval to gather, and writes. It
// holds no timer while there is nothing to write.
func (w *writer) run() {
	defer close(w.done)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	armed := false
	arm := func(d time.Duration) {
		armed = true
		timer.Reset(d)
	}
	for {
		select {
		case <-w.wake:
			if !armed {
				arm(w.interval)
			}
			continue
		case <-w.full:
			if w.err != nil { // the timer tries again
				continue
			}
			w.fetch()
			w.drain()
		case <-timer.C:
			armed = false
			w.collect(false)
			w.drain()
		case o := <-w.ops:
			w.serve(o)
		case <-w.quit:
			w.finish()
			return
		}
		if w.err != nil {
			arm(retryAfter)
		}
	}
}

// serve writes everything, and moves to another file when asked to. Only then
// is the old one closed; what it refused goes to the new one, whole lines only.
func (w *writer) serve(o *op) {
	w.collect(false)
	w.drain()
	if o.file != nil {
		if w.own != nil {
			_ = w.own.Close()
		}
		w.out, w.own = o.file, o.file
		if len(w.pending) > 0 {
			w.pending[0].rewind()
			w.err = nil
			w.drain()
		}
	}
	o.reply <- w.err
}

// finish is the end: what the output still refuses is lost, and counted.
func (w *writer) finish() {
	w.collect(true)
	w.drain()
	for _, c := range w.pending {
		n := c.unwritten()
		w.dropped.Add(n)
		w.lines.Add(c.lines - n)
		w.give(c)
	}
	w.pending = nil
	if w.own != nil {
		if err := w.own.Close(); w.err == nil {
			w.err = err
		}
	}
}

func (w *writer) collect(last bool) {
	for _, s := range w.shards {
		s.collect(last)
	}
	w.fetch()
}

// fetch moves the queue to pending. Small chunks, as quiet shards give them, are
// joined: one write call for the batch, and copying them holds nobody up.
func (w *writer) fetch() {
	w.mu.Lock()
	queue := w.queue
	w.queue = w.spare
	w.mu.Unlock()
	for _, c := range queue {
		if n := len(w.pending); n > 0 {
			if last := w.pending[n-1]; cap(last.b)-len(last.b) >= len(c.b) {
				last.b = append(last.b, c.b...)
				last.lines += c.lines
				w.give(c)
				continue
			}
		}
		w.pending = append(w.pending, c)
	}
	clear(queue)
	w.spare = queue[:0]
}

// drain writes pending until it is empty or the output fails. What could not be
// written stays for the next attempt: a disk that has room again loses nothing
// that was accepted.
func (w *writer) drain() {
	written := 0
	for _, c := range w.pending {
		if err := w.write(c); err != nil {
			w.errors.Add(1)
			if w.err == nil && w.onError != nil {
				w.onError(err)
			}
			w.err = err
			break
		}
		w.err = nil
		w.lines.Add(c.lines)
		w.give(c)
		written++
	}
	rest := copy(w.pending, w.pending[written:])
	clear(w.pending[rest:])
	w.pending = w.pending[:rest]
}

// write writes the rest of c; an output that takes less than it was given is
// given the remainder.
func (w *writer) write(c *chunk) error {
	for c.off < len(c.b) {
		n, err := w.out.Write(c.b[c.off:])
		w.writes.Add(1)
		n = min(max(n, 0), len(c.b)-c.off)
		c.off += n
		w.bytes.Add(uint64(n))
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrShortWrite
		}
	}
	return nil
}

// do hands an op to the writing goroutine and waits for it.
func (w *writer) do(ctx context.Context, file *os.File) error {
	o := &op{file: file, reply: make(chan error, 1)}
	select {
	case w.ops <- o:
	case <-w.done:
		return errors.Join(errNotDone, errClosed)
	case <-ctx.Done():
		return errors.Join(errNotDone, ctx.Err())
	}
	select {
	case err := <-o.reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) close(ctx context.Context) error {
	first := false
	w.quitOnce.Do(func() { first = true; close(w.quit) })
	select {
	case <-w.done:
		if first {
			return w.err // run has ended and set it before
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) stats() Stats {
	s := Stats{
		Lines:   w.lines.Load(),
		Dropped: w.dropped.Load(),
		Bytes:   w.bytes.Load(),
		Writes:  w.writes.Load(),
		Errors:  w.errors.Load(),
	}
	for _, sh := range w.shards {
		sh.mu.Lock()
		s.Dropped += sh.dropped
		sh.mu.Unlock()
	}
	return s
}
