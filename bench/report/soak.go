package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// A Soak is one long run of everything at once, to see what grows.
type Soak struct {
	Date     string            `json:"date"`
	Machine  Machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	// H2GW holds settings given to h2gw beyond its defaults.
	H2GW []string `json:"h2gw_set,omitempty"`
	// Seconds is how long the load went on.
	Seconds float64 `json:"seconds"`
	// Before is just before the load, Samples are during it, After is behind it
	// until everything was back or the wait was over.
	Before  SoakSample   `json:"before"`
	Samples []SoakSample `json:"samples"`
	After   []SoakSample `json:"after"`
	Loads   []SoakLoad   `json:"loads"`
}

// A SoakSample is what the gateway held at one time.
type SoakSample struct {
	Second float64 `json:"second"` // since the load began; negative before
	PSS    int64   `json:"pss"`    // bytes
	// Heap is what objects take, Live what the last collection left of it; bytes.
	Heap        int64 `json:"heap"`
	Live        int64 `json:"live"`
	Goroutines  int   `json:"goroutines"`
	Descriptors int   `json:"descriptors"`
}

// A SoakLoad is one of the loads that ran at once.
type SoakLoad struct {
	Name  string `json:"name"`
	About string `json:"about"`
	// Done is requests, or connections, or rude clients; Failed those of them
	// that went wrong without meaning to.
	Done   int    `json:"done"`
	Failed int    `json:"failed"`
	Why    string `json:"why,omitempty"`
}

// A Finding is one thing that had to be so.
type Finding struct {
	What string
	OK   bool
	Text string
}

const (
	// mostGrowth is how much memory may grow from one fifth of the time to its end.
	mostGrowth = 0.05
	// astray is how many goroutines or descriptors more than before may be left:
	// the metrics' own connection, say, that is just being closed.
	astray = 2
)

// Early and late are the spans, as parts of the whole time, whose medians are
// compared: of ten minutes, around the second, and up to the tenth. They are as
// wide because a heap goes up and down between collections.
var early, late = [2]float64{0.1, 0.3}, [2]float64{0.8, 1}

// Add puts a load's result with others of the same name and kind.
func (s *Soak) Add(l SoakLoad) {
	for i := range s.Loads {
		if x := &s.Loads[i]; x.Name == l.Name && x.About == l.About {
			x.Done, x.Failed = x.Done+l.Done, x.Failed+l.Failed
			x.Why = cmp.Or(l.Why, x.Why)
			return
		}
	}
	s.Loads = append(s.Loads, l)
}

// Judge says what was found. All must be OK.
func (s *Soak) Judge() []Finding {
	all := []Finding{s.memory()}
	last := s.Before
	if n := len(s.After); n > 0 {
		last = s.After[n-1]
	}
	all = append(all,
		back("goroutines", s.Before.Goroutines, last.Goroutines, len(s.After) > 0),
		back("descriptors", s.Before.Descriptors, last.Descriptors, len(s.After) > 0))
	done, failed, why := 0, 0, ""
	idle := []string{}
	for _, l := range s.Loads {
		done, failed = done+l.Done, failed+l.Failed
		if l.Why != "" {
			why += fmt.Sprintf("; %s: %s", l.Name, l.Why)
		}
		if l.Done == 0 {
			idle = append(idle, l.Name)
		}
	}
	all = append(all, Finding{"no request failed", failed == 0, fmt.Sprintf("%d of %d failed%s", failed, done, why)})
	return append(all, Finding{"every load did something", len(idle) == 0 && len(s.Loads) > 0,
		fmt.Sprintf("%d loads; without a request: %s", len(s.Loads), strings.Join(append(idle, "none")[:max(1, len(idle))], ", "))})
}

func (s *Soak) memory() Finding {
	f := Finding{What: "memory does not grow"}
	a, okA := s.median(early)
	b, okB := s.median(late)
	if !okA || !okB {
		f.Text = "too few samples to tell"
		return f
	}
	growth := b/a - 1
	f.OK = growth <= mostGrowth
	minute := func(part float64) float64 { return s.Seconds / 60 * part }
	f.Text = fmt.Sprintf("%.1f MiB in minutes %.1f to %.1f, %.1f MiB in minutes %.1f to %.1f: %+.1f%%, at most %+.0f%%",
		a/(1<<20), minute(early[0]), minute(early[1]), b/(1<<20), minute(late[0]), minute(late[1]), 100*growth, 100*mostGrowth)
	return f
}

// median is that of PSS in a part of the time.
func (s *Soak) median(span [2]float64) (float64, bool) {
	var v []float64
	for _, x := range s.Samples {
		if t := x.Second / s.Seconds; t >= span[0] && t <= span[1] {
			v = append(v, float64(x.PSS))
		}
	}
	f, ok := NewFigure(v)
	return f.Median, ok && f.Median > 0
}

func back(what string, before, after int, looked bool) Finding {
	return Finding{what + " are back", looked && after <= before+astray, fmt.Sprintf("%d before the load, %d after it", before, after)}
}

// Passed reports whether all findings are as they must be.
func (s *Soak) Passed() bool {
	return !slices.ContainsFunc(s.Judge(), func(f Finding) bool { return !f.OK })
}

// Facts are lines that say what was run, on what and when.
func (s *Soak) Facts() []string {
	r := Report{Versions: s.Versions}
	facts := []string{
		fmt.Sprintf("%s UTC; %s, %d cores, %d GiB; Linux %s", s.Date, s.Machine.CPU, s.Machine.Cores, s.Machine.MemoryGiB, s.Machine.Kernel),
		fmt.Sprintf("%.1f minutes of load, %d samples", s.Seconds/60, len(s.Samples)),
		"versions: " + r.versions(),
	}
	if len(s.H2GW) > 0 {
		facts = append(facts, "h2gw was given: "+strings.Join(s.H2GW, ", "))
	}
	return facts
}

// findings and loads lay the two tables out.
func (s *Soak) findings() [][]string {
	out := [][]string{{"what must be so", "", "what was seen"}}
	for _, f := range s.Judge() {
		mark := "yes"
		if !f.OK {
			mark = "NO"
		}
		out = append(out, []string{f.What, mark, f.Text})
	}
	return out
}

func (s *Soak) loads() [][]string {
	out := [][]string{{"load", "done", "failed", "what it was"}}
	for _, l := range s.Loads {
		out = append(out, []string{l.Name, fmt.Sprint(l.Done), fmt.Sprint(l.Failed), l.About})
	}
	return out
}

// WriteText prints the findings for a terminal.
func (s *Soak) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "\n%s\n%s\n%s\n", alignWords(s.loads()), alignWords(s.findings()), strings.Join(s.Facts(), "\n"))
	return err
}

// WriteMarkdown writes them for a page in the repository.
func (s *Soak) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Mixed load\n\n")
	for _, f := range s.Facts() {
		b.WriteString("- " + f + "\n")
	}
	_, err := io.WriteString(w, b.String()+"\n"+markdown(s.findings())+"\n"+markdown(s.loads()))
	return err
}

// WriteJSON writes the soak for machines; ReadSoak reads it back.
func (s *Soak) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(s)
}

// ReadSoak reads what WriteJSON wrote.
func ReadSoak(path string) (*Soak, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s Soak
	return &s, json.Unmarshal(data, &s)
}

// WriteHTML writes one page with a line for each thing that was watched.
func (s *Soak) WriteHTML(w io.Writer) error {
	const mib = 1 << 20
	v := struct {
		*Soak
		Facts           []string
		Findings, Loads [][]string
		Charts          []lineChart
	}{s, s.Facts(), s.findings(), s.loads(), []lineChart{
		s.chart("memory (PSS), MiB", func(x SoakSample) float64 { return float64(x.PSS) / mib }),
		s.chart("heap the last collection left, MiB", func(x SoakSample) float64 { return float64(x.Live) / mib }),
		s.chart("goroutines", func(x SoakSample) float64 { return float64(x.Goroutines) }),
		s.chart("descriptors", func(x SoakSample) float64 { return float64(x.Descriptors) }),
	}}
	return page.ExecuteTemplate(w, "soak.html.tmpl", v)
}

// chart draws one thing over the minutes, from before the load to behind it.
func (s *Soak) chart(title string, of func(SoakSample) float64) lineChart {
	line := series{name: "h2gw", ours: true}
	last := s.Seconds
	for _, x := range slices.Concat([]SoakSample{s.Before}, s.Samples, s.After) {
		v := of(x)
		line.points = append(line.points, point{x.Second / 60, Figure{v, v, v}})
		last = max(last, x.Second)
	}
	minutes := axis{title: "minutes; the load ended where the line is", ticks: []float64{min(0, s.Before.Second/60)}}
	step := niceStep(last / 60 / 8)
	for i := 1; float64(i)*step < last/60; i++ {
		minutes.ticks = append(minutes.ticks, float64(i)*step)
	}
	minutes.ticks = append(minutes.ticks, last/60)
	ch := newLines(title, minutes, []series{line})
	ch.tidyTicks(s.Seconds/60, minutes.place())
	return ch
}

// tidyTicks takes the labels off the two ends, which are no round numbers, and
// marks one place.
func (ch *lineChart) tidyTicks(at float64, place func(float64) float64) {
	ch.X[0].Label, ch.X[len(ch.X)-1].Label = "", ""
	ch.Mark = place(at)
}
