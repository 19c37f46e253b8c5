package origin

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// MaxPipeline is the largest Config.Pipeline.
const MaxPipeline = 64

// A Shared is an exchange on a connection that carries other requests at the
// same time: the origin answers them in the order in which they were written
// (RFC 9112 section 9.3.2), and each exchange sees the bytes of its own turn
// only. It takes exactly one Write, which must hold the whole request.
//
// Abort and deadlines concern this exchange, not the connection. Release(true)
// passes the turn on. Release(false) ends the connection, and with it the turns
// of all others, unless the exchange was given away by Abandon. NetConn is of no
// use: it ends the exchange's connection and returns a closed one.
//
// When Fill fails, Buffered is empty, until Fill succeeds again. Beside what
// Exchange says, it returns ErrBroken, ErrBehind, ErrLast and
// ErrStray. After the first and the third nothing was answered; after ErrBehind
// the response may still come and has to be read by somebody (Abandon).
type Shared interface {
	Awaitable
	// TryWriteLater is TryWrite for who is called within a round of later's:
	// requests that are written in the same round go out together at its end.
	// later may be nil.
	TryWriteLater(p []byte, later Later) (n int, err error)
	// Last says that the present response is the connection's last: it says so
	// itself, or ends with its connection. Those behind it then get ErrLast.
	Last()
	// Behind reports whether the time since the last SetReadDeadline passed, in
	// part, waiting for other exchanges' responses.
	Behind() bool
	// Abandon gives the exchange to r, which is to read the rest of the response
	// and throw it away: an Abort and ErrBehind count no more, and r is resumed
	// as by Await. From here on the exchange is r's, which has to Release it; a
	// deadline is to be set before.
	Abandon(r Resumer)
}

// pipelines are an endpoint's shared connections. Requests of all sessions find
// theirs without a lock.
//
// Connections are filled one after the other, each up to depth: what is written
// and read together saves system calls. A request takes room on a connection of
// the poller that has read it, if there is any: then one goroutine writes it,
// with others of its round, and passes its response on. If there is none, one
// more connection is made in the background, and the request goes to a connection
// of another poller meanwhile, or alone.
type pipelines struct {
	e     *Endpoint
	depth int32
	limit int // connections

	proven  atomic.Bool                 // the endpoint has kept a connection open
	list    atomic.Pointer[[]*pipeline] // never changed in place
	hints   [laneHints]atomic.Uint32    // where there was room last, for each lane or some
	ticks   atomic.Uint32               // coarse clock; runs while requests are outstanding
	now     atomic.Int64                // when it ticked last; Unix nanoseconds
	ticking atomic.Bool
	growing atomic.Bool

	// After so many requests the endpoint ended a connection in order; 0: not
	// known. Servers bound that, and what is behind the last one has to be sent
	// again: so the next connection takes no more than that.
	lifetime atomic.Uint64

	abandoned atomic.Int32 // exchanges that wait for responses nobody wants

	ctx    context.Context // of connecting; ends with close
	cancel context.CancelFunc

	mu      sync.Mutex // guards what follows; taken last of all
	timer   *time.Timer
	retired bool
	pause   time.Time      // no new connection before
	ended   pipelineCounts // of connections that are gone
}

func newPipelines(e *Endpoint, depth int) *pipelines {
	cfg := &e.group.cfg
	limit := cfg.MaxConns / 2
	if cfg.MaxConns < 0 {
		limit = DefaultMaxConns / 2
	}
	if depth < 2 || limit < 1 || cfg.IdleTimeout <= 0 || e.pool.maxIdle <= 0 {
		return nil
	}
	s := &pipelines{e: e, depth: int32(min(depth, MaxPipeline)), limit: limit}
	s.list.Store(new([]*pipeline))
	s.now.Store(time.Now().UnixNano())
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// laneHints is as many as matter: a hint that is another's costs a look or two.
const laneHints = 8

// Share returns an exchange on a connection that other requests use as well, or
// nil: sharing is off, the endpoint has not shown yet that it keeps connections
// open, there is no room, or the endpoint has as many responses to give that
// nobody wants as would fill a connection. (Cancelling is cheap, and the origin
// works on: without that bound it would be a way to pile work up.) It does not
// block. Only requests without a body that may safely be sent twice are for it.
// lane is as in TryGet.
func (e *Endpoint) Share(lane int) Shared {
	s := e.shared
	if s == nil || !s.proven.Load() || s.abandoned.Load() >= s.depth {
		return nil
	}
	list := *s.list.Load()
	p := s.take(list, lane, true)
	if p == nil {
		if len(list) < s.limit && !s.growing.Load() {
			s.grow(lane)
		}
		if p = s.take(list, lane, false); p == nil {
			return nil
		}
	}
	if !s.ticking.Load() {
		s.startTicking()
	}
	e.load.Add(1)
	return p.turn()
}

// take reserves room for a request on one of list; nil: there is none. own: of
// lane; else of another.
func (s *pipelines) take(list []*pipeline, lane int, own bool) *pipeline {
	n, hint := uint32(len(list)), &s.hints[lane%laneHints]
	from := hint.Load()
	for i := range n {
		at := (from + i) % n
		if p := list[at]; p.of(lane) == own && p.take(s.depth) {
			if own && i > 0 {
				hint.Store(at)
			}
			return p
		}
	}
	return nil
}

// KeptAlive notes that the endpoint has answered in HTTP/1.1 and left its
// connection open: only then is it asked to answer several requests on one
// (RFC 9112 section 9.3.2).
func (e *Endpoint) KeptAlive() {
	if s := e.shared; s != nil && !s.proven.Load() {
		s.proven.Store(true)
	}
}

// grow makes one more connection, for lane, in the background. Half of the endpoint's
// connections are left to requests that go alone.
func (s *pipelines) grow(lane int) {
	if !s.growing.CompareAndSwap(false, true) {
		return
	}
	s.mu.Lock()
	ok := !s.retired && (s.pause.IsZero() || time.Now().After(s.pause))
	s.mu.Unlock()
	if !ok || !s.e.pool.place() {
		s.growing.Store(false)
		return
	}
	go s.connect(lane)
}

// place takes a place to make a connection in, if one is free.
func (p *pool) place() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shutdown || p.maxOpen >= 0 && p.open >= p.maxOpen {
		return false
	}
	p.open++
	return true
}

func (s *pipelines) connect(lane int) {
	defer s.growing.Store(false)
	c, err := s.e.connect(s.ctx)
	if err != nil {
		s.pauseFor(brokenPause)
		return
	}
	c.poll(lane)
	p := newPipeline(s, c)
	s.mu.Lock()
	retired := s.retired
	if !retired {
		list := append([]*pipeline(nil), *s.list.Load()...)
		list = append(list, p)
		s.list.Store(&list)
	}
	s.mu.Unlock()
	if retired {
		p.drop()
		return
	}
	p.begin()
	s.startTicking() // for its idle time
}

func (s *pipelines) pauseFor(d time.Duration) {
	s.mu.Lock()
	s.pause = time.Now().Add(d)
	s.mu.Unlock()
}

// remove forgets a connection that has ended.
func (s *pipelines) remove(p *pipeline) {
	counts := p.counts()
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*pipeline
	for _, q := range *s.list.Load() {
		if q != p {
			list = append(list, q)
		}
	}
	s.list.Store(&list)
	s.ended.add(counts)
}

// retire closes what is idle, and the rest as it becomes so; no more are made.
func (s *pipelines) retire() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.retired = true
	s.mu.Unlock()
	s.cancel()
	s.proven.Store(false)
	for _, p := range *s.list.Load() {
		p.retire()
	}
}

// startTicking has the coarse clock run while requests are outstanding.
func (s *pipelines) startTicking() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ticking.Swap(true) {
		s.armLocked(tick)
	}
}

func (s *pipelines) armLocked(d time.Duration) {
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.onTick)
		return
	}
	s.timer.Reset(d)
}

// onTick ages requests, and closes connections that were idle for long. It
// comes every tick while requests are outstanding, four times per IdleTimeout
// while connections are idle, and not at all without any.
func (s *pipelines) onTick() {
	n, now := s.ticks.Add(1), time.Now()
	s.now.Store(now.UnixNano())
	list := *s.list.Load()
	busy := int32(0)
	for _, p := range list {
		busy += p.taken.Load()
		p.age(n, now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if busy == 0 {
		s.ticking.Store(false)
		for _, p := range list { // taken meanwhile, by who saw that it ticks
			busy += p.taken.Load()
		}
	}
	switch {
	case busy > 0:
		s.ticking.Store(true)
		s.armLocked(tick)
	case len(*s.list.Load()) > 0:
		s.armLocked(max(tick, s.e.group.cfg.IdleTimeout/idleTicks))
	}
}

// pipelineCounts are what shared connections count.
type pipelineCounts struct {
	requests, batches, stray, abandoned uint64
}

func (c *pipelineCounts) add(d pipelineCounts) {
	c.requests += d.requests
	c.batches += d.batches
	c.stray += d.stray
	c.abandoned += d.abandoned
}

// stats adds what is to be told of shared connections to s.
func (s *pipelines) stats(to *EndpointStats) {
	if s == nil {
		return
	}
	to.Pipelining = true
	s.mu.Lock()
	sum := s.ended
	list := *s.list.Load()
	s.mu.Unlock()
	for _, p := range list {
		sum.add(p.counts())
		taken := int(p.taken.Load())
		to.PipelineInFlight += taken
		if taken == 0 {
			to.Active--
			to.Idle++
		}
	}
	to.Pipelines = len(list)
	to.PipelineRequests, to.PipelineBatches = sum.requests, sum.batches
	to.PipelineStray, to.PipelineDiscarded = sum.stray, sum.abandoned
	to.Requests += sum.requests
	to.Reused += sum.requests
}
