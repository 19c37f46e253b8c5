package report

import (
	"strings"
	"unicode/utf8"
)

// A table is rows of cells under a head. Columns of text are aligned to the
// left, those of numbers to the right.
type table struct {
	text uint // bit i: column i is text
	head []string
	rows [][]string
	// total sets the last row apart.
	total bool
}

func (t *table) isText(column int) bool { return t.text>>column&1 == 1 }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// columnGap separates columns.
const columnGap = 2

// widths returns the width of each column; where all together are wider than
// limit (0: no limit) the text columns shrink, the widest first.
func (t *table) widths(limit int) []int {
	ws := make([]int, len(t.head))
	for _, r := range append([][]string{t.head}, t.rows...) {
		for i, c := range r {
			ws[i] = max(ws[i], utf8.RuneCountInString(c))
		}
	}
	sum := -columnGap
	for _, w := range ws {
		sum += w + columnGap
	}
	const least = 12
	for limit > 0 && sum > limit {
		widest := 0
		for i := range ws {
			if t.isText(i) && (!t.isText(widest) || ws[i] > ws[widest]) {
				widest = i
			}
		}
		if !t.isText(widest) || ws[widest] <= least {
			break // a narrow terminal: lines will wrap
		}
		ws[widest]--
		sum--
	}
	return ws
}

// lines returns the table's lines, painted for st.
func (t *table) lines(st Style, indent string) []string {
	ws := t.widths(max(0, st.Width-len(indent)))
	out := []string{st.paint(faint, indent+t.line(t.head, ws))}
	for i, r := range t.rows {
		s := indent + t.line(r, ws)
		if t.total && i == len(t.rows)-1 {
			s = st.paint(bold, s)
		}
		out = append(out, s)
	}
	return out
}

func (t *table) line(cells []string, ws []int) string {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteString(strings.Repeat(" ", columnGap))
		}
		c = clip(c, ws[i])
		pad := strings.Repeat(" ", ws[i]-utf8.RuneCountInString(c))
		if t.isText(i) {
			b.WriteString(c + pad)
		} else {
			b.WriteString(pad + c)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// clip shortens s to width runes.
func clip(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	r := []rune(s)
	return string(r[:max(0, width-1)]) + "…"
}

// clean makes text from the log safe to print: no control characters, which a
// terminal would obey, and no invalid UTF-8.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// bar returns a bar of n of most, at most width long: with blocks in steps of an
// eighth. What is there is seen, however little.
func bar(n, most uint64, width int, blocks bool) string {
	if n == 0 || most == 0 {
		return ""
	}
	if !blocks {
		return strings.Repeat("#", max(1, int(float64(n)/float64(most)*float64(width)+0.5)))
	}
	steps := max(1, int(float64(n)/float64(most)*float64(width*8)+0.5))
	s := strings.Repeat("█", steps/8)
	if rest := steps % 8; rest > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return s
}
