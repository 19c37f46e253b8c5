package main

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestALoadGoesOnUntilItsTimeAndCountsWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		n := 0
		l := newSoakLoad("fake", "", func(_ context.Context, most time.Duration) (int, int, error) {
			time.Sleep(min(2*time.Second, most))
			n++
			switch n {
			case 2:
				return 10, 3, errors.New("three of them")
			case 3:
				return 0, 0, errors.New("did not start")
			}
			return 10, 0, nil
		})
		<-runLoads(t.Context(), []*soakLoad{l}, start.Add(20*time.Second))
		// Two failures, each with a second's pause: nine runs of two seconds.
		got := l.result()
		if got.Done != 80 || got.Failed != 4 || got.Why != "did not start" || n != 9 {
			t.Errorf("%d runs, %+v", n, got)
		}
		if d := time.Since(start); d < 19*time.Second || d > 20*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

func TestACancelledLoadEndsAtOnceAndFailsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newSoakLoad("fake", "", func(ctx context.Context, _ time.Duration) (int, int, error) {
			<-ctx.Done()
			return 5, 5, ctx.Err()
		})
		ended := runLoads(ctx, []*soakLoad{l}, time.Now().Add(time.Hour))
		time.Sleep(time.Minute)
		cancel()
		<-ended
		if got := l.result(); got.Failed != 0 || got.Done != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestACrowdComesInARhythmAndLeavesInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var here, peak, failing atomic.Int64
		start := time.Now()
		once := crowd(100*time.Millisecond, 1000, 3*time.Second, func(context.Context) error {
			peak.Store(max(peak.Load(), here.Add(1)))
			time.Sleep(3 * time.Second)
			here.Add(-1)
			if failing.Add(1)%10 == 0 {
				return errors.New("turned away")
			}
			return nil
		})
		done, failed, err := once(t.Context(), 10*time.Second)
		if done != 70 || failed != 7 || err == nil || peak.Load() > 31 || peak.Load() < 29 {
			t.Errorf("%d came, %d failed (%v), %d at a time", done, failed, err, peak.Load())
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("took %v", d)
		}
		start = time.Now()
		if done, _, _ := once(t.Context(), 2*time.Second); done != 0 || time.Since(start) != 2*time.Second {
			t.Errorf("%d came although nobody could have stayed; %v", done, time.Since(start))
		}
	})
}

// A whole soak of twenty seconds, too short for its verdict on memory.
func TestAShortSoakTellsWhatItFound(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute: origin connections are kept that long")
	}
	for _, tool := range []string{"h2load", "nginx", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (Debian: apt-get install nghttp2-client nginx-light)", tool)
		}
	}
	var out, progress strings.Builder
	err := run(t.Context(), []string{"-soak", "20s", "-set", "timeouts.origin_idle=1s"}, &out, &progress)
	if err != nil && !errors.Is(err, errSoak) {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, want := range []string{"goroutines are back    yes", "descriptors are back   yes", "every load did something"} {
		if !strings.Contains(squeeze(out.String()), squeeze(want)) {
			t.Errorf("%q is missing in\n%s\n%s", want, out.String(), progress.String())
		}
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestASoakOfNoTimeIsRefused(t *testing.T) {
	if _, err := parseFlags([]string{"-soak", "1s"}, io.Discard); err == nil || !strings.Contains(err.Error(), "20s to 24h") {
		t.Errorf("%v", err)
	}
}
