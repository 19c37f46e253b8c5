package gateway

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The tidier waits for a pause, looks once, and starts nothing after.
func TestTheTidierWaitsForAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		tidier := tidier{tidy: func(int64) bool { looks.Add(1); return true }}
		want := func(n int32) {
			t.Helper()
			synctest.Wait()
			if l := looks.Load(); l != n {
				t.Fatalf("tidied %d times, want %d", l, n)
			}
		}
		time.Sleep(time.Hour)
		want(0)
		for range 100 {
			tidier.note()
			time.Sleep(tidyPause / 2)
			want(0)
		}
		time.Sleep(tidyPause)
		want(1)
		time.Sleep(time.Hour)
		want(1)
		tidier.note()
		tidier.note()
		time.Sleep(tidyPause + 1)
		want(2)
	})
}

// What a burst has left behind is given back, and then there is nothing to do.
func TestWhatABurstLeavesIsGivenBack(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	giveBack()
	var burst [][]byte
	for range 1000 {
		burst = append(burst, make([]byte, 64<<10))
	}
	runtime.KeepAlive(burst)
	burst = nil
	if !worthwhile(0) {
		t.Fatal("64 MiB of garbage are not worth it")
	}
	giveBack()
	if worthwhile(0) {
		t.Error("there is as much to give back as before")
	}
	if !worthwhile(64 << 20) {
		t.Error("what is known to be garbage does not count")
	}
}

// Sessions that ended or came to rest count until it was worth it to tidy up.
func TestWhatEndedOrRestsIsAddedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan int64, 10)
		tidier := tidier{tidy: func(garbage int64) bool {
			told <- garbage / leastSession
			return garbage >= 5*leastSession
		}}
		for i, want := range []int64{2, 4, 6, 2} {
			tidier.note()
			tidier.note()
			if got := <-told; got != want {
				t.Errorf("%d. look: %d sessions, want %d", i, got, want)
			}
		}
	})
}

// Goroutines that wait deep in their stacks, and then in a few frames: large is
// what they are on average.
func TestLargeStacksAreSeen(t *testing.T) {
	wait, waiting := make(chan struct{}), make(chan struct{})
	for range 2 * leastStacks {
		go deep(40, waiting, wait)
	}
	for range 2 * leastStacks {
		<-waiting
	}
	if !stacksAreLarge() {
		t.Error("stacks of 40 frames with 128 bytes each are not large")
	}
	close(wait)
	eventually(t, "no goroutine is left, and no stack", func() bool { giveBack(); return !stacksAreLarge() })
}

//go:noinline
func deep(n int, waiting chan<- struct{}, wait <-chan struct{}) (sum byte) {
	var frame [128]byte
	frame[n] = byte(n)
	if n == 0 {
		waiting <- struct{}{}
		<-wait
		return 0
	}
	return deep(n-1, waiting, wait) + frame[n]
}
