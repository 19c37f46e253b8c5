package httpsm

import (
	"math/rand/v2"
	"testing"
)

// What is decided by looking at the event alone is what decide says, whatever
// the facts are, and has no other consequence than the next state.
func TestWhatUsuallyHappensIsWhatIsDecided(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	b := func() bool { return rng.IntN(2) == 0 }
	short := 0
	for s := range numStates {
		for k := range numEvents {
			next, ok := usually(s, k)
			if !ok {
				continue
			}
			short++
			for range 1000 {
				v := view{
					headSent: b(), lastResort: b(), idempotent: b(), requestLeft: b(), replayable: b(), reused: b(),
					retriesLeft: rng.IntN(3), requestDone: b(), responseDone: b(), originKeepAlive: b(),
				}
				if a := decide(s, v, event{kind: k}); a != (action{next: next}) {
					t.Fatalf("%s in %s with %+v: usually %s, decide says %+v", k, s, v, next, a)
				}
			}
		}
	}
	if short != 7 {
		t.Errorf("%d events are usual, want one for each step of a transaction that goes well", short)
	}
}
