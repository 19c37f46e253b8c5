package origin

import (
	"sync/atomic"
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

// A timed counts how often a deadline passed.
type timed struct {
	deadlineTimer
	times atomic.Int32
}

func inTimedBubble(t *testing.T, test func(t *testing.T, d *timed)) {
	synctest.Test(t, func(t *testing.T) {
		d := new(timed)
		d.passed = func() { d.times.Add(1) }
		test(t, d)
		d.stop()
	})
}

func TestADeadlinePassesOnce(t *testing.T) {
	inTimedBubble(t, func(t *testing.T, d *timed) {
		d.set(time.Now().Add(time.Minute))
		time.Sleep(time.Minute - 1)
		if d.due() || d.times.Load() != 0 {
			t.Error("too soon")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !d.due() || d.times.Load() != 1 {
			t.Errorf("due %v, passed %d times", d.due(), d.times.Load())
		}
		time.Sleep(time.Hour)
		if !d.due() || d.times.Load() != 1 {
			t.Error("not once")
		}
	})
}

// Of the deadlines of many requests only the last one counts, and there is a timer
// running only once a minute.
func TestADeadlineMovedLaterPassesThen(t *testing.T) {
	inTimedBubble(t, func(t *testing.T, d *timed) {
		armed := 0
		for was := int64(0); was < int64(time.Hour); was += int64(time.Second) {
			before := d.armed.Load()
			d.set(time.Now().Add(time.Minute))
			if d.armed.Load() != before {
				armed++
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if armed != 1 || d.times.Load() != 0 || d.due() {
			t.Errorf("armed by a request %d times, passed %d times", armed, d.times.Load())
		}
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if d.times.Load() != 1 {
			t.Error("did not pass")
		}
	})
}

func TestADeadlineMovesAnyway(t *testing.T) {
	for name, tc := range map[string]struct {
		moves []time.Duration // 0: none
		after time.Duration   // when it passes; 0: never
	}{
		"earlier":                  {[]time.Duration{time.Hour, time.Second}, time.Second},
		"away":                     {[]time.Duration{time.Second, 0}, 0},
		"away and back":            {[]time.Duration{time.Second, 0, 2 * time.Second}, 2 * time.Second},
		"to the past":              {[]time.Duration{time.Hour, -time.Second}, 1},
		"to the past and back":     {[]time.Duration{-time.Second, time.Minute}, time.Minute},
		"to the past and away":     {[]time.Duration{-time.Second, 0}, 0},
		"later, earlier and later": {[]time.Duration{time.Minute, time.Second, time.Hour}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inTimedBubble(t, func(t *testing.T, d *timed) {
				for _, m := range tc.moves {
					if m == 0 {
						d.set(time.Time{})
					} else {
						d.set(time.Now().Add(m))
					}
					synctest.Wait()
				}
				d.times.Store(0)
				if tc.after > 1 {
					time.Sleep(tc.after - 1)
					if d.due() || d.times.Load() != 0 {
						t.Error("passed too soon")
					}
				}
				time.Sleep(3 * time.Hour)
				if d.due() != (tc.after != 0) {
					t.Errorf("due: %v", d.due())
				}
			})
		})
	}
}
