package h2session

import "math/bits"

// A streamList is a queue of streams, linked through them so that joining and
// leaving allocate nothing. A stream is in at most one list.
type streamList struct {
	head, tail *stream
}

// push puts st at the end, unless it is in a list already.
func (l *streamList) push(st *stream) { l.insert(st, l.tail) }

// pushInOrder puts st behind the streams of smaller id, unless it is in a list
// already. It looks at the end and at the front first, which is where new
// streams belong, and the one that just had its turn.
func (l *streamList) pushInOrder(st *stream) {
	after := l.tail
	if l.head != nil && st.id < l.head.id {
		after = nil
	}
	for after != nil && after.id > st.id {
		after = after.prev
	}
	l.insert(st, after)
}

// insert puts st behind after, nil being the front.
func (l *streamList) insert(st, after *stream) {
	if st.list != nil {
		return
	}
	next := l.head
	if after != nil {
		next = after.next
	}
	st.list, st.prev, st.next = l, after, next
	if after == nil {
		l.head = st
	} else {
		after.next = st
	}
	if next == nil {
		l.tail = st
	} else {
		next.prev = st
	}
}

// pop takes the first stream, or returns nil.
func (l *streamList) pop() *stream {
	st := l.head
	if st != nil {
		st.unlist()
	}
	return st
}

// unlist takes st out of the list it is in, if any. A stream of the ready queue
// leaves by readyQueue.remove.
func (st *stream) unlist() {
	l := st.list
	if l == nil {
		return
	}
	if st.prev == nil {
		l.head = st.next
	} else {
		st.prev.next = st.next
	}
	if st.next == nil {
		l.tail = st.prev
	} else {
		st.next.prev = st.prev
	}
	st.list, st.prev, st.next = nil, nil, nil
}

// leastShare is the share of the less urgent: one turn in so many is theirs
// while more urgent streams always have something to send. RFC 9218, section
// 10, leaves it to servers how far they follow urgency. 1 in 16, about 6%, is
// near the 5% that Linux keeps from its real-time tasks for all others
// (sched_rt_runtime_us), for the same reason: enough that nothing hangs, too
// little to be felt.
const leastShare = 16

// A readyQueue holds the streams that have something to say, by RFC 9218,
// section 10: the more urgent first; of the same urgency those that are not
// incremental one after the other in the order of their ids, those that are a
// slice each in turn, and when there are both kinds, one of each in turn. Every
// operation but the insertion in order takes constant time.
type readyQueue struct {
	lists [ranks]streamList
	some  uint16 // bit n: lists[n] is not empty
	// turns counts those of the most urgent while others waited, up to
	// leastShare; lastLow is the urgency that had the last such turn, so that
	// all of them come by.
	turns, lastLow uint8
	// single says that the last turn of a stream that was not incremental is
	// newer than that of one that was.
	single bool
}

// push queues st by its priority, unless it is in a list already.
func (q *readyQueue) push(st *stream) {
	if st.list != nil {
		return
	}
	l := &q.lists[st.rank]
	if st.rank.incremental() {
		l.push(st)
	} else {
		l.pushInOrder(st)
	}
	q.some |= 1 << st.rank
}

// holds reports whether st is queued here.
func (q *readyQueue) holds(st *stream) bool { return st.list == &q.lists[st.rank] }

// remove takes st out, if it is in.
func (q *readyQueue) remove(st *stream) {
	st.unlist()
	if q.lists[st.rank].head == nil {
		q.some &^= 1 << st.rank
	}
}

func (q *readyQueue) empty() bool { return q.some == 0 }

// pop takes the stream whose turn it is, or returns nil.
func (q *readyQueue) pop() *stream {
	if q.some == 0 {
		return nil
	}
	st := q.lists[q.choose()].head
	q.remove(st)
	return st
}

// choose finds the list whose turn it is.
func (q *readyQueue) choose() rank {
	u := bits.TrailingZeros16(q.some) / 2
	if low := q.some &^ (3 << (2 * u)); low != 0 {
		if q.turns++; q.turns >= leastShare {
			q.turns = 0
			u = q.lower(low)
		}
	}
	l := rankOf(u, false)
	switch q.some >> l & 3 {
	case 2: // incremental ones only
		return l + 1
	case 3:
		if q.single = !q.single; !q.single {
			return l + 1
		}
	}
	return l
}

// lower takes the urgencies of low in turn.
func (q *readyQueue) lower(low uint16) int {
	if behind := low &^ (1<<(2*q.lastLow+2) - 1); behind != 0 {
		low = behind
	}
	u := bits.TrailingZeros16(low) / 2
	q.lastLow = uint8(u)
	return u
}
