package load

import (
	"fmt"
	"strconv"
	"time"
)

// A Kind is how a workload is run and what its figure is.
type Kind int

const (
	// Steady load for a time: CPU per request within a window.
	Steady Kind = iota
	// NewConn is one request on each new TLS connection: CPU per connection.
	NewConn
	// Resumed is NewConn with TLS sessions resumed by ticket.
	Resumed
	// Latency is a fixed rate of requests: time of each.
	Latency
	// Idle is connections on which nothing happens: memory of each.
	Idle
)

// A Workload is one line of performance.md's table.
type Workload struct {
	Name string
	// About is one line for a reader of the report.
	About string
	Kind  Kind
	// Path is what is asked for; Body, if not 0, is the size of what is posted.
	Path string
	Body int
	// Clients is the number of connections, Streams that of requests in flight on each.
	Clients, Streams int
	// Rate is requests (Latency) or connections (NewConn) per second, in all.
	Rate int
	// Window bits of h2load's stream and connection windows; 0 is its default.
	StreamWindow, ConnWindow int
}

// Workloads returns all workloads in the order they are run and reported.
func Workloads() []Workload {
	return []Workload{
		{Name: "small", About: "100-byte responses, 16 connections with 32 streams each", Path: "/small", Clients: 16, Streams: 32},
		{Name: "single", About: "100-byte responses, one connection with 100 streams", Path: "/small", Clients: 1, Streams: 100},
		{Name: "conns", About: "100-byte responses, 500 connections with one stream each", Path: "/small", Clients: 500, Streams: 1},
		{Name: "10k", About: "10 KiB responses, 16 connections with 32 streams each", Path: "/10k", Clients: 16, Streams: 32},
		{Name: "1m", About: "1 MiB responses, 4 connections with 4 streams each, windows of 1 MiB and 16 MiB", Path: "/1m", Clients: 4, Streams: 4, StreamWindow: 20, ConnWindow: 24},
		{Name: "upload", About: "10 KiB posted, 4 connections with 8 streams each", Path: "/upload", Body: 10 << 10, Clients: 4, Streams: 8},
		{Name: "newconn", About: "one request on each new TLS connection, full handshakes", Kind: NewConn, Path: "/small", Streams: 1, Rate: 400},
		{Name: "resumed", About: "one request on each new TLS connection, sessions resumed by ticket", Kind: Resumed, Path: "/small", Streams: 1, Rate: 400},
		{Name: "latency", About: "100-byte responses, 4,000 requests/s over 16 connections", Kind: Latency, Path: "/small", Clients: 16, Streams: 32, Rate: 4000},
		{Name: "idle", About: "idle TLS connections with HTTP/2, after one request each", Kind: Idle, Path: "/small"},
	}
}

// Timing says how long one run takes.
type Timing struct {
	// WarmUp comes before the window and is not counted; Window is.
	WarmUp, Window time.Duration
}

// Warm is how long the workload's load goes on before the window: the warm-up,
// and the time to open its connections, whose handshakes must be over by then.
func (w Workload) Warm(t Timing) time.Duration {
	return t.WarmUp + time.Duration(w.Clients)*3*time.Millisecond
}

// tail is how long h2load goes on after the window, so that the window's end
// is under full load too.
const tail = 100 * time.Millisecond

// args are h2load's arguments for one run against addr. A dataFile is posted
// if the workload has a body.
func (w Workload) args(t Timing, addr, logFile, dataFile string) []string {
	args := []string{"-t1", "-m" + strconv.Itoa(w.Streams), "--log-file=" + logFile}
	total := w.Warm(t) + t.Window + tail
	switch w.Kind {
	case NewConn:
		n := strconv.Itoa(w.Connections(t))
		args = append(args, "-n"+n, "-c"+n, "-r"+strconv.Itoa(w.Rate/10), "--rate-period=100ms")
	case Latency:
		args = append(args, "-c"+strconv.Itoa(w.Clients), "--rps="+strconv.Itoa(w.Rate/w.Clients), "-D"+millis(total))
	default:
		args = append(args, "-c"+strconv.Itoa(w.Clients), "-D"+millis(total))
	}
	if w.StreamWindow > 0 {
		args = append(args, "-w"+strconv.Itoa(w.StreamWindow), "-W"+strconv.Itoa(w.ConnWindow))
	}
	if w.Body > 0 {
		args = append(args, "-d", dataFile)
	}
	return append(args, "https://"+addr+w.Path)
}

// Connections is how many a NewConn or Resumed run opens.
func (w Workload) Connections(t Timing) int {
	return max(10, int(float64(w.Rate)*t.Window.Seconds()))
}

func millis(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }
