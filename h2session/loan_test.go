package h2session

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// Responses of several streams that are left to one Later are one write.
func TestResponsesOfOneLaterAreOneWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := startLending(t, Config{})
		for id := uint32(1); id < 50; id += 10 {
			ids := []uint32{id, id + 2, id + 4, id + 6, id + 8}
			txns := l.ask(ids...)
			before, later := l.conn.written(), new(pile)
			for _, c := range txns {
				answer(c, "hello", later)
			}
			if len(later.left) != 1 {
				t.Fatalf("the session has asked for %d flushes", len(later.left))
			}
			synctest.Wait()
			if n := l.conn.written() - before; n > 0 {
				t.Errorf("%d writes before it is flushed", n)
			}
			later.flush()
			if n := l.conn.written() - before; n != 1 {
				t.Errorf("%d writes", n)
			}
			for _, id := range ids {
				l.wantAnswer(id, "hello")
			}
			l.WantIdle()
			if n := l.conn.written() - before; n != 1 {
				t.Errorf("the write loop has written, too: %d writes", n)
			}
		}
		l.end()
	})
}

// A session that was at rest is served without a write loop.
func TestASessionWithoutAWriteLoopNeedsNoneForAFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := startLending(t, Config{})
		for first := uint32(1); first < 20; first += 4 {
			time.Sleep(5 * restAfter)
			for id := first; id < first+4; id += 2 {
				txns, later := l.ask(id), new(pile)
				answer(txns[0], "hello", later)
				later.flush()
				l.wantAnswer(id, "hello")
				if got := l.loopState(); got != writeIdle {
					t.Fatalf("the state of the write loop is %d", got)
				}
			}
		}
		txns, later := l.ask(21), new(pile)
		l.conn.set(func() { l.conn.take = 10 })
		answer(txns[0], text(5000), later)
		later.flush() // which leaves something to one
		l.wantAnswer(21, text(5000))
		l.Ping("are you?")
		l.WantPing(true)
		l.end()
	})
}

// A session that loans have served for a while does without its write loop, until
// there is something to do for one.
func TestASessionThatLoansServeDoesWithoutItsWriteLoop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := startLending(t, Config{})
		id, later := uint32(1), new(pile)
		for range 3 {
			for n := range 2 * spareAfter {
				answer(l.ask(id)[0], "hello", later)
				later.flush()
				l.wantAnswer(id, "hello")
				id += 2
				synctest.Wait()
				if got := l.loopState(); n == 0 && got != writeRuns || n >= spareAfter && got != writeIdle {
					t.Fatalf("after %d loans the state of the write loop is %d", n+1, got)
				}
			}
			l.Ping("are you?")
			l.WantPing(true)
			answer(l.ask(id)[0], "hello", nil)
			l.wantAnswer(id, "hello")
			id += 2
		}
		l.end()
	})
}

// A Flush that nobody was promised is harmless, also while somebody else writes.
func TestAFlushThatNobodyWasPromised(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := startLending(t, Config{})
		s, later := l.srv.open()[0], new(pile)
		s.Flush()
		txns := l.ask(1, 3)
		l.conn.set(func() {
			l.conn.during = func() {
				answer(txns[1], "two", nil)
				s.Flush()
				s.mu.Lock()
				defer s.mu.Unlock()
				if !s.loan.out {
					t.Error("it has ended the loan of somebody else")
				}
			}
		})
		answer(txns[0], "one", later)
		later.flush()
		s.Flush()
		l.wantAnswer(1, "one")
		l.wantAnswer(3, "two")
		l.end()
	})
}

// What is posted while a Flush is promised, and while it runs, is not lost, and
// nobody else writes in between.
func TestWhatIsPostedDuringALoanIsNotLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := startLending(t, Config{})
		txns := l.ask(1, 3, 5, 7)
		before := l.conn.written()
		later, other := new(pile), new(pile)
		answer(txns[0], "promised", later)
		answer(txns[1], "by somebody else", nil)
		l.Ping("are you?")
		synctest.Wait()
		if n := l.conn.written() - before; n != 0 {
			t.Errorf("%d writes while a Flush is promised", n)
		}
		l.conn.set(func() {
			l.conn.during = func() {
				answer(txns[2], "during", nil)
				answer(txns[3], "during, of another batch", other)
				l.Ping("and now?")
				synctest.Wait()
				if n := l.conn.written() - before; n != 0 || len(other.left) != 0 {
					t.Errorf("%d writes, and %d left to another, in the midst of a loan", n, len(other.left))
				}
			}
		})
		later.flush()
		if p := l.WantPing(true); string(p) != "are you?" {
			t.Errorf("PING comes back as %q", p)
		}
		l.wantAnswer(1, "promised")
		l.wantAnswer(3, "by somebody else")
		if p := l.WantPing(true); string(p) != "and now?" {
			t.Errorf("PING comes back as %q", p)
		}
		l.wantAnswer(5, "during")
		l.wantAnswer(7, "during, of another batch")
		later = new(pile)
		answer(l.ask(9)[0], "after", later)
		later.flush()
		l.wantAnswer(9, "after")
		l.end()
	})
}

// What the socket does not take at once is written by the write loop, in order,
// and counted.
func TestWhatTheSocketDoesNotTakeIsTheLoops(t *testing.T) {
	for _, take := range []int{0, 1, 8, 9, 1000, 16 << 10, 63 << 10, 1 << 20} {
		bubble(t, func(t *testing.T) {
			var cfg Config
			cfg.Memory = NewMemory(1 << 30)
			l := startLending(t, cfg)
			l.Window(0, 1<<20)
			synctest.Wait()
			account := &l.srv.open()[0].account
			held := account.held.Load()
			l.conn.set(func() { l.conn.take = take })
			next := uint32(1)
			for round := range 10 {
				ids := []uint32{next, next + 2, next + 4}
				next += 6
				txns, later := l.ask(ids...), new(pile)
				body := text(round * 4000)
				for _, c := range txns {
					answer(c, body, later)
				}
				later.flush()
				l.Ping("in front")
				l.wantAnswers(body, ids...)
			}
			synctest.Wait()
			sent := l.conn.total()
			if n := account.held.Load() - held; n != 0 {
				t.Errorf("took %d at once: %d bytes held that are not there", take, n)
			}
			if r := l.end(); r.BytesOut != sent || r.Streams != 30 {
				t.Errorf("took %d at once: recorded %d bytes in %d streams, and %d were written", take, r.BytesOut, r.Streams, sent)
			}
			if n := cfg.Memory.Held(); n != 0 {
				t.Errorf("%d bytes held in the end", n)
			}
		})
	}
}

// While TLS writes something of its own the write loop does it.
func TestWhileTheConnectionIsBusyTheLoopWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := startLending(t, Config{})
		txns, later := l.ask(1, 3), new(pile)
		l.conn.set(func() { l.conn.busy = true })
		answer(txns[0], "one", later)
		answer(txns[1], "two", later)
		later.flush()
		l.wantAnswer(1, "one")
		l.wantAnswer(3, "two")
		l.end()
	})
}

// Whatever ends a session, or a stream, does so in the midst of a loan, too.
func TestWhatEndsASessionEndsOneThatIsLent(t *testing.T) {
	for name, tc := range map[string]struct {
		during func(l *lending)
		after  func(l *lending)
		want   pitag.Cause
	}{
		"the client resets the stream": {func(l *lending) { l.Reset(1, codeCancel) }, func(l *lending) {
			l.wantAnswer(1, "hello")
			l.GoAway(codeNo)
			l.WantClosed()
		}, pitag.CauseClientClosed},
		"the client says goodbye": {func(l *lending) { l.GoAway(codeNo) }, func(l *lending) {
			l.wantAnswer(1, "hello")
			l.WantClosed()
		}, pitag.CauseClientClosed},
		"the client breaks the protocol": {func(l *lending) { l.Data(2, true, "x") }, func(l *lending) {
			l.wantAnswer(1, "hello")
			l.WantGoAway(codeProtocol)
			l.WantClosed()
		}, pitag.CauseClientError},
		"the client closes":                {func(l *lending) { l.Conn.Close() }, func(l *lending) {}, pitag.CauseClientClosed},
		"the client breaks the connection": {func(l *lending) { l.Conn.(*testkit.Conn).Reset() }, func(l *lending) {}, pitag.CauseClientReset},
		"a drain": {func(l *lending) { l.srv.Drain() }, func(l *lending) {
			l.wantAnswer(1, "hello")
			l.WantGoAway(codeNo)
			l.PingAck(l.WantPing(false))
			l.WantGoAway(codeNo)
			l.WantClosed()
		}, pitag.CauseDrain},
		"an abort": {func(l *lending) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			go l.srv.Shutdown(ctx)
		}, func(l *lending) {
			l.wantAnswer(1, "hello")
			l.WantGoAway(codeNo)
			l.WantPing(false)
			l.WantGoAway(codeNo)
			l.WantClosed()
		}, pitag.CauseDrain},
	} {
		t.Run(name, func(t *testing.T) {
			for _, when := range []string{"promised", "lent"} {
				if when == "promised" && name == "the client resets the stream" {
					continue // nothing is left to be flushed
				}
				bubble(t, func(t *testing.T) {
					l := startLending(t, Config{})
					txns, later := l.ask(1), new(pile)
					answer(txns[0], "hello", later)
					act := func() { tc.during(l); synctest.Wait() }
					if when == "lent" {
						l.conn.set(func() { l.conn.during = act })
					} else if act(); len(l.srv.open()) != 1 {
						t.Error("the session is over and has promised a Flush")
					}
					left := later.left
					later.flush()
					if when == "lent" {
						tc.after(l)
						l.wantCause(tc.want)
					} else {
						l.Conn.Close()
						<-l.done
					}
					for _, f := range left {
						f.Flush() // of a session that is over
					}
				})
			}
		})
	}
}

// A panic in a Flush ends the session that it is for, and nothing else.
func TestAPanicInAFlushEndsTheSessionOnly(t *testing.T) {
	encode := func(l *lending) { l.srv.open()[0].out.enc = nil }
	write := func(l *lending) { l.conn.during = func() { panic("oops") } }
	for name, tc := range map[string]struct {
		breakIt func(*lending)
		rest    time.Duration
	}{
		"while a response is encoded":         {encode, 0},
		"while it is written":                 {write, 0},
		"while it is encoded, without a loop": {encode, 5 * restAfter},
		"while it is written, without a loop": {write, 5 * restAfter},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l, m := startLending(t, Config{}), startLending(t, Config{})
				time.Sleep(tc.rest)
				later := new(pile)
				a, b := l.ask(1, 3), m.ask(1, 3)
				l.conn.set(func() { tc.breakIt(l) })
				answer(a[0], "lost", later)
				answer(b[0], "one", later)
				answer(b[1], "two", later)
				later.flush()
				l.WantClosed()
				a[1].Close()
				l.wantCause(pitag.CauseInternal)
				if n := l.srv.Stats().Panics; n != 1 {
					t.Errorf("%d panics", n)
				}
				m.wantAnswer(1, "one")
				m.wantAnswer(3, "two")
				m.end()
			})
		})
	}
}

// A client that takes nothing of what a Flush has left is cut off like any other.
func TestAClientThatStallsWhatAFlushHasLeftIsCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := testkit.PipeSize(100)
		l := &lending{conn: &gatherConn{Conn: server, take: 50}, txns: make(waiting, 1)}
		l.bench = &bench{t: t, done: make(chan struct{})}
		l.srv = &Server{Config: Config{WriteStall: 5 * time.Second}, Connector: vconn.NewConnector(l.txns)}
		go func() {
			defer close(l.done)
			l.record = l.srv.ServeSession(t.Context(), l.conn, &pitag.Session{Identity: testIdentity})
		}()
		client.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
			"\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x84\x87\x41\x01a"))
		later := new(pile)
		synctest.Wait()
		for client.Buffered() > 0 { // SETTINGS
			client.Read(make([]byte, 100))
		}
		answer(<-l.txns, text(1000), later)
		if len(later.left) != 1 {
			t.Fatal("nothing was left to be flushed")
		}
		began := time.Now()
		later.flush()
		l.wantCause(pitag.CauseWriteStall)
		elapsed(t, began, 5*time.Second)
		if d := l.srv.Stats().Stalled["socket"]; d != 5*time.Second {
			t.Errorf("stalled for %v", d)
		}
		if l.record.BytesOut != l.conn.total() {
			t.Errorf("%d bytes out, and %d were written", l.record.BytesOut, l.conn.total())
		}
		client.Close()
	})
}

// A Flush that finds nothing to write leaves the session to its write loop.
func TestAFlushWithNothingToWriteLeavesTheSessionAsItWas(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := startLending(t, Config{})
		txns, later := l.ask(1, 3), new(pile)
		answer(txns[0], "too late", later)
		l.Reset(1, codeCancel)
		synctest.Wait()
		before := l.conn.written()
		later.flush()
		if n := l.conn.written() - before; n != 0 {
			t.Errorf("%d writes of nothing", n)
		}
		answer(txns[1], "by the loop", nil)
		l.wantAnswer(3, "by the loop")
		l.Ping("are you?")
		l.WantPing(true)
		l.end()
	})
}
