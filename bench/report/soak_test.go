package report

import (
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// soaked is ten minutes in which all is well; change spoils it.
func soaked(change func(*Soak)) *Soak {
	s := &Soak{Date: "2026-01-02 03:04", Versions: map[string]string{"h2gw": "1"}, Seconds: 600,
		Before: SoakSample{Second: -1, PSS: 20 << 20, Goroutines: 10, Descriptors: 14},
		After:  []SoakSample{{Second: 601, PSS: 100 << 20, Goroutines: 400, Descriptors: 90}, {Second: 670, PSS: 100 << 20, Goroutines: 11, Descriptors: 13}},
		Loads:  []SoakLoad{{Name: "small", Done: 1000}, {Name: "rude", Done: 10}}}
	for t := 5.0; t < 600; t += 5 {
		s.Samples = append(s.Samples, SoakSample{Second: t, PSS: 100<<20 + int64(t)%7<<16, Live: 9 << 20, Goroutines: 500, Descriptors: 300})
	}
	if change != nil {
		change(s)
	}
	return s
}

func TestASoakPassesOnlyWhenNothingGrowsAndAllIsBack(t *testing.T) {
	grow := func(by float64) func(*Soak) {
		return func(s *Soak) {
			for i := range s.Samples {
				// By so much from minute 2 to minute 9, the middles of the two spans.
				x := &s.Samples[i]
				x.PSS = int64(100 * (1 << 20) * math.Pow(1+by, (x.Second-120)/420))
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*Soak)
		want   string // the finding that is not so; "" is none
	}{
		{"all is well", nil, ""},
		{"grows by 4%", grow(0.04), ""},
		{"grows by 6%", grow(0.06), "memory does not grow"},
		{"shrinks", grow(-0.5), ""},
		{"a peak at the start alone", func(s *Soak) { s.Samples[0].PSS <<= 3 }, ""},
		{"no samples", func(s *Soak) { s.Samples = nil }, "memory does not grow"},
		{"goroutines stay", func(s *Soak) { s.After[1].Goroutines = 13 }, "goroutines are back"},
		{"descriptors stay", func(s *Soak) { s.After[1].Descriptors = 17 }, "descriptors are back"},
		{"nobody looked afterwards", func(s *Soak) { s.After = nil }, "goroutines are back descriptors are back"},
		{"a request failed", func(s *Soak) { s.Loads[0].Failed, s.Loads[0].Why = 1, "502" }, "no request failed"},
		{"a load did nothing", func(s *Soak) { s.Loads[1].Done = 0 }, "every load did something"},
	} {
		s := soaked(c.change)
		var bad []string
		for _, f := range s.Judge() {
			if !f.OK {
				bad = append(bad, f.What)
			}
			if f.Text == "" {
				t.Errorf("%s: %s says nothing", c.name, f.What)
			}
		}
		if got := strings.Join(bad, " "); got != c.want {
			t.Errorf("%s: not so: %q, want %q", c.name, got, c.want)
		}
		if s.Passed() != (c.want == "") {
			t.Errorf("%s: passed: %v", c.name, s.Passed())
		}
	}
}

func TestLoadsOfOneKindAreAddedUp(t *testing.T) {
	var s Soak
	for _, l := range []SoakLoad{{Name: "a", Done: 1, Failed: 1, Why: "x"}, {Name: "a", About: "other"}, {Name: "a", Done: 2}} {
		s.Add(l)
	}
	if len(s.Loads) != 2 || s.Loads[0] != (SoakLoad{Name: "a", Done: 3, Failed: 1, Why: "x"}) {
		t.Errorf("%+v", s.Loads)
	}
}

func TestASoakIsReadBackAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.json")
	s := soaked(nil)
	writeFile(t, path, s.WriteJSON)
	got, err := ReadSoak(path)
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, s)
	}
}

func TestASoaksPageHasALineForEachThingWatched(t *testing.T) {
	for _, s := range []*Soak{soaked(nil), soaked(func(s *Soak) { s.Samples, s.After, s.Seconds = nil, nil, 1 })} {
		var page, text, md strings.Builder
		for _, err := range []error{s.WriteHTML(&page), s.WriteText(&text), s.WriteMarkdown(&md)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(page.String(), "<polyline"); n != 4 {
			t.Errorf("%d lines, want 4", n)
		}
		for _, bad := range []string{"NaN", "Inf", "http://", "https://"} {
			if strings.Contains(page.String(), bad) {
				t.Errorf("the page has %s in it", bad)
			}
		}
		for _, f := range s.Judge() {
			if !strings.Contains(text.String(), f.Text) || !strings.Contains(md.String(), f.Text) {
				t.Errorf("%q is not told", f.Text)
			}
		}
	}
}
