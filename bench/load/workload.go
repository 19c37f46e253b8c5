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
	// Holding is streams on which nothing happens: memory of each.
	Holding
)

// AtRest reports whether a gateway is only filled, and then left alone.
func (k Kind) AtRest() bool { return k == Idle || k == Holding }

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
	// Apart, of Latency, is the time from one connection's beginning to the next's.
	// h2load has each connection send what is due every 10 ms, counted from when it
	// was established: those a gateway establishes together send together from then
	// on, and each gateway would be asked in bursts of another size. 0 is all at once.
	Apart time.Duration
	// Curve names the curve that the workload is one point of, at X; "" is none.
	Curve string
	X     int
	// Plain is without TLS, which only h2gw is configured for.
	Plain bool
	// Hold is what each connection of Holding does; X is its number of streams in all.
	Hold Hold
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
		{Name: "latency", About: "100-byte responses, 4,000 requests/s over 16 connections that begin 1 ms apart", Kind: Latency, Path: "/small", Clients: 16, Streams: 32, Rate: 4000, Apart: time.Millisecond},
		{Name: "idle", About: "idle TLS connections with HTTP/2, after one request each", Kind: Idle, Path: "/small"},
	}
}

// Scale returns the workloads that show how the cost of a request, a connection
// and a stream changes with their number.
func Scale() []Workload {
	small := Workloads()[0]
	all := []Workload{small}
	point := func(curve string, x int, w Workload) {
		w.Name, w.Curve, w.X = fmt.Sprintf("%s %d", curve, x), curve, x
		all = append(all, w)
	}
	for _, n := range []int{1, 10, 50, 100, 250} {
		point("streams", n, Workload{About: "100-byte responses, 4 connections with so many streams each", Path: "/small", Clients: 4, Streams: n})
	}
	for _, n := range []int{1, 10, 100, 500, 1000, 2000} {
		point("connections", n, Workload{About: "100-byte responses, so many connections with one stream each", Path: "/small", Clients: n, Streams: 1})
	}
	all = append(all, Workloads()[len(Workloads())-1],
		Workload{Name: "idle-clear", About: "idle cleartext connections with HTTP/2, after one request each", Kind: Idle, Path: "/small", Plain: true})
	for _, n := range []int{100, 500, 1000} {
		point("waiting", n, Workload{About: "open streams on which a request waits for its body, 100 on a connection; the origin's connection is included", Kind: Holding,
			Hold: Hold{Streams: 100, Path: "/upload", Post: true}})
	}
	for _, n := range []int{100, 500, 1000} {
		point("stalled", n, Workload{About: "open streams on which a response of 1 MiB waits for the client, 100 on a connection; the origin's connection is included", Kind: Holding,
			Hold: Hold{Streams: 100, Path: "/1m"}})
	}
	return all
}

// Soak returns the workloads that run at once for a long time, at rates that
// leave the processors some air.
func Soak() []Workload {
	rates := map[string]int{"small": 2400, "single": 1500, "conns": 1000, "10k": 800, "1m": 60, "upload": 480}
	var all []Workload
	for _, w := range Workloads() {
		rate, ok := rates[w.Name]
		if !ok || w.Kind != Steady {
			continue
		}
		// Latency is the kind with a rate.
		w.Kind, w.Rate = Latency, rate
		// 500 handshakes at once, again and again, would be all that is seen of memory.
		for w.Clients > 100 {
			part := w
			part.Clients, part.Rate = 100, rate*100/500
			w.Clients, w.Rate = w.Clients-100, w.Rate-part.Rate
			all = append(all, part)
		}
		all = append(all, w)
	}
	return all
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
		args = append(args, "-c"+strconv.Itoa(w.Clients), "--rps="+strconv.Itoa(w.Rate/w.Clients))
		if w.Apart > 0 { // h2load does not take that together with -D
			n := int(float64(w.Rate) * total.Seconds())
			args = append(args, "-r1", "--rate-period="+millis(w.Apart), "-n"+strconv.Itoa(n))
		} else {
			args = append(args, "-D"+millis(total))
		}
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
