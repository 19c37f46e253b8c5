package admin

import (
	"net/http"
	"net/http/pprof"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// profilePath is below which profiles of the process are served, in the format
// that `go tool pprof` reads.
const profilePath = "/debug/pprof/"

// Rates while a contention profile is being taken: every hundredth contended
// unlock, and one blocking event for each 10 µs blocked. Outside of that both
// are off, because they cost something in every lock and channel operation.
const (
	mutexFraction = 100
	blockRate     = int(10 * time.Microsecond)
	// profileFor is how long when the request does not say ?seconds=N.
	profileFor = "10"
)

// profiles adds the profiles to mux. Who reads them learns how the program is
// built and can slow it down: they are served only when asked for.
func profiles(mux *http.ServeMux) {
	var c contention
	mux.HandleFunc("GET "+profilePath, pprof.Index)
	mux.HandleFunc("GET "+profilePath+"profile", pprof.Profile)
	mux.HandleFunc("GET "+profilePath+"trace", pprof.Trace)
	mux.HandleFunc("GET "+profilePath+"symbol", pprof.Symbol)
	mux.Handle("GET "+profilePath+"mutex", c.during("mutex", func(on bool) {
		n := 0
		if on {
			n = mutexFraction
		}
		runtime.SetMutexProfileFraction(n)
	}))
	mux.Handle("GET "+profilePath+"block", c.during("block", func(on bool) {
		n := 0
		if on {
			n = blockRate
		}
		runtime.SetBlockProfileRate(n)
	}))
}

// contention takes one contention profile at a time: their rates are of the
// whole process.
type contention struct{ mu sync.Mutex }

// during serves the difference that ?seconds=N make to the profile, with its
// rate set for that long.
func (c *contention) during(name string, rate func(on bool)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.mu.TryLock() {
			text(w, http.StatusConflict, "another mutex or block profile is being taken\n")
			return
		}
		defer c.mu.Unlock()
		q := r.URL.Query()
		if n, err := strconv.Atoi(q.Get("seconds")); err != nil || n < 1 {
			q.Set("seconds", profileFor)
			r.URL.RawQuery = q.Encode()
			r.Form = nil
		}
		rate(true)
		defer rate(false)
		pprof.Handler(name).ServeHTTP(w, r)
	})
}
