package usage

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// Descriptors adds up the open files, sockets included, of pids.
func Descriptors(pids []int) (int, error) {
	n := 0
	for _, pid := range pids {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			return 0, err
		}
		n += len(entries)
	}
	return n, nil
}

// A Runtime is what a Go program says of itself in Prometheus' text format.
type Runtime struct {
	Goroutines int
	// Heap is bytes in use by objects, dead ones not yet collected included.
	// Live is what the last collection left.
	Heap, Live int64
}

// ReadRuntime asks the metrics at http://addr/metrics, on a connection of its own.
func ReadRuntime(ctx context.Context, addr string) (Runtime, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return Runtime{}, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	resp, err := client.Do(req)
	if err != nil {
		return Runtime{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Runtime{}, fmt.Errorf("usage: metrics answered %s", resp.Status)
	}
	return parseRuntime(resp.Body)
}

// parseRuntime finds the Go collector's samples. With the default GOGC of 100
// the next collection comes when the heap is twice what the last one left.
func parseRuntime(r io.Reader) (Runtime, error) {
	found := map[string]float64{"go_goroutines": -1, "go_memstats_heap_alloc_bytes": -1, "go_memstats_next_gc_bytes": -1}
	for sc := bufio.NewScanner(r); sc.Scan(); {
		name, value, _ := strings.Cut(sc.Text(), " ")
		if _, wanted := found[name]; wanted {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				return Runtime{}, fmt.Errorf("usage: %q: %w", sc.Text(), err)
			}
			found[name] = v
		}
	}
	for name, v := range found {
		if v < 0 {
			return Runtime{}, fmt.Errorf("usage: no %s in the metrics", name)
		}
	}
	return Runtime{Goroutines: int(found["go_goroutines"]), Heap: int64(found["go_memstats_heap_alloc_bytes"]),
		Live: int64(found["go_memstats_next_gc_bytes"]) / 2}, nil
}
