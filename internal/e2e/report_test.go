package e2e

import (
	"encoding/json"
	"testing"

	"github.com/h2gw/h2gw/internal/report"
)

func decodeSummary(t *testing.T, text string) report.Summary {
	t.Helper()
	var s report.Summary
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("report --json is not JSON: %v\n%s", err, tail(text, 2000))
	}
	return s
}

// wantReport compares what `h2gw report` counts in the log of a gateway that
// has ended with what was sent to it.
func (g *gateway) wantReport(proto string, conns, n int) {
	g.t.Helper()
	s := g.reportJSON()
	if s.Lines.Broken != 0 || s.Lines.Access != uint64(n) || s.Lines.Session != uint64(conns) {
		g.t.Errorf("report: %d access, %d session, %d broken lines; want %d, %d, 0", s.Lines.Access, s.Lines.Session, s.Lines.Broken, n, conns)
	}
	for _, p := range s.Protocols {
		if p.Name != proto {
			g.t.Errorf("report: connections of %q, none were made", p.Name)
			continue
		}
		if p.Connections.Open != 0 || p.Connections.Closed != uint64(conns) || p.AccessLines != uint64(n) || p.Outcomes["completed"] != uint64(n) {
			g.t.Errorf("report: %d connections of %s (%d open) with %d requests, %d completed; want %d, %d, %d",
				p.Connections.Closed, proto, p.Connections.Open, p.AccessLines, p.Outcomes["completed"], conns, n, n)
		}
	}
	if !s.Streams.Complete || s.Streams.InSessions != uint64(n) {
		g.t.Errorf("report: %d access lines, sessions account for %d; want %d of both", s.Streams.AccessLines, s.Streams.InSessions, n)
	}
}
