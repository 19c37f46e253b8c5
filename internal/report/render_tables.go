package report

import "fmt"

// maxOriginsShown bounds the lines about origins on paper; the JSON has them all.
const maxOriginsShown = 20

func (p *printer) latency() {
	t := &table{text: 1, head: []string{"", "requests", "p50", "p90", "p99", "p99.9", "max"}}
	add := func(name string, d Distribution) {
		if d.Count > 0 {
			t.row(name, whole(d.Count), millis(d.P50), millis(d.P90), millis(d.P99), millis(d.P999), millis(d.Max))
		}
	}
	for _, x := range p.s.Protocols {
		add(clean(x.Name), x.LatencyMS)
	}
	for _, x := range p.s.Protocols {
		add(clean(x.Name)+", to first byte", x.TTFBMS)
	}
	for _, o := range p.shownOrigins() {
		add("origin "+clean(o.Name), o.LatencyMS)
	}
	if len(t.rows) > 0 {
		p.title("LATENCY", "of whole transactions, and to the first byte of the response")
		p.table(t)
		p.moreOrigins()
	}
}

func (p *printer) shownOrigins() []Origin {
	return p.s.Origins[:min(len(p.s.Origins), maxOriginsShown)]
}

func (p *printer) moreOrigins() {
	if more := len(p.s.Origins) - maxOriginsShown; more > 0 {
		p.line("  and %d more origins: see --json", more)
	}
}

func (p *printer) reuse() {
	if len(p.s.Origins) == 0 {
		return
	}
	p.title("ORIGIN CONNECTIONS", "")
	t := &table{text: 1, head: []string{"origin", "requests", "connections", "requests/conn", "reused", "retries", "5xx"}}
	for _, o := range p.shownOrigins() {
		perConn, reused := "-", "-"
		if o.Connections > 0 {
			perConn = decimals(o.RequestsPerConnection)
		}
		if o.Connections > 0 || o.ReusedShare > 0 {
			reused = fmt.Sprintf("%.1f %%", 100*o.ReusedShare)
		}
		t.row(clean(o.Name), whole(o.Requests), dashZero(o.Connections), perConn, reused, dashZero(o.Retries), dashZero(o.Failed))
	}
	p.table(t)
	p.moreOrigins()
}

func (p *printer) busiest() {
	if len(p.s.Busiest) == 0 {
		return
	}
	p.title("BUSIEST CLIENT CONNECTIONS", "")
	t := &table{text: 1<<0 | 1<<2 | 1<<6, head: []string{"pitag", "piid", "client", "streams", "bytes in", "bytes out", ""}}
	open := false
	for _, c := range p.s.Busiest {
		state := ""
		if c.Open {
			state, open = "open", true
		}
		// piid is a name, not an amount: no separators, so that it can be
		// searched for in the log.
		t.row(clean(c.Protocol), fmt.Sprint(c.ID), clean(c.Client), whole(c.Streams), size(c.BytesIn), size(c.BytesOut), state)
	}
	p.table(t)
	if open {
		p.line("  %s", p.st.paint(faint, "open: the bytes are those of bodies; otherwise of the connection, inside TLS"))
	}
}

func (p *printer) traffic() {
	p.title("TRAFFIC", "in: from clients, out: to clients; connections: inside TLS")
	t := &table{text: 1, head: []string{"protocol", "bodies in", "bodies out", "connections in", "connections out"}}
	resets := &table{text: 1, head: []string{"protocol", "resets in", "resets out", "streams refused", "origin retries"}}
	for _, x := range p.s.Protocols {
		t.row(clean(x.Name), size(x.Bodies.In), size(x.Bodies.Out), size(x.Wire.In), size(x.Wire.Out))
		if x.ResetsIn+x.ResetsOut+x.Refused+x.Retries > 0 {
			resets.row(clean(x.Name), dashZero(x.ResetsIn), dashZero(x.ResetsOut), dashZero(x.Refused), dashZero(x.Retries))
		}
	}
	p.table(t)
	if len(resets.rows) > 0 {
		p.title("RESETS, REFUSALS, RETRIES", "")
		p.table(resets)
	}
}

// closing says what is exact.
func (p *printer) closing() {
	p.line("")
	f := p.s.Followed
	note := func(format string, args ...any) {
		p.line("%s", p.st.paint(faint, fmt.Sprintf(format, args...)))
	}
	note("Counts, sums and extremes are exact; percentiles at most %.1f %% too high.", 100*p.s.PercentileError)
	if f.Exact {
		return
	}
	note("More than %s connections at once had no session line; one in %s of them", whole(uint64(f.Bound)), whole(f.OneIn))
	note("was followed. Numbers with ~ are estimates, of open connections within %.1f %%", 100*f.RelativeError)
	note("(95 %% confidence). What is said of open ones is that of those followed;")
	note("another may be missing among the busiest.")
}
