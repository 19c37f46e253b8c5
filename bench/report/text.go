package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// cells lays a table out: the heading, then a line for each gateway.
func (t *Table) cells() [][]string {
	shown := t.Shown()
	first := t.reference()
	head := []string{"gateway"}
	for i, c := range shown {
		head = append(head, c.Title())
		if i == 0 {
			head = append(head, "to best peer")
		}
		if i == 0 && first != nil {
			head = append(head, "to "+first.Gateway+", by round")
		}
	}
	out := [][]string{append(head, "requests", "failed")}
	for _, r := range t.Rows {
		line := []string{r.Gateway}
		for i, c := range shown {
			line = append(line, r.text(c))
			if i == 0 {
				line = append(line, t.ratio(r, c))
			}
			if i == 0 && first != nil {
				line = append(line, r.paired(first, c))
			}
		}
		out = append(out, append(line, fmt.Sprint(r.Requests()), fmt.Sprint(r.Failed())))
	}
	return out
}

// text is the row's figure, or a dash where there is none.
func (r *Row) text(c Column) string {
	f, ok := r.Figure(c)
	if !ok {
		return "—"
	}
	return f.Text(c)
}

// ratio is the row's figure as a multiple of the cheapest peer's.
func (t *Table) ratio(r *Row, c Column) string {
	f, ok := r.Figure(c)
	best, found := t.Best(c)
	if !ok || !found || best == 0 {
		return "—"
	}
	return fmt.Sprintf("%.2f", f.Median/best)
}

// reference is the row that others of ours are to be compared with: the first
// of ours, if there are more; else nil.
func (t *Table) reference() *Row {
	var ours []*Row
	for _, r := range t.Rows {
		if r.Ours {
			ours = append(ours, r)
		}
	}
	if len(ours) < 2 {
		return nil
	}
	return ours[0]
}

// paired is the row's figure as a multiple of another's of the same round: the
// median, and the range. What the machine does to both cancels out.
func (r *Row) paired(other *Row, c Column) string {
	if r == other || r.Refused() != "" || other.Refused() != "" {
		return "—"
	}
	var v []float64
	for i := range min(len(r.Samples), len(other.Samples)) {
		a, okA := r.Samples[i].Values[c]
		b, okB := other.Samples[i].Values[c]
		if okA && okB && b > 0 {
			v = append(v, a/b)
		}
	}
	f, ok := NewFigure(v)
	switch {
	case !ok:
		return "—"
	case len(v) == 1:
		return fmt.Sprintf("%.2f", f.Median)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", f.Median, f.Min, f.Max)
}

// Summary is the first figure of every workload for every gateway: a heading,
// a line of units, then a line for each gateway.
func (r *Report) Summary() [][]string {
	head, units := []string{"gateway"}, []string{""}
	lines := map[string][]string{}
	var names []string
	for _, p := range r.Parts() {
		t := p.Table
		if t == nil {
			continue // a curve has a table of its own
		}
		head, units = append(head, t.Workload), append(units, t.Columns[0].Title())
		for _, row := range t.Rows {
			if lines[row.Gateway] == nil {
				names = append(names, row.Gateway)
			}
			line := lines[row.Gateway]
			for len(line) < len(head)-2 {
				line = append(line, "—")
			}
			text := "—"
			if f, ok := row.Figure(t.Columns[0]); ok {
				text = t.Columns[0].Format(f.Median)
			}
			lines[row.Gateway] = append(line, text)
		}
	}
	out := [][]string{head, units}
	for _, n := range names {
		out = append(out, append([]string{n}, lines[n]...))
	}
	return out
}

// Notes are the reasons for figures that are not shown.
func (t *Table) Notes() []string {
	var out []string
	for _, r := range t.Rows {
		if why := r.Refused(); why != "" {
			out = append(out, fmt.Sprintf("%s: no figure: %s", r.Gateway, why))
		}
	}
	return out
}

// Calls says for each gateway which system calls a request takes.
func (t *Table) Calls() []string {
	var out []string
	for _, r := range t.Rows {
		for _, s := range r.Samples {
			if text := s.calls(); text != "" && r.Refused() == "" {
				out = append(out, r.Gateway+": "+text)
			}
		}
	}
	return out
}

// calls lists the system calls of which a hundred requests take one or more.
func (s *Sample) calls() string {
	var names []string
	for name, n := range s.Calls {
		if n >= 0.01 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Calls[b], s.Calls[a]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %.2f", name, s.Calls[name])
	}
	return strings.Join(names, ", ")
}

// WriteText prints the report for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	for _, p := range r.Parts() {
		name, about, cells, notes := p.text()
		if _, err := fmt.Fprintf(w, "\n%s: %s\n%s", name, about, align(cells)); err != nil {
			return err
		}
		for _, n := range notes {
			fmt.Fprintln(w, "  "+n)
		}
		for _, c := range p.calls() {
			fmt.Fprintln(w, "  system calls of "+c)
		}
	}
	if s := pad(r.Summary()); len(s[0]) > 1 {
		fmt.Fprintf(w, "\nmedians\n%s", align(s))
	}
	if t := r.Reached(); t != nil {
		fmt.Fprintf(w, "\ntargets\n%s", align(t))
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(r.Facts(), "\n"))
	return err
}

// calls are those of a table alone.
func (p Part) calls() []string {
	if p.Curve != nil {
		return nil
	}
	return p.Table.Calls()
}

// text is what is written of a part in any form.
func (p Part) text() (name, about string, cells [][]string, notes []string) {
	if p.Curve != nil {
		return p.Curve.Name, p.Curve.About, p.Curve.cells(), p.Curve.Notes()
	}
	return p.Workload, p.Table.About, p.Table.cells(), p.Table.Notes()
}

// pad makes all rows as long as the first.
func pad(rows [][]string) [][]string {
	for i := range rows {
		for len(rows[i]) < len(rows[0]) {
			rows[i] = append(rows[i], "—")
		}
	}
	return rows
}

// align pads cells to columns, the first to the left and numbers to the right.
func align(rows [][]string) string { return columned(rows, false) }

// alignWords pads all cells to the left.
func alignWords(rows [][]string) string { return columned(rows, true) }

func columned(rows [][]string, left bool) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, c := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i == 0 || left {
				b.WriteString("  " + c + pad)
			} else {
				b.WriteString("  " + pad + c)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Facts are lines that say what was measured, on what and when.
func (r *Report) Facts() []string {
	log := "off"
	if r.Settings.AccessLog {
		log = "on"
	}
	facts := []string{
		fmt.Sprintf("%s UTC; %s, %d cores, %d GiB; Linux %s", r.Date, r.Machine.CPU, r.Machine.Cores, r.Machine.MemoryGiB, r.Machine.Kernel),
		fmt.Sprintf("rounds: %d, of %g s a run (median, then min–max); %d workers each; access logs %s; load average %.2f before, %.2f after",
			r.Settings.Rounds, r.Settings.WindowSeconds, r.Settings.Workers, log, r.LoadBefore, r.LoadAfter),
		"versions: " + r.versions(),
	}
	if len(r.Settings.H2GW) > 0 {
		facts = append(facts, "h2gw was given: "+strings.Join(r.Settings.H2GW, ", "))
	}
	for _, m := range r.Missing {
		facts = append(facts, "left out: "+m)
	}
	return facts
}

func (r *Report) versions() string {
	var out []string
	for name, v := range r.Versions {
		out = append(out, name+" "+v)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// WriteMarkdown writes the tables for a page in the repository.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Benchmark\n\n")
	for _, f := range r.Facts() {
		b.WriteString("- " + f + "\n")
	}
	b.WriteString("\nLower is better, but for requests/s. ../README.md says how to read this.\n")
	if s := pad(r.Summary()); len(s[0]) > 1 {
		b.WriteString("\n## Medians\n\n" + markdown(s))
	}
	if t := r.Reached(); t != nil {
		b.WriteString("\n## Targets\n\n" + markdown(t))
	}
	for _, p := range r.Parts() {
		name, about, cells, notes := p.text()
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s", name, about, markdown(cells))
		for _, n := range notes {
			b.WriteString("\n" + n + "\n")
		}
		for _, c := range p.calls() {
			b.WriteString("\nSystem calls of " + c + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdown(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|---" + strings.Repeat("|--:", len(row)-1) + "|\n")
		}
	}
	return b.String()
}
