package httpsm

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// work has n workers of c at work at once, and returns when they are parked.
func work(c *crew, n int) {
	var running, release sync.WaitGroup
	release.Add(1)
	running.Add(n)
	for range n {
		c.do(func() { running.Done(); release.Wait() })
	}
	running.Wait()
	release.Done()
	synctest.Wait()
}

func parked(c *crew) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.parked)
}

func TestAWorkerIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(crew)
		defer c.close()
		work(c, 3)
		if n := parked(c); n != 3 {
			t.Fatalf("%d parked, want 3", n)
		}
		last := c.parked[2]
		c.do(func() {
			if parked(c) != 2 || c.parked[0] == last || c.parked[1] == last {
				t.Error("not the one that was used last")
			}
		})
		synctest.Wait()
		if n := parked(c); n != 3 {
			t.Errorf("%d parked, want 3", n)
		}
		work(c, maxParked+10)
		if n := parked(c); n != maxParked {
			t.Errorf("%d parked, want no more than %d", n, maxParked)
		}
	})
}

// Those that were not needed for a while end; when none is left, so does the
// timer. What is needed all the time stays.
func TestWorkersThatAreNotNeededEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(crew)
		work(c, 5)
		for range 20 {
			time.Sleep(sweepWorkers / 4)
			work(c, 2)
		}
		if n := parked(c); n != 2 {
			t.Errorf("%d parked, want 2", n)
		}
		time.Sleep(3 * sweepWorkers)
		if n := parked(c); n != 0 || c.armed {
			t.Errorf("%d parked, the timer armed: %t", n, c.armed)
		}
		work(c, 1) // and begins anew
		time.Sleep(3 * sweepWorkers)
		if n := parked(c); n != 0 {
			t.Errorf("%d parked", n)
		}
	}) // which fails when a goroutine is left
}

func TestACrewThatIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(crew)
		work(c, 3)
		var release sync.WaitGroup
		release.Add(1)
		c.do(release.Wait)
		c.close()
		synctest.Wait()
		if n := parked(c); n != 0 {
			t.Errorf("%d parked", n)
		}
		done := false
		c.do(func() { done = true })
		release.Done()
		synctest.Wait()
		if n := parked(c); n != 0 || !done {
			t.Errorf("%d parked, done: %t", n, done)
		}
		c.close()
	})
}

func BenchmarkCrew(b *testing.B) {
	c := new(crew)
	defer c.close()
	done := make(chan struct{})
	f := func() { done <- struct{}{} }
	b.ReportAllocs()
	for b.Loop() {
		c.do(f)
		<-done
	}
}
