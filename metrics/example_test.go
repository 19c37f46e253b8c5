package metrics_test

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/metrics"
	"github.com/h2gw/h2gw/pitag"
)

// A program that runs the HTTP state machine itself counts its transactions
// with Record, and serves what Handler returns.
func Example() {
	reg := prometheus.NewRegistry()
	m := metrics.New(reg, metrics.Config{Version: "v0.1.0"})

	begin := time.Now()
	s := &pitag.Session{Identity: pitag.Identity{Tag: pitag.TagH2, ID: 1}, Listener: "public", Start: begin}
	m.SessionOpened(s)
	m.Record(&httpsm.Record{
		Session: s, Method: "GET", Status: 200, Outcome: "completed",
		Start: begin, FirstByte: begin.Add(time.Millisecond), End: begin.Add(2 * time.Millisecond),
	})
	m.SessionClosed(&pitag.SessionRecord{
		Session: s, End: begin.Add(time.Second), Streams: 1, Cause: pitag.CauseClientClosed,
	})

	text, _ := testutil.GatherAndFormat(reg, expfmt.TypeTextPlain, "h2gw_requests_total", "h2gw_connections_active", "h2gw_connections_closed_total")
	fmt.Print(string(text))
	// Output:
	// # HELP h2gw_connections_active Client connections open now.
	// # TYPE h2gw_connections_active gauge
	// h2gw_connections_active{listener="public",proto="h2"} 0
	// # HELP h2gw_connections_closed_total Client connections closed, by cause.
	// # TYPE h2gw_connections_closed_total counter
	// h2gw_connections_closed_total{cause="client_closed",proto="h2"} 1
	// # HELP h2gw_requests_total Requests ended, by status code to the client (* when none was sent).
	// # TYPE h2gw_requests_total counter
	// h2gw_requests_total{code="200",method="GET",proto="h2"} 1
}
