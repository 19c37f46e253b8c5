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

// writeLoop writes batches until the session is closing and all is said.
func (s *Session) writeLoop() {
	defer close(s.written)
	defer s.endTurn()
	defer s.recovered()
	for s.awaitWork() {
		// Transactions that are about to write get to do so first: one
		// system call then carries what would have taken several.
		runtime.Gosched()
		buf := batches.Get().(*[]byte)
		b := s.fill((*buf)[:0])
		s.account.add(cap(b))
		ok := s.write(b)
		s.account.add(-cap(b))
		if cap(b) <= maxBatch {
			*buf = b[:0]
			batches.Put(buf)
		}
		if !ok {
			return
		}
	}
	s.closeWrite()
}

// awaitWork waits until there is something to write. False means that there
// never will be.
func (s *Session) awaitWork() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.dead:
			return false
		case s.m.wantsWrite():
			return true
		case s.m.phase == closing:
			return false
		}
		s.writer.Wait()
	}
}

// fill makes a batch: the control frames, then one slice of each ready stream in
// turn. The lock is released while a stream's response is read and encoded, so
// that neither the read loop nor transactions wait for the copying.
func (s *Session) fill(b []byte) []byte {
	now := time.Now()
	b = s.fillControl(b)
	var p pulled
	st, grant := s.turn(nil, nil, now)
	for st != nil {
		b, p = s.out.pull(&st.resp, st.id, b, grant)
		if len(b) >= batchSize {
			s.turnEnd(st, &p, now)
			break
		}
		st, grant = s.turn(st, &p, now)
	}
	if len(b) > 0 {
		s.writing(now)
	}
	return b
}

func (s *Session) fillControl(b []byte) []byte {
	s.mu.Lock()
	defer s.unlock()
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

// turn accounts the turn of prev, if any, and gives the next stream its own.
func (s *Session) turn(prev *stream, p *pulled, now time.Time) (*stream, int) {
	s.mu.Lock()
	defer s.unlock()
	if prev != nil {
		s.m.sent(prev, p, now)
	}
	return s.m.next()
}

// endTurn lets go of a stream that a panic interrupted.
func (s *Session) endTurn() {
	s.mu.Lock()
	defer s.unlock()
	s.m.endTurn()
}

func (s *Session) turnEnd(st *stream, p *pulled, now time.Time) {
	s.mu.Lock()
	defer s.unlock()
	s.m.sent(st, p, now)
}

func (s *Session) writing(now time.Time) {
	s.mu.Lock()
	defer s.unlock()
	s.m.writeSince = now
	s.m.remind(now, s.cfg.writeStall())
}

// write sends a batch. A write that does not end is ended by the timer, which
// closes the connection.
func (s *Session) write(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	n, err := s.conn.Write(b)
	if s.wrote(n, err) {
		return true
	}
	s.conn.Close() // ends the read loop
	return false
}

// wrote accounts a write. False means that the connection is of no use any more.
func (s *Session) wrote(n int, err error) bool {
	now := time.Now()
	s.mu.Lock()
	defer s.unlock()
	s.bytesOut += uint64(n)
	if d := now.Sub(s.m.writeSince); d > slowWrite {
		s.m.count.stalled[stallSocket] += d
	}
	s.m.writeSince = time.Time{}
	if err == nil {
		return true
	}
	if !s.dead {
		if len(s.m.streams) == 0 {
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
		c.CloseWrite()
		return
	}
	s.conn.Close()
}
