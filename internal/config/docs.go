package config

import (
	"fmt"
	"strings"
)

// Markers between which docs/config.md holds the table.
const (
	docsBegin = "<!-- settings: begin; written by `go test ./internal/config -update` -->"
	docsEnd   = "<!-- settings: end -->"
)

// Markdown returns the settings as a Markdown table, for docs/config.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| name | default | kind | range | what expires or is bounded, and what the peer sees |\n|---|---|---|---|---|\n")
	for _, row := range Table() {
		off := ""
		if row.CanBeOff {
			off = ", `off`"
		}
		values := row.Kind.format(row.Min) + " to " + row.Kind.format(row.Max)
		if row.Kind == Switch {
			values = "`on`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s%s | %s |\n", row.Name, row.Default, row.Kind, values, off, row.Doc)
	}
	return b.String()
}
