package report

import (
	"encoding/json"
	"io"
	"os"
	"slices"
)

// A Report is one whole measurement.
type Report struct {
	// Date is the start, in UTC, to the minute.
	Date    string  `json:"date"`
	Machine Machine `json:"machine"`
	// Versions by program: the gateways, the origin, h2load and Go.
	Versions map[string]string `json:"versions"`
	Settings Settings          `json:"settings"`
	// LoadBefore and LoadAfter are the machine's one-minute load averages. Before much above 0, others were at work too.
	LoadBefore float64 `json:"load_before"`
	LoadAfter  float64 `json:"load_after"`
	// Missing says which gateways were left out, and why.
	Missing []string `json:"missing,omitempty"`
	Tables  []*Table `json:"tables"`
}

// A Machine is what was measured on. It names no host.
type Machine struct {
	CPU       string `json:"cpu"`
	Cores     int    `json:"cores"`
	MemoryGiB int    `json:"memory_gib"`
	Kernel    string `json:"kernel"`
}

// Settings are what the measurement was told.
type Settings struct {
	Rounds        int     `json:"rounds"`
	WindowSeconds float64 `json:"window_seconds"`
	Workers       int     `json:"workers"`
	AccessLog     bool    `json:"access_log"`
	// H2GW holds settings given to h2gw beyond its defaults.
	H2GW []string `json:"h2gw_set,omitempty"`
}

// A Table is one workload with a row for each gateway.
type Table struct {
	Workload string `json:"workload"`
	About    string `json:"about"`
	// Curve names the curve this table is one point of, at X; "" is none.
	Curve string `json:"curve,omitempty"`
	X     int    `json:"x,omitempty"`
	// Columns name the figures that apply, the one to compare by first.
	Columns []Column `json:"columns"`
	Rows    []*Row   `json:"rows"`
}

// A Row is one gateway's samples in one workload.
type Row struct {
	Gateway string   `json:"gateway"`
	Ours    bool     `json:"ours,omitempty"`
	Samples []Sample `json:"samples"`
}

// A Sample is one run. Fields that do not apply to the workload are 0.
type Sample struct {
	// Requests counted, and those of the run that failed.
	Requests int `json:"requests"`
	Failed   int `json:"failed"`
	// Why a run has no figures; empty for a good run.
	Why string `json:"why,omitempty"`
	// Values by column.
	Values map[Column]float64 `json:"values,omitempty"`
	// Calls are system calls per request by name, where they were counted.
	Calls map[string]float64 `json:"calls,omitempty"`
}

// Refused returns why the row shows no figure, or "". One bad run is enough.
func (r *Row) Refused() string {
	if len(r.Samples) == 0 {
		return "not run"
	}
	for _, s := range r.Samples {
		if s.Why != "" {
			return s.Why
		}
	}
	return ""
}

// Failed adds up the failed requests of all runs.
func (r *Row) Failed() int {
	n := 0
	for _, s := range r.Samples {
		n += s.Failed
	}
	return n
}

// Requests adds up the requests counted in all runs.
func (r *Row) Requests() int {
	n := 0
	for _, s := range r.Samples {
		n += s.Requests
	}
	return n
}

// Figure returns the row's figure for a column over all rounds; false if it is
// refused or was not measured.
func (r *Row) Figure(c Column) (Figure, bool) {
	if r.Refused() != "" {
		return Figure{}, false
	}
	var v []float64
	for _, s := range r.Samples {
		if x, ok := s.Values[c]; ok {
			v = append(v, x)
		}
	}
	return NewFigure(v)
}

// Row returns the row of a gateway, making it if need be.
func (t *Table) Row(gateway string, ours bool) *Row {
	for _, r := range t.Rows {
		if r.Gateway == gateway {
			return r
		}
	}
	r := &Row{Gateway: gateway, Ours: ours}
	t.Rows = append(t.Rows, r)
	return r
}

// Best returns the smallest median among the peers (the rows that are not
// ours) for a column; false if no peer has a figure.
func (t *Table) Best(c Column) (float64, bool) {
	best, found := 0.0, false
	for _, r := range t.Rows {
		if f, ok := r.Figure(c); ok && !r.Ours && (!found || f.Median < best) {
			best, found = f.Median, true
		}
	}
	return best, found
}

// Has reports whether any row has a figure for the column.
func (t *Table) Has(c Column) bool {
	return slices.ContainsFunc(t.Rows, func(r *Row) bool { _, ok := r.Figure(c); return ok })
}

// Shown are the table's columns that have figures.
func (t *Table) Shown() []Column {
	return slices.DeleteFunc(slices.Clone(t.Columns), func(c Column) bool { return !t.Has(c) })
}

// WriteJSON writes the report for machines; Read reads it back.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// Read reads a report written by WriteJSON.
func Read(path string) (*Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Report
	return &r, json.Unmarshal(data, &r)
}
