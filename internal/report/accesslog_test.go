package report_test

import (
	"bytes"
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/internal/accesslog"
	"github.com/h2gw/h2gw/internal/report"
	"github.com/h2gw/h2gw/pitag"
)

// TestReadsWhatTheAccessLogWrites keeps the two ends of the log in step: every
// field that the report uses goes through the real writer.
func TestReadsWhatTheAccessLogWrites(t *testing.T) {
	var log bytes.Buffer
	w, err := accesslog.Open(accesslog.Config{Output: &log})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)
	s := &pitag.Session{
		Identity: pitag.Identity{Tag: pitag.TagH2, ID: 1<<53 - 1},
		Client:   netip.MustParseAddrPort("[2001:db8::1]:50123"), Listener: "public", Start: start,
	}
	for i := range 4 {
		r := &httpsm.Record{
			Session: s, Stream: uint32(2*i + 1), Txn: uint64(i + 1), Method: "GET", Host: "www.example.org",
			Path: "/\"\\\x00\xff é", Status: 200, Outcome: "completed", BytesIn: 10, BytesOut: 1000,
			Start: start, FirstByte: start.Add(1500 * time.Microsecond), End: start.Add(2500 * time.Microsecond),
			Origin: "10.0.0.7:8080", OriginConn: 11, OriginReused: i > 0, Retries: 1,
		}
		if i == 3 {
			r.Status, r.Outcome, r.H2Error = 499, "client_abort", "CANCEL"
		}
		w.Record(r)
	}
	w.Session(&pitag.SessionRecord{
		Session: s, End: start.Add(3 * time.Second), Streams: 4, StreamsPeak: 2, StreamsRefused: 1,
		ResetsIn: 1, ResetsOut: 2, BytesIn: 500, BytesOut: 6000, GoAway: "NO_ERROR", Cause: pitag.CauseIdleTimeout,
	})
	w.Session(&pitag.SessionRecord{Session: &pitag.Session{Identity: pitag.Identity{ID: 7}, Start: start}, End: start, Cause: pitag.CauseHandshakeFailed})
	if err := w.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	sum, err := report.Summarize(context.Background(), report.Options{Stdin: &log})
	if err != nil {
		t.Fatal(err)
	}
	if sum.Lines != (report.LineCounts{Total: 6, Access: 4, Session: 2}) || sum.Connections.Open != 0 || !sum.Streams.Complete {
		t.Fatalf("lines %+v, broken %+v, streams %+v", sum.Lines, sum.Broken, sum.Streams)
	}
	var p report.Protocol
	for _, x := range sum.Protocols {
		if x.Name == "h2" {
			p = x
		}
	}
	check := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("protocols", len(sum.Protocols), 2)
	check("closed", p.Connections.Closed, uint64(1))
	check("streams", p.InSessions, uint64(4))
	check("refused", p.Refused, uint64(1))
	check("peak", p.PeakStreams, uint64(2))
	check("resets", [2]uint64{p.ResetsIn, p.ResetsOut}, [2]uint64{1, 2})
	check("bodies", p.Bodies, report.Traffic{In: 40, Out: 4000})
	check("wire", p.Wire, report.Traffic{In: 500, Out: 6000})
	check("latency", p.LatencyMS.Max, 2.5)
	check("ttfb", p.TTFBMS.Max, 1.5)
	check("lifetime", p.LifetimeMS.Max, 3000.0)
	check("status 200", p.Statuses["200"], uint64(3))
	check("outcome", p.Outcomes["client_abort"], uint64(1))
	check("h2_error", p.H2Errors["CANCEL"], uint64(1))
	check("cause", p.Causes["idle_timeout"], uint64(1))
	check("goaway", p.GoAways["NO_ERROR"], uint64(1))
	check("retries", p.Retries, uint64(4))
	check("origin", sum.Origins[0].Name, "10.0.0.7:8080")
	check("reused", sum.Origins[0].ReusedShare, 0.75)
	check("busiest", sum.Busiest[0], report.Connection{Protocol: "h2", ID: 1<<53 - 1, Client: "[2001:db8::1]:50123", Streams: 4, BytesIn: 500, BytesOut: 6000})
	check("from", *sum.From, start)
	check("to", *sum.To, start.Add(3*time.Second))
}
