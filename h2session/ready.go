package h2session

// A streamList is a queue of streams, linked through them so that joining and
// leaving allocate nothing. A stream is in at most one list. The order is first
// come, first served; with each turn limited to one slice that is round-robin.
// RFC 9218 urgency can replace it behind the same methods.
type streamList struct {
	head, tail *stream
}

// push puts st at the end, unless it is in a list already.
func (l *streamList) push(st *stream) {
	if st.list != nil {
		return
	}
	st.list, st.prev, st.next = l, l.tail, nil
	if l.tail == nil {
		l.head = st
	} else {
		l.tail.next = st
	}
	l.tail = st
}

// pop takes the first stream, or returns nil.
func (l *streamList) pop() *stream {
	st := l.head
	if st != nil {
		st.unlist()
	}
	return st
}

// unlist takes st out of the list it is in, if any.
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
