package report

import (
	"strings"
	"testing"
)

func TestTargetsAreHeldAgainstTheBestPeerOfTheRun(t *testing.T) {
	table := func(name string, c Column, rows ...any) *Table {
		out := &Table{Workload: name, Columns: []Column{c}}
		for i := 0; i < len(rows); i += 2 {
			gateway := rows[i].(string)
			out.Rows = append(out.Rows, &Row{Gateway: gateway, Ours: strings.HasPrefix(gateway, "h2gw"),
				Samples: []Sample{{Requests: 1, Values: map[Column]float64{c: rows[i+1].(float64)}}}})
		}
		return out
	}
	r := &Report{Tables: []*Table{
		table("small", CPU, "h2gw", 9.0, "h2gw+log", 10.2, "h2gw+pipe", 4.0, "haproxy", 10.0, "nginx", 15.0),
		table("single", CPU, "h2gw", 8.0, "haproxy", 10.0),
		table("10k", CPU, "h2gw", 21.0, "haproxy", 20.0),
		table("latency", P99, "h2gw", 900.0, "haproxy", 1000.0),
		table("idle 1000", IdleKiB, "h2gw", 15.0, "nginx", 12.0),
		table("1m", CPU, "h2gw", 700.0),
	}}
	var got []string
	for _, line := range r.Reached()[1:] {
		got = append(got, strings.Join(line, " | "))
	}
	want := []string{
		"small | to best peer | 1.00 | 0.85 | 0.90 | met",
		"single | to best peer | 1.00 | 0.85 | 0.80 | aim",
		"10k | to best peer | 1.00 | 0.85 | 1.05 | missed",
		"latency | p99 µs, to best peer | 1.00 | 1.00 | 0.90 | aim",
		"idle 1000 | KiB/connection | 18.0 | 14.0 | 15.0 | met",
		"small+pipe | to best peer | 0.60 | 0.45 | 0.40 | aim",
		"small+log | CPU µs/request, more | +1.5 | +1.0 | +1.2 | met",
	}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("got\n%s\nwant\n%s", a, b)
	}
	if lines := (&Report{Tables: []*Table{table("small", CPU, "nginx", 3.0)}}).Reached(); lines != nil {
		t.Errorf("no h2gw, and yet %q", lines)
	}
}

func TestEveryFormTellsTheTargets(t *testing.T) {
	r := example() // h2gw 15.5, best peer 25: 0.62
	var text, md, page strings.Builder
	for _, err := range []error{r.WriteText(&text), r.WriteMarkdown(&md), r.WriteHTML(&page)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, form := range []string{text.String(), md.String(), page.String()} {
		if !strings.Contains(form, "0.62") || !strings.Contains(strings.ToLower(form), "targets") {
			t.Errorf("the target is missing in\n%s", form)
		}
	}
}
