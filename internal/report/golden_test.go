package report

import (
	"bytes"
	"context"
	"flag"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = "testdata/" + name
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
		for i := range min(len(g), len(w)) {
			if g[i] != w[i] {
				t.Errorf("line %d is not as in %s (go test -update writes it anew):\n%s\nwant\n%s", i+1, name, g[i], w[i])
				return
			}
		}
		t.Errorf("%d lines, %s has %d", len(g), name, len(w))
	}
}

// summarize reads text as standard input.
func summarize(t testing.TB, o Options, text string) *Summary {
	t.Helper()
	o.Stdin = strings.NewReader(text)
	s, err := Summarize(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func render(t testing.TB, s *Summary, st Style) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.Render(&b, st); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPrintedReport is what people and machines see. The log has a bit of all:
// a restart that begins again at piid 1, a line that comes after its session's,
// connections still open, refusals, other and broken lines.
func TestPrintedReport(t *testing.T) {
	for _, c := range []struct {
		file string
		json bool
	}{{"access.txt", false}, {"access.json", true}} {
		var out bytes.Buffer
		err := Run(context.Background(), Options{Files: []string{"testdata/access.log"}, Out: &out, JSON: c.json})
		if err != nil {
			t.Fatal(err)
		}
		golden(t, c.file, out.Bytes())
	}
}

func TestReportOnATerminal(t *testing.T) {
	g := newGenerator(3, 60)
	for g.buf.Len() < 2<<20 {
		g.step()
	}
	s := summarize(t, Options{Top: 5}, g.buf.String())
	text := render(t, s, Style{Blocks: true, Width: 80})
	golden(t, "terminal.txt", []byte(text))
	for l := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > 80 {
			t.Errorf("%d columns on a terminal of 80: %s", n, l)
		}
	}
	colored := render(t, s, Style{Blocks: true, Width: 80, Color: true})
	if stripped := stripColors(colored); stripped != text {
		t.Error("colors change more than the color")
	}
	if colored == text {
		t.Error("no colors")
	}
}

func stripColors(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		_, s, _ = strings.Cut(after, "m")
	}
}

func TestIncompleteLogIsSaid(t *testing.T) {
	text := `{"event":"access","pitag":"h2","piid":1}
{"event":"session","pitag":"h2","piid":1,"streams":3}
{"event":"access","pitag":"h2","piid":2}
`
	s := summarize(t, Options{}, text)
	want := StreamBalance{AccessLines: 2, InSessions: 3, InOpenConnections: 1, Missing: 2, MissingConnections: 1}
	if s.Streams != want {
		t.Errorf("streams %+v, want %+v", s.Streams, want)
	}
	if out := render(t, s, Style{}); !strings.Contains(out, "log incomplete: 2 access lines but sessions account for 3\n") {
		t.Errorf("not said:\n%s", out)
	}
}

func TestHostileTextCannotReachTheTerminal(t *testing.T) {
	s := summarize(t, Options{}, `{"event":"access","pitag":"h2\u001b[31m","piid":1,"client":"\u202eevil\u0007","outcome":"\u009b2J","origin":"\u001b]0;x\u0007"}`)
	out := render(t, s, Style{})
	if i := strings.IndexFunc(out, func(r rune) bool { return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0x202e }); i >= 0 {
		t.Errorf("control character in %q", out[i:min(len(out), i+20)])
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{whole(0), "0"}, {whole(999), "999"}, {whole(1000), "1,000"}, {whole(1234567), "1,234,567"},
		{size(0), "-"}, {size(1023), "1023 B"}, {size(1024), "1 KiB"}, {size(1536), "1.50 KiB"}, {size(1 << 20), "1 MiB"}, {size(1<<63 + 1<<62), "12 EiB"},
		{millis(0), "0"}, {millis(0.812), "812 µs"}, {millis(0.9999), "1.00 ms"}, {millis(1.5), "1.50 ms"}, {millis(12.34), "12.3 ms"},
		{millis(999.4), "999 ms"}, {millis(999.9), "1.00 s"}, {millis(60030), "60.0 s"}, {millis(125000), "2m 05s"}, {millis(3720000), "1h 02m"}, {millis(90000000), "1d 01h"},
		{share(0, 0), "-"}, {share(1, 3), "33.3 %"}, {share(1, 5000), "<0.1 %"}, {share(4999, 5000), ">99.9 %"}, {share(5, 5), "100.0 %"},
		{bar(1, 1000, 10, true), "▏"}, {bar(1000, 1000, 3, true), "███"}, {bar(0, 5, 3, true), ""}, {bar(1, 2, 4, false), "##"}, {bar(1, 1000, 4, false), "#"},
		{clip("abcdef", 4), "abc…"}, {clip("äöü", 3), "äöü"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestEmptyBucketsAreOneLine(t *testing.T) {
	out := render(t, summarize(t, Options{}, session("1", "1")+session("2", "700")), Style{Width: 60})
	for _, want := range []string{"             1  1   50.0 %  ####", "\n      2 to 511  -    0.0 %\n  512 to 1,023  1   50.0 %  ####"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}
