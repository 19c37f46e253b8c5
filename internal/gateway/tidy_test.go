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
		tidier := tidier{tidy: func() { looks.Add(1) }}
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
	if !worthwhile() {
		t.Fatal("64 MiB of garbage are not worth it")
	}
	giveBack()
	if worthwhile() {
		t.Error("there is as much to give back as before")
	}
}
