package h2session

import (
	"fmt"
	"strings"
	"testing"
)

// said writes a signal as the tables do: "u=1 i=?1", "-" for nothing.
func said(s signal) string {
	var parts []string
	if s.urgency > 0 {
		parts = append(parts, fmt.Sprintf("u=%d", s.urgency-1))
	}
	if s.incremental > 0 {
		parts = append(parts, fmt.Sprintf("i=?%d", s.incremental-1))
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, " ")
}

func TestPriorityFieldValues(t *testing.T) {
	tests := []struct{ value, want string }{
		{"", "-"},
		{"u=0", "u=0"},
		{"u=7, i", "u=7 i=?1"},
		{"i,u=2", "u=2 i=?1"},
		{"  u=2\t ,\t i=?0 ", "u=2 i=?0"},
		{"u=1;x=\"a, b\";y, i;z=?0", "u=1 i=?1"},
		{"u=1, u=5", "u=5"}, // the last one counts (RFC 8941, section 4.2.2)
		{"u=1, u=high", "-"},
		{"i, i=?0", "i=?0"},

		// Each of these members is ignored for itself (RFC 9218, section 4).
		{"u=8, i", "i=?1"},
		{"u=-1, i", "i=?1"},
		{"u=1.0, i", "i=?1"},
		{"u=?1, i=1", "-"},
		{"u, i=\"?1\"", "-"},
		{"u=(1 2);q, i", "i=?1"},
		{"urgency=1, u=2, *x.y-z_=*a/b:c", "u=2"},
		{"x=:YWJj:, y=(a \"b\" 1.5;p ?0), u=2", "u=2"},
		{"x=999999999999999, u=2", "u=2"},
		{"x=-999999999999.999, u=2", "u=2"},
		{"x=\"a\\\"b\\\\c\", u=2", "u=2"},
		{"x=(), u=2", "u=2"},
		{"u=000000000000002", "u=2"},
	}
	for _, tt := range tests {
		s, ok := parsePriority(tt.value)
		if got := said(s); got != tt.want || !ok {
			t.Errorf("%q: %s (%v), want %s", tt.value, got, ok, tt.want)
		}
		if b, ok := parsePriority([]byte(tt.value)); b != s || !ok {
			t.Errorf("%q: as bytes %v, %v", tt.value, b, ok)
		}
	}
}

func TestMalformedPriorityFieldValuesAreIgnoredWhole(t *testing.T) {
	for _, value := range []string{
		",", "u=1,", "u=1,,i", "u=1 i", "u=", "u=1;", "u=1;=2", "u=1;X", "U=1", "=1", "1=u", "u =1", "u= 1", "\tu=1",
		"u=-", "u=1234567890123456", "u=1.", "u=1.1234", "u=1234567890123.1", "u=--1",
		"i=?", "i=?2", "i=?true", "x=\"", "x=\"\\a\"", "x=\"\t\"", "x=\"\x7f\"", "x=\"é\"", "u=1, é=2",
		"x=:", "x=:a", "x=:a b:", "x=(", "x=(1", "x=(1,2)", "x=(1\"a\")", "x=(1))", "x=((1))", "x=@1", "x=%\"a\"",
		"u=1\x00", "\x00", "u=1;a=", "u=1;a=(1)",
	} {
		if s, ok := parsePriority("u=1, i, " + value); ok && value != "\tu=1" || ok && s != (signal{2, 2}) {
			t.Errorf("behind others, %q is taken for %s", value, said(s))
		}
		if s, ok := parsePriority(value); ok || s != (signal{}) {
			t.Errorf("%q is taken for %s", value, said(s))
		}
	}
}

// Whatever a client writes: reading it does not fail, says the same of a string
// and of bytes, and a well-formed value stays one when a member joins it.
func FuzzPriorityField(f *testing.F) {
	for _, s := range []string{"", "u=1", "u=3, i", "i=?0;a=1.5", "x=(a \"b\");c, u=7", "x=:YQ==:", "u=-1, *a=b/c", "u=1,", "\"", "u=("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		s, ok := parsePriority(value)
		if b, okB := parsePriority([]byte(value)); b != s || okB != ok {
			t.Fatalf("%q: %v %v as a string, %v %v as bytes", value, s, ok, b, okB)
		}
		if s.urgency > urgencies || s.incremental > 2 || !ok && s != (signal{}) {
			t.Fatalf("%q: %v", value, s)
		}
		if !ok {
			return
		}
		sep := ", "
		if strings.Trim(value, " ") == "" {
			sep = ""
		}
		joined, ok := parsePriority(value + sep + "u=5")
		if want := (signal{6, s.incremental}); joined != want || !ok {
			t.Fatalf("%q and u=5: %v, %v", value, joined, ok)
		}
		if again, ok := parsePriority(strings.ReplaceAll(said(s), " ", ", ")); said(s) != "-" && (again != s || !ok) {
			t.Fatalf("%q reads as %s, which reads as %s", value, said(s), said(again))
		}
	})
}
