package h2session

import (
	"testing"
	"testing/synctest"
	"time"
)

// What a loan has left is sent although another Flush was promised as it ended,
// and finds nothing to write.
func TestWhatIsOwedIsSentWhenTheNextFlushFindsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := startLending(t, Config{})
		s := l.srv.open()[0]
		synctest.Wait()
		s.mu.Lock()
		l.conn.TryGather()
		l.conn.Write([]byte("\x00\x00\x08\x06\x00\x00\x00\x00\x00left now"))
		s.loan.owed = true
		s.inbox.care.Store(promised)
		s.wakeWriter()
		s.mu.Unlock()
		began := time.Now()
		s.Flush()
		if p := l.WantPing(false); string(p) != "left now" || time.Since(began) > 0 {
			t.Errorf("%q after %v", p, time.Since(began))
		}
		l.end()
	})
}

// Where the connection cannot write without waiting, nothing is left to a Later.
func TestWithoutAGathererTheLoopWritesAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := startLending(t, Config{})
		l.srv.open()[0].gatherer = nil
		txns, later := l.ask(1), new(pile)
		answer(txns[0], "hello", later)
		if len(later.left) > 0 {
			t.Error("a Flush is promised")
		}
		l.srv.open()[0].Flush()
		l.wantAnswer(1, "hello")
		l.end()
	})
}
