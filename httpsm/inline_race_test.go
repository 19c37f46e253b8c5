package httpsm

import (
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/vconn"
)

// The origin answers, or breaks, while the client takes the response or leaves,
// on different goroutines and at any moment: each transaction has one record,
// its exchange is released once, and nothing is left.
func TestAnswersAndLeavingAtAnyMoment(t *testing.T) {
	r := newRig(t, nil)
	var records, completed, released atomic.Int64
	r.m.cfg.OnRecord = func(rec *Record) {
		records.Add(1)
		if rec.Outcome == Completed {
			completed.Add(1)
		}
	}
	exchanges := make(chan *awaited, 1)
	r.m.begin = func(t *Txn) origin.Awaitable {
		if t.rec.Retries > 0 || !t.inline {
			return nil
		}
		a := newAwaited()
		exchanges <- a
		return a
	}
	connector := vconn.NewConnector(r.m)
	const rounds = 3000
	for i := range rounds {
		rng := rand.New(rand.NewPCG(3, uint64(i)))
		waits := [2]int{rng.IntN(30), rng.IntN(30)}
		c, err := connector.Open(vconn.Options{Head: []byte(get), Ended: true, PassiveToActive: 20 + rng.IntN(200)})
		if err != nil {
			t.Fatal(err)
		}
		a := <-exchanges
		var wg sync.WaitGroup
		wg.Go(func() {
			for range waits[0] {
				runtime.Gosched()
			}
			switch i % 5 {
			case 0:
				a.answer(okResponse[:10], nil)
				a.answer(okResponse[10:], nil)
			case 1:
				a.answer("", io.EOF) // and the next connection answers
			default:
				a.answer(okResponse, nil)
			}
		})
		wg.Go(func() {
			for range waits[1] {
				runtime.Gosched()
			}
			switch i % 3 {
			case 0:
				c.Reset(codeCancel)
			case 1:
				c.Close()
			default:
				io.Copy(io.Discard, c)
				c.Close()
			}
		})
		wg.Wait()
		// The record is told of before the transaction leaves the books.
		for end := time.Now().Add(time.Minute); records.Load() != int64(i+1) || r.m.Stats().Active != 0; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("round %d: %d records, %+v", i, records.Load(), r.m.Stats())
			}
		}
		a.mu.Lock()
		released.Add(int64(len(a.released)))
		a.mu.Unlock()
	}
	if s := r.m.Stats(); s.Active != 0 || s.Panics != 0 || released.Load() != rounds {
		t.Errorf("%+v, %d exchanges released, want %d", s, released.Load(), rounds)
	}
	if n := completed.Load(); n < rounds/3 || n == rounds {
		t.Errorf("%d of %d completed: the test shows little", n, rounds)
	}
}
