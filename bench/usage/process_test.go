package usage

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

const exposition = `# HELP go_goroutines Number of goroutines that currently exist.
# TYPE go_goroutines gauge
go_goroutines 42
go_memstats_heap_alloc_bytes 3.5e+06
go_memstats_heap_alloc_bytes_total 9e+09
go_memstats_next_gc_bytes 4.194304e+06
`

func TestGoSamplesAreFoundInMetrics(t *testing.T) {
	got, err := parseRuntime(strings.NewReader(exposition))
	if want := (Runtime{Goroutines: 42, Heap: 3500000, Live: 2 << 20}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, text := range []string{"", "go_goroutines many\n", strings.Replace(exposition, "go_goroutines 42\n", "", 1)} {
		if got, err := parseRuntime(strings.NewReader(text)); err == nil {
			t.Errorf("no error for %.30q, but %+v", text, got)
		}
	}
}

func TestMetricsThatAnswerOtherwiseAreAnError(t *testing.T) {
	for _, status := range []int{200, 404} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(exposition))
		}))
		_, err := ReadRuntime(context.Background(), strings.TrimPrefix(s.URL, "http://"))
		s.Close()
		if (err == nil) != (status == 200) {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

func TestDescriptorsAreCounted(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("descriptors are read from Linux's /proc")
	}
	count := func() int {
		n, err := Descriptors([]int{os.Getpid()})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// What earlier tests have left may be closing just now: then it is one more
	// than something else, for a moment.
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		before := count()
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		now := count()
		_ = f.Close()
		if now == before+1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d, want %d", now, before+1)
		}
	}
}
