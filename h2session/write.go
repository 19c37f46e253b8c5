package h2session

import (
	"runtime"
	"sync"
	"time"

	"github.com/h2gw/h2gw/pitag"
)

// batches are the write loops' buffers: a session holds one only while it has
// something to write.
var batches = sync.Pool{New: func() any {
	b := make([]byte, 0, batchSize+sliceSize+4<<10)
	return &b
}}

// maxBatch is the largest buffer worth keeping; a huge header block makes larger
// ones.
const maxBatch = 256 << 10

// linger is how long a closed session is read on for, so that the client gets to
// see the last frames.
const linger = time.Second

// slowWrite is the time from which on a conn.Write is counted as a stall: less
// is the system call itself.
const slowWrite = time.Millisecond

// A writeState says whether the session has a write loop.
type writeState uint8

const (
	writeOff   writeState = iota // the session has not started
	writeIdle                    // there is none
	writeRuns                    // there is one
	writeEnded                   // there will be none any more
)

// wakeWriter makes sure that somebody looks at what there is to do: the write
// loop, unless a Flush does or is about to. With the lock held.
func (s *Session) wakeWriter() {
	if s.loan.out || s.inbox.care.Load() == promised {
		return
	}
	switch s.loop {
	case writeRuns:
		s.wakeLoop()
	case writeIdle:
		if s.dead {
			s.loop = writeEnded
			s.settled.Broadcast()
			return
		}
		s.loop = writeRuns
		s.inbox.care.Store(attended)
		go s.writeLoop()
	}
}

// wakeLoop has the write loop look if it sleeps. With the lock held.
func (s *Session) wakeLoop() {
	if s.asleep {
		s.asleep = false
		s.inbox.care.Store(attended)
		s.writer.Signal()
	}
}

// writeLoop writes until the session rests or does without it, or is closing and
// all is said.
func (s *Session) writeLoop() {
	if s.writeBatches() == workRest {
		return // there may be another loop by now
	}
	s.endTurn()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loop = writeEnded
	s.settled.Broadcast()
}

// work is what the write loop has to do.
type work uint8

const (
	workDead work = iota // nothing can be said any more
	workOver             // all is said
	workRest             // nothing, and the session rests or needs no loop
	workLeft             // a loan has left something
	workSome
)

func (s *Session) writeBatches() (work work) {
	defer s.recovered()
	for {
		ok := true
		switch work = s.awaitWork(); work {
		case workLeft:
			ok = s.writeLeft()
		case workSome:
			ok = s.writeBatch()
		case workOver:
			s.closeWrite()
			return work
		default:
			return work
		}
		if !ok {
			return workDead
		}
	}
}

func (s *Session) writeBatch() bool {
	if s.gathers {
		// Transactions that are about to write get to do so first: one system
		// call then carries what would have taken several.
		runtime.Gosched()
	}
	buf := batches.Get().(*[]byte)
	b := s.fill((*buf)[:0])
	s.account.add(cap(b))
	ok := s.write(b)
	s.dropBatch(buf, b)
	return ok
}

// dropBatch gives back the buffer of b, which was in buf unless it had to grow.
func (s *Session) dropBatch(buf *[]byte, b []byte) {
	s.account.add(-cap(b))
	if cap(b) <= maxBatch {
		*buf = b[:0]
		batches.Put(buf)
	}
}

// awaitWork waits until there is something to write, or a reason not to wait.
// With workRest the session has no write loop any more: wakeWriter makes one.
func (s *Session) awaitWork() work {
	s.lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.dead:
			return workDead
		case s.loan.owed:
			s.loan.runs = 0
			return workLeft
		case s.m.wantsWrite():
			s.loan.runs = 0
			s.gathers = s.m.streams.n > 1
			return workSome
		case s.m.phase == closing:
			return workOver
		}
		if s.inbox.care.Load() == attended {
			// Whoever posts from here on wakes us; what came before that we
			// have to find.
			s.inbox.care.Store(unattended)
			s.hear()
			continue
		}
		if s.m.resting {
			s.out.rest()
		}
		if s.m.resting || s.loan.spared() {
			s.loop = writeIdle
			return workRest
		}
		for s.asleep = true; s.asleep; {
			s.writer.Wait()
		}
		s.hear()
	}
}

// fill makes a batch: the control frames, then one slice of each ready stream in
// turn. The lock is released while a stream's response is read and encoded, so
// that neither the read loop nor transactions wait for the copying.
func (s *Session) fill(b []byte) []byte {
	now := time.Now()
	b, st, grant := s.firstTurn(b, now)
	for st != nil {
		var p pulled
		b, p = s.out.pull(&st.resp, st.id, b, grant)
		st, grant = s.turn(st, &p, len(b), now)
	}
	return b
}

// firstTurn takes the control frames, and gives the first stream its turn.
func (s *Session) firstTurn(b []byte, now time.Time) ([]byte, *stream, int) {
	s.lock()
	defer s.unlock()
	b = s.fillControl(b)
	st, grant := s.next(len(b), now)
	return b, st, grant
}

// turn accounts the turn of prev, and gives the next stream its own.
func (s *Session) turn(prev *stream, p *pulled, have int, now time.Time) (*stream, int) {
	s.lock()
	defer s.unlock()
	s.m.sent(prev, p, now)
	return s.next(have, now)
}

// next takes the stream whose turn it is. Nil means that the batch, which has so
// many bytes, is to be written. With the lock held.
func (s *Session) next(have int, now time.Time) (*stream, int) {
	if have < batchSize {
		if st, grant := s.m.next(); st != nil {
			return st, grant
		}
	}
	if have > 0 {
		s.m.writeSince = now
		s.m.remind(now, s.cfg.writeStall())
	}
	return nil, 0
}

// fillControl appends the control frames. With the lock held.
func (s *Session) fillControl(b []byte) []byte {
	m := s.m
	s.out.frameSize = m.peer.frameSize
	if m.peer.tableChanged {
		// The acknowledgement is in this batch, before any header block.
		m.peer.tableChanged = false
		if m.peer.leastTable < m.peer.headerTable {
			s.out.enc.resize(0)
		}
		s.out.enc.resize(m.peer.headerTable)
	}
	if len(m.ctrl) > maxControl {
		s.reader.Signal()
	}
	return m.takeControl(b)
}

// endTurn lets go of a stream that a panic interrupted, and of the inbox.
func (s *Session) endTurn() {
	s.inbox.care.Store(unattended)
	s.lock()
	defer s.unlock()
	s.m.endTurn()
}

// write sends a batch. A write that does not end is ended by the timer, which
// closes the connection.
func (s *Session) write(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	return s.concluded(s.send(b))
}

// concluded accounts a write. When it failed it ends the read loop, too.
func (s *Session) concluded(n int, err error) bool {
	if s.wrote(n, err) {
		return true
	}
	s.conn.Close()
	return false
}

// wrote accounts a write. False means that the connection is of no use any more.
func (s *Session) wrote(n int, err error) bool {
	s.lock()
	defer s.unlock()
	return s.noteWrite(n, err)
}

// noteWrite is wrote with the lock held.
func (s *Session) noteWrite(n int, err error) bool {
	now := time.Now()
	s.bytesOut += uint64(n)
	if d := now.Sub(s.m.writeSince); d > slowWrite {
		s.m.count.stalled[stallSocket] += d
	}
	s.m.writeSince = time.Time{}
	if err == nil {
		return true
	}
	if !s.dead {
		if s.m.streams.n == 0 {
			s.m.because(pitag.CauseClientClosed, nil) // nothing of it was cut short
		}
		s.m.because(pitag.CauseClientReset, err)
		s.dead = true
		s.m.abandon(now)
	}
	return false
}

// closeWrite ends our side of the connection, and bounds how long the client may
// take to end its own.
func (s *Session) closeWrite() {
	s.mu.Lock()
	dead := s.dead
	s.mu.Unlock()
	if dead {
		return
	}
	s.conn.SetDeadline(time.Now().Add(linger))
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok {
		if s.turns.polled { // the goodbye of TLS waits here, and only here
			s.gatherer.Gather()
			defer s.gatherer.Flush()
		}
		c.CloseWrite()
		return
	}
	s.conn.Close()
}
