package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"
)

// maxDemoBytes bounds /bytes/N, so that a slip of the finger costs little.
const maxDemoBytes = 1 << 30

// demoOrigin is an ordinary HTTP/1.1 site of four pages.
func demoOrigin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", demoIndex)
	mux.HandleFunc("GET /bytes/{n}", demoBytes)
	mux.HandleFunc("/echo", demoEcho)
	mux.HandleFunc("GET /slow", demoSlow)
	return mux
}

func demoIndex(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `Hello from the origin behind h2gw.

/bytes/N  N bytes
/echo     what the origin received, as it received it
/slow     ten lines, one every 200 ms
`)
}

// demoBytes sends as many bytes as the path asks for.
func demoBytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || n < 0 || n > maxDemoBytes {
		http.Error(w, fmt.Sprintf("want /bytes/N with N from 0 to %d", maxDemoBytes), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	block := bytes.Repeat([]byte("0123456789abcde\n"), 2048)
	for n > 0 {
		k, err := w.Write(block[:min(n, int64(len(block)))])
		if err != nil {
			return
		}
		n -= int64(k)
	}
}

// demoEcho shows the request that reached the origin: what h2gw made of it.
func demoEcho(w http.ResponseWriter, r *http.Request) {
	head, err := httputil.DumpRequest(r, false)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	// net/http's server reads and writes one after the other unless told so.
	_ = http.NewResponseController(w).EnableFullDuplex()
	_, _ = w.Write(head)
	_, _ = io.Copy(w, r.Body)
}

// demoSlow streams, so that it can be seen that the gateway does, too.
func demoSlow(w http.ResponseWriter, r *http.Request) {
	flush := http.NewResponseController(w)
	for i := range 10 {
		fmt.Fprintf(w, "line %d of 10\n", i+1)
		_ = flush.Flush()
		select {
		case <-time.After(200 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}
