package origin

import (
	"testing"
	"testing/synctest"
	"time"
)

// A recordedSide notes what it is armed with.
type recordedSide []time.Time

func (r *recordedSide) arm(t time.Time) error { *r = append(*r, t); return nil }

func TestMovingADeadlineLaterArmsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d lazyDeadline
		var side recordedSide
		start := time.Now()
		for range 59 { // a request each second, each with a minute
			d.set(&side, time.Now().Add(time.Minute))
			d.drop(&side, true)
			time.Sleep(time.Second)
		}
		d.set(&side, time.Now().Add(time.Minute))
		if len(side) != 1 || !side[0].Equal(start.Add(time.Minute)) {
			t.Errorf("armed %v", side)
		}
		time.Sleep(time.Second) // the first one fires
		if d.expired(&side) {
			t.Error("expired before the deadline wanted")
		}
		if len(side) != 2 || !side[1].Equal(start.Add(119*time.Second)) {
			t.Errorf("armed %v", side)
		}
		time.Sleep(59 * time.Second)
		if !d.expired(&side) {
			t.Error("not expired")
		}
	})
}
