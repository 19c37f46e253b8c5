package report

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"
)

// A Style says how Render prints. The zero Style is plain text of any width,
// with bars of '#'.
type Style struct {
	// Color uses the terminal's bold and faint attributes and its colors.
	Color bool
	// Blocks draws bars with block characters, which need UTF-8.
	Blocks bool
	// Width is how many columns there are; 0: not bounded.
	Width int
}

// StyleOf returns the style for w: blocks and the width of the terminal that w
// is, and colors unless NO_COLOR is set (https://no-color.org) or TERM is dumb;
// the zero Style when w is not a terminal.
func StyleOf(w io.Writer) Style {
	if !isTerminal(w) {
		return Style{}
	}
	st := Style{Blocks: true, Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", Width: 80}
	if width, _, err := term.GetSize(int(w.(*os.File).Fd())); err == nil && width > 0 {
		st.Width = width
	}
	return st
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	yellow = "33"
	cyan   = "36"
)

// paint wraps s in a terminal attribute.
func (st Style) paint(attribute, s string) string {
	if !st.Color || s == "" {
		return s
	}
	return "\x1b[" + attribute + "m" + s + "\x1b[0m"
}

// whole writes n with separators: 1,234,567.
func whole(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural names n things.
func plural(n uint64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return whole(n) + " " + thing
}

// dashZero is whole, with "-" for nothing: in a table it is easier to overlook.
func dashZero(n uint64) string {
	if n == 0 {
		return "-"
	}
	return whole(n)
}

// decimals writes v with three significant digits, and without decimals from
// 100 on.
func decimals(v float64) string {
	switch {
	case v == math.Trunc(v) || v >= 99.95:
		return whole(uint64(math.Round(v)))
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// share writes n as percent of total.
func share(n, total uint64) string {
	if total == 0 {
		return "-"
	}
	p := 100 * float64(n) / float64(total)
	switch {
	case n > 0 && p < 0.1:
		return "<0.1 %"
	case n < total && p > 99.9:
		return ">99.9 %"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + " %"
}

// size writes bytes with a binary unit.
func size(n uint64) string {
	switch {
	case n == 0:
		return "-"
	case n < 1024:
		return strconv.FormatUint(n, 10) + " B"
	}
	v, unit := float64(n)/1024, 0
	for v >= 1023.5 && unit < 5 {
		v /= 1024
		unit++
	}
	return decimals(v) + " " + string("KMGTPE"[unit]) + "iB"
}

// millis writes a duration given in milliseconds.
func millis(ms float64) string {
	switch {
	case ms == 0:
		return "0"
	case ms < 0.9995:
		return strconv.FormatFloat(ms*1000, 'f', 0, 64) + " µs"
	case ms < 999.5:
		return decimals(ms) + " ms"
	case ms < 99_950:
		return decimals(ms/1000) + " s"
	}
	return long(time.Duration(ms * float64(time.Millisecond)))
}

// long writes a duration of a minute or more in its two largest units.
func long(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 3600:
		return fmt.Sprintf("%dm %02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh %02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd %02dh", s/86400, s%86400/3600)
}
