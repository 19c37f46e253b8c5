package config

import (
	"fmt"
	"sort"
	"strings"
)

// Set applies "name=value", as --set takes it. The error names the setting,
// says what is wrong and lists the nearest right names or values; s is then
// unchanged.
func (s *Settings) Set(assignment string) error {
	name, value, ok := strings.Cut(assignment, "=")
	if !ok {
		return fmt.Errorf("setting %q has no value: want name=value, such as timeouts.connect=3s", assignment)
	}
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	for _, row := range Table() {
		if row.Name != name {
			continue
		}
		v, err := row.parse(value)
		if err != nil {
			return fmt.Errorf("setting %s=%s: %w (default %s)", name, value, err, row.Default)
		}
		row.store(s, v)
		return nil
	}
	return fmt.Errorf("there is no setting %q: %s", name, suggestion(name))
}

// suggestion names the settings nearest to name, or all groups when none is.
func suggestion(name string) string {
	near := Nearest(name, Names(), 3)
	if len(near) == 0 {
		return "the settings are " + strings.Join(Names(), ", ")
	}
	return "did you mean " + orList(near) + "?"
}

func orList(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// Names returns the names of all settings, in the order of the table.
func Names() []string {
	var names []string
	for _, row := range Table() {
		names = append(names, row.Name)
	}
	return names
}

// Nearest returns up to n of candidates that word may have been meant for,
// nearest first: few typing errors away, or the part behind the dot is right,
// or the word is a part of the candidate.
func Nearest(word string, candidates []string, n int) []string {
	type scored struct {
		name string
		cost int
	}
	var found []scored
	for _, c := range candidates {
		cost := distance(word, c)
		// Only the group is missing or wrong: "connect", "limits.drain".
		if tail(word) == tail(c) {
			cost = min(cost, 1)
		} else if d := distance(tail(word), tail(c)); d <= len(tail(word))/4 {
			cost = min(cost, 1+d)
		} else if len(tail(word)) >= 3 && strings.Contains(tail(c), tail(word)) {
			cost = min(cost, 2)
		}
		if cost <= max(2, len(word)/4) {
			found = append(found, scored{c, cost})
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].cost < found[j].cost })
	var out []string
	for _, f := range found[:min(n, len(found))] {
		out = append(out, f.name)
	}
	return out
}

func tail(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// distance counts the typing errors between a and b: a character too many, too
// few, wrong, or two swapped (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			wrong := 1
			if a[i-1] == b[j-1] {
				wrong = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
