package h2session

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// queued makes streams of ids 1, 3, 5, … with these ranks and queues them.
func queued(q *readyQueue, ls ...rank) []*stream {
	var sts []*stream
	for i, l := range ls {
		sts = append(sts, &stream{id: uint32(2*i + 1), rank: l})
	}
	for i := range sts { // in any order
		q.push(sts[(i*7+3)%len(sts)])
	}
	for _, st := range sts {
		q.push(st) // which it is already, or its index was not hit
	}
	return sts
}

// turns has n turns of streams that always have more to say.
func turns(q *readyQueue, n int) (ids []uint32) {
	for range n {
		st := q.pop()
		if st == nil {
			break
		}
		ids = append(ids, st.id)
		q.push(st)
	}
	return ids
}

func wantTurns(t *testing.T, got []uint32, want ...uint32) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("turns %v, want %v", got, want)
	}
}

var (
	single = rankOf(3, false)
	shared = rankOf(3, true)
)

func TestIncrementalStreamsTakeTurns(t *testing.T) {
	var q readyQueue
	for _, id := range []uint32{1, 3, 5} {
		q.push(&stream{id: id, rank: shared})
	}
	wantTurns(t, turns(&q, 7), 1, 3, 5, 1, 3, 5, 1)
}

func TestOtherStreamsComeOneAfterTheOtherByID(t *testing.T) {
	var q readyQueue
	sts := queued(&q, single, single, single, single)
	wantTurns(t, turns(&q, 3), 1, 1, 1)
	q.remove(sts[0])
	wantTurns(t, turns(&q, 2), 3, 3)
	q.push(sts[0]) // it had to wait for its origin
	wantTurns(t, turns(&q, 2), 1, 1)
	for _, want := range []uint32{1, 3, 5, 7} {
		if st := q.pop(); st.id != want {
			t.Errorf("stream %d, want %d", st.id, want)
		}
	}
	if q.pop() != nil || !q.empty() {
		t.Error("something is left")
	}
}

func TestBothKindsOfOneUrgencyTakeTurns(t *testing.T) {
	var q readyQueue
	for i, l := range []rank{single, shared, single, shared} {
		q.push(&stream{id: uint32(2*i + 1), rank: l})
	}
	wantTurns(t, turns(&q, 8), 1, 3, 1, 7, 1, 3, 1, 7)
}

func TestTheMoreUrgentGoFirst(t *testing.T) {
	var q readyQueue
	sts := queued(&q, rankOf(7, false), rankOf(3, true), rankOf(0, false), rankOf(1, true))
	wantTurns(t, turns(&q, 4), 5, 5, 5, 5)
	q.remove(sts[2])
	wantTurns(t, turns(&q, 2), 7, 7)
	q.remove(sts[3])
	wantTurns(t, turns(&q, 2), 3, 3)
}

// While something urgent always waits, all others together get one turn in
// sixteen, each urgency in its turn.
func TestNothingStarves(t *testing.T) {
	var q readyQueue
	for u := range urgencies {
		q.push(&stream{id: uint32(2*u + 1), rank: rankOf(u, u%2 == 0)})
	}
	got := make(map[uint32]int)
	rounds := 7 * 5
	for i, id := range turns(&q, leastShare*rounds) {
		got[id]++
		if low := i%leastShare == leastShare-1; low != (id != 1) {
			t.Fatalf("turn %d is stream %d's", i, id)
		}
	}
	for u := 1; u < urgencies; u++ {
		if n := got[uint32(2*u+1)]; n != rounds/7 {
			t.Errorf("urgency %d had %d turns of %d, want %d", u, n, leastShare*rounds, rounds/7)
		}
	}
}

func TestAQueueOfOneUrgencyIsNotDisturbedByShares(t *testing.T) {
	var q readyQueue
	queued(&q, single, single)
	for i, id := range turns(&q, 100) {
		if id != 1 {
			t.Fatalf("turn %d is stream %d's", i, id)
		}
	}
}

// The order and the bits hold however streams come, go and change.
func TestTheReadyQueueKeepsItsOrder(t *testing.T) {
	m := newMachine(&Config{}, time.Now())
	var sts []*stream
	for i := range 40 {
		st := &stream{id: uint32(2*i + 1), rank: rank(i * 5 % ranks)}
		sts = append(sts, st)
	}
	x := uint32(1)
	random := func(n int) int { x = x*1664525 + 1013904223; return int(x>>8) % n }
	for range 20_000 {
		st := sts[random(len(sts))]
		switch random(4) {
		case 0, 1:
			m.ready.push(st)
		case 2:
			m.ready.remove(st)
		case 3:
			m.prioritize(st, rank(random(ranks)))
		}
		if err := m.ready.check(); err != nil {
			t.Fatal(err)
		}
	}
}

func (q *readyQueue) check() error {
	for i := range q.lists {
		l := &q.lists[i]
		if has := l.head != nil; has != (q.some>>i&1 == 1) {
			return fmt.Errorf("list %d: bit %d, but it has streams: %v", i, q.some>>i&1, has)
		}
		var prev *stream
		for st := l.head; st != nil; prev, st = st, st.next {
			switch {
			case st.list != l, st.prev != prev, st.rank != rank(i):
				return fmt.Errorf("list %d: stream %d does not belong", i, st.id)
			case prev != nil && !st.rank.incremental() && prev.id >= st.id:
				return fmt.Errorf("list %d: stream %d before %d", i, prev.id, st.id)
			}
		}
		if l.tail != prev {
			return fmt.Errorf("list %d: wrong tail", i)
		}
	}
	return nil
}

func TestTurnsDoNotAllocate(t *testing.T) {
	var q readyQueue
	queued(&q, single, shared, rankOf(0, true), rankOf(7, false))
	if n := testing.AllocsPerRun(100, func() { q.push(q.pop()) }); n != 0 {
		t.Errorf("%v allocations a turn", n)
	}
	value := "u=2, i"
	if n := testing.AllocsPerRun(100, func() { parsePriority(value) }); n != 0 {
		t.Errorf("%v allocations to read a value", n)
	}
}
