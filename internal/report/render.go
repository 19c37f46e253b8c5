package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// printer prints a Summary. Errors of the writer stay in the bufio.Writer.
type printer struct {
	*bufio.Writer
	s  *Summary
	st Style
}

// Render prints the report as text. The error is that of w.
func (s *Summary) Render(w io.Writer, st Style) error {
	p := &printer{Writer: bufio.NewWriter(w), s: s, st: st}
	p.opening()
	if s.Lines.Access+s.Lines.Session > 0 {
		p.connections()
		p.streams()
		p.matrix("STATUS", "status", func(p *Protocol) map[string]uint64 { return p.Statuses }, true)
		p.matrix("OUTCOME", "outcome", func(p *Protocol) map[string]uint64 { return p.Outcomes }, false)
		p.latency()
		p.reuse()
		p.busiest()
		p.traffic()
		p.matrix("CLOSED BECAUSE", "cause", func(p *Protocol) map[string]uint64 { return p.Causes }, false)
		p.matrix("GOAWAY", "code", func(p *Protocol) map[string]uint64 { return p.GoAways }, false)
		p.matrix("STREAMS RESET", "code", func(p *Protocol) map[string]uint64 { return p.H2Errors }, false)
		p.closing()
	}
	return p.Flush()
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *printer) title(name, about string) {
	p.line("")
	if about != "" {
		about = "  " + p.st.paint(faint, about)
	}
	p.line("%s%s", p.st.paint(bold+";"+cyan, name), about)
}

func (p *printer) table(t *table) {
	for _, l := range t.lines(p.st, "  ") {
		p.line("%s", l)
	}
}

func (p *printer) opening() {
	s := p.s
	var names []string
	var bytes uint64
	for _, in := range s.Inputs {
		name := clean(in.Name)
		if in.Name == "-" {
			name = "standard input"
		}
		names = append(names, name)
		bytes += in.Bytes
	}
	if len(names) > 4 {
		names = append(names[:3], fmt.Sprintf("and %d more", len(names)-3))
	}
	p.line("%s  %s", p.st.paint(bold, "h2gw report"), strings.Join(names, ", "))
	if s.From != nil {
		p.line("%s", period(*s.From, *s.To))
	}
	parts := []string{plural(s.Lines.Total, "line")}
	if bytes > 0 {
		parts[0] += ", " + size(bytes)
	}
	for _, c := range []struct {
		n    uint64
		name string
	}{{s.Lines.Access, "access"}, {s.Lines.Session, "session"}, {s.Lines.Other, "other"}, {s.Lines.Blank, "blank"}, {s.Lines.Broken, "broken"}} {
		if c.n > 0 {
			parts = append(parts, whole(c.n)+" "+c.name)
		}
	}
	p.line("%s", strings.Join(parts, " · "))
	p.faults()
}

// period names a time range; the second date only where it is another one.
func period(from, to time.Time) string {
	const day, clock = time.DateOnly, "15:04:05"
	end := to.Format(clock)
	if from.Format(day) != to.Format(day) {
		end = to.Format(day + " " + clock)
	}
	return fmt.Sprintf("%s to %s UTC (%s)", from.Format(day+" "+clock), end, millis(float64(to.Sub(from).Microseconds())/1000))
}

// faults lists what could not be read.
func (p *printer) faults() {
	s := p.s
	for _, in := range s.Inputs {
		if in.Error != "" {
			p.line("%s %s: %s", p.st.paint(red, "cannot read"), clean(in.Name), clean(in.Error))
		}
	}
	if s.Lines.Broken == 0 {
		if s.Lines.Access+s.Lines.Session == 0 {
			p.line("There is no access or session line to report on.")
		}
		return
	}
	p.title("BROKEN LINES", "not counted anywhere else")
	for _, b := range s.Broken {
		p.line("  %s:%d: %s", clean(b.File), b.Line, b.Reason)
	}
	if more := s.Lines.Broken - uint64(len(s.Broken)); more > 0 {
		p.line("  and %s more", whole(more))
	}
	if s.Lines.Broken+s.Lines.Blank == s.Lines.Total {
		p.line("  No line could be used: want h2gw's access log in its JSON form, one object a line.")
	}
}

// about marks an estimate.
func (p *printer) about(n uint64) string {
	if n == 0 || p.s.Followed.Exact {
		return dashZero(n)
	}
	digit := uint64(1) // the third significant one; more would look exact
	for n/digit >= 1000 {
		digit *= 10
	}
	return "~" + whole((n+digit/2)/digit*digit)
}

func (p *printer) connections() {
	p.title("CLIENT CONNECTIONS", "closed: with a session line; open: only in access lines")
	t := &table{text: 1, head: []string{"protocol", "closed", "open", "share", "peak streams", "lifetime p50", "p99", "max"}, total: len(p.s.Protocols) > 1}
	all := p.s.Connections
	for _, x := range p.s.Protocols {
		life := []string{"-", "-", "-"}
		if d := x.LifetimeMS; d.Count > 0 {
			life = []string{millis(d.P50), millis(d.P99), millis(d.Max)}
		}
		t.row(append([]string{clean(x.Name), dashZero(x.Connections.Closed), p.about(x.Connections.Open),
			share(x.Connections.Closed+x.Connections.Open, all.Closed+all.Open), dashZero(x.PeakStreams)}, life...)...)
	}
	if t.total {
		t.row("total", dashZero(all.Closed), p.about(all.Open), "", "", "", "", "")
	}
	p.table(t)
}

func (p *printer) streams() {
	p.title("STREAMS PER CLIENT CONNECTION", "requests, where the protocol has no streams")
	t := &table{text: 1, head: []string{"protocol", "connections", "streams", "min", "mean", "p50", "p90", "p99", "max"}}
	add := func(name, conns string, d Distribution, streams string) {
		t.row(name, conns, streams, decimals(d.Min), decimals(d.Mean), decimals(d.P50), decimals(d.P90), decimals(d.P99), decimals(d.Max))
	}
	for _, x := range p.s.Protocols {
		if x.StreamsPerConnection.Count > 0 {
			add(clean(x.Name), whole(x.Connections.Closed), x.StreamsPerConnection, whole(x.InSessions))
		}
		if d := x.StreamsPerOpen; d.Count > 0 {
			add(clean(x.Name)+" (open)", p.about(d.Count), d, p.about(uint64(d.Mean*float64(d.Count)+0.5)))
		}
	}
	p.table(t)
	p.balance()
	for _, x := range p.s.Protocols {
		p.chart(&x)
	}
}

// balance says whether the log accounts for every stream.
func (p *printer) balance() {
	b := p.s.Streams
	if b.Complete {
		p.line("  %s access lines, sessions account for %s", whole(b.AccessLines), whole(b.InSessions))
	} else {
		p.line("  %s %s access lines but sessions account for %s", p.st.paint(bold+";"+yellow, "log incomplete:"), whole(b.AccessLines), whole(b.InSessions))
		p.line("  %s streams have no access line, of closed connections: %s;", p.about(b.Missing), p.about(b.MissingConnections))
		p.line("  lines were dropped, or are in another file of a rotated log")
	}
	if b.InOpenConnections > 0 {
		p.line("  %s access lines belong to open connections", p.about(b.InOpenConnections))
	}
	if b.Unidentified != 0 {
		p.line("  %d access lines have no piid", b.Unidentified)
	}
}

// chart draws how many connections had how many streams. A protocol whose
// connections all fall together says so in the table.
func (p *printer) chart(x *Protocol) {
	if len(x.StreamBuckets) < 2 {
		return
	}
	p.line("")
	buckets := joinEmpty(x.StreamBuckets)
	most, widest := uint64(0), 0
	for _, b := range buckets {
		most = max(most, b.Count)
		widest = max(widest, len(bucketName(b)))
	}
	counts := len(whole(most))
	width := p.st.Width
	if width == 0 {
		width = 80
	}
	room := max(8, min(40, width-len("  ")-widest-counts-len("  ")*3-len("100.0 %")))
	p.line("  %s", p.st.paint(faint, clean(x.Name)+": connections by number of streams"))
	for _, b := range buckets {
		l := fmt.Sprintf("  %*s  %*s  %7s  %s", widest, bucketName(b), counts, dashZero(b.Count),
			share(b.Count, x.StreamsPerConnection.Count), p.st.paint(cyan, bar(b.Count, most, room, p.st.Blocks)))
		p.line("%s", strings.TrimRight(l, " "))
	}
}

// joinEmpty makes one of empty buckets that follow each other.
func joinEmpty(bs []Bucket) (out []Bucket) {
	for _, b := range bs {
		if n := len(out); n > 0 && b.Count == 0 && out[n-1].Count == 0 {
			out[n-1].To = b.To
			continue
		}
		out = append(out, b)
	}
	return out
}

func bucketName(b Bucket) string {
	if b.From == b.To {
		return whole(b.From)
	}
	return whole(b.From) + " to " + whole(b.To)
}

// matrix prints counts by name and protocol, the largest first, or by name.
func (p *printer) matrix(title, what string, of func(*Protocol) map[string]uint64, byName bool) {
	totals := map[string]uint64{}
	t := &table{text: 1, head: []string{what}}
	var columns []map[string]uint64
	var all uint64
	for i := range p.s.Protocols {
		m := of(&p.s.Protocols[i])
		if len(m) == 0 {
			continue
		}
		columns = append(columns, m)
		t.head = append(t.head, clean(p.s.Protocols[i].Name))
		for name, n := range m {
			totals[name] += n
			all += n
		}
	}
	if all == 0 {
		return
	}
	if len(columns) > 1 {
		t.head = append(t.head, "total")
	}
	t.head = append(t.head, "share")
	for _, name := range ordered(totals, byName) {
		cells := []string{clean(name)}
		for _, c := range columns {
			cells = append(cells, dashZero(c[name]))
		}
		if len(columns) > 1 {
			cells = append(cells, whole(totals[name]))
		}
		t.row(append(cells, share(totals[name], all))...)
	}
	p.title(title, "")
	p.table(t)
}

// ordered returns the keys of m, by name or by count and then by name.
func ordered(m map[string]uint64, byName bool) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if byName {
			return cmp.Compare(a, b)
		}
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b))
	})
}
