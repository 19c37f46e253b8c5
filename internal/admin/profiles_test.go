package admin

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

func TestProfilesAreServedOnlyWhenAskedFor(t *testing.T) {
	off, on := start(t, Config{}), start(t, Config{Profiles: true})
	for _, path := range []string{"", "goroutine", "heap", "profile?seconds=1", "mutex?seconds=1", "block?seconds=1"} {
		if status, _ := get(t, off, "GET", profilePath+path); status != 404 {
			t.Errorf("%s: %d without Profiles, want 404", path, status)
		}
		if status, body := get(t, on, "GET", profilePath+path); status != 200 || body == "" {
			t.Errorf("%s: %d with Profiles, and %d bytes", path, status, len(body))
		}
	}
	if _, page := get(t, off, "GET", "/"); strings.Contains(page, profilePath) {
		t.Error("the index names what is not there")
	}
	if _, page := get(t, on, "GET", "/"); !strings.Contains(page, profilePath) {
		t.Error("the index does not name the profiles")
	}
}

func TestContentionProfilesAreTakenOneAtATimeAndTurnedOffAgain(t *testing.T) {
	s := start(t, Config{Profiles: true})
	type answer struct {
		status int
		body   string
	}
	answers := make(chan answer, 2)
	for range 2 {
		go func() {
			status, body := get(t, s, "GET", profilePath+"mutex?seconds=1")
			answers <- answer{status, body}
		}()
	}
	a, b := <-answers, <-answers
	if a.status == 200 {
		a, b = b, a
	}
	// Both may have had their turn on a machine slow to start the second.
	if a.status != 409 && a.status != 200 || b.status != 200 {
		t.Errorf("%d and %d, want 409 and 200", a.status, b.status)
	}
	if !bytes.HasPrefix([]byte(b.body), []byte{0x1f, 0x8b}) {
		t.Errorf("not a gzipped profile: %.20q", b.body)
	}
	if n := runtime.SetMutexProfileFraction(-1); n != 0 {
		t.Errorf("the mutex profile is still on, 1 of %d", n)
	}
}
