package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Kind says how the values of a setting are written.
type Kind int

// The kinds of settings.
const (
	Duration Kind = iota // 250ms, 3s, 1h30m
	Size                 // 512B, 64KiB, 1MiB, 2GiB; a bare number is bytes
	Count                // 250
	Rate                 // 100/10s, observe:100/10s
	Switch               // on; 1 in Settings
)

// String returns the kind's name.
func (k Kind) String() string {
	return [...]string{"duration", "size", "count", "rate", "switch"}[k]
}

// example shows a value of the kind, for messages.
func (k Kind) example() string {
	return [...]string{"3s, 250ms or 1h30m", "64KiB, 1MiB or 512B", "a whole number such as 100", "COUNT/DURATION such as 100/10s, or observe:100/10s", "on"}[k]
}

// parse reads text and checks it against the setting's bounds. "off" gives Off.
func (row *Setting) parse(text string) (int64, error) {
	if text == "off" {
		if !row.CanBeOff {
			return 0, fmt.Errorf("it cannot be off: want %s, from %s to %s", row.Kind.example(), row.Kind.format(row.Min), row.Kind.format(row.Max))
		}
		return Off, nil
	}
	v, err := row.Kind.parse(text)
	if err != nil {
		return 0, fmt.Errorf("%w: want %s", err, row.wanted())
	}
	if row.Kind != Rate && (v < row.Min || v > row.Max) {
		return 0, fmt.Errorf("out of range: want %s to %s%s", row.Kind.format(row.Min), row.Kind.format(row.Max), row.orOff())
	}
	return v, nil
}

func (row *Setting) wanted() string { return row.Kind.example() + row.orOff() }

func (row *Setting) orOff() string {
	if row.CanBeOff {
		return ", or off"
	}
	return ""
}

func (k Kind) parse(text string) (int64, error) {
	switch k {
	case Duration:
		return parseDuration(text)
	case Size:
		return parseSize(text)
	case Rate:
		return parseRate(text)
	case Switch:
		if text != "on" {
			return 0, errors.New("neither on nor off")
		}
		return 1, nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errors.New("not a whole number")
	}
	return v, nil
}

func parseDuration(text string) (int64, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		if _, numErr := strconv.ParseFloat(text, 64); numErr == nil {
			return 0, fmt.Errorf("a duration needs a unit (did you mean %ss?)", text)
		}
		return 0, errors.New("not a duration")
	}
	return int64(d), nil
}

// sizeUnits are powers of 1024; the decimal spellings are left out because what
// people mean by KB differs.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func parseSize(text string) (int64, error) {
	unit, digits := int64(1), text
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			unit, digits = u.bytes, rest
			break
		}
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || v < 0 {
		return 0, errors.New("not a size" + sizeHint(text))
	}
	if v > math.MaxInt64/unit {
		return 0, errors.New("too large")
	}
	return v * unit, nil
}

// sizeHint offers the binary unit for a spelling that is nearly one: 64k, 64KB.
func sizeHint(text string) string {
	digits := strings.TrimRight(text, "kKmMgGtTiIbB")
	unit := strings.ToUpper(strings.TrimPrefix(text, digits))
	if digits == "" || unit == "" || strings.Trim(digits, "0123456789") != "" || !strings.Contains("KMGT", unit[:1]) {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s%ciB?)", digits, unit[0])
}

// format writes v so that parse reads it back.
func (k Kind) format(v int64) string {
	if v == Off {
		return "off"
	}
	switch k {
	case Duration:
		return formatDuration(time.Duration(v))
	case Size:
		for _, u := range sizeUnits {
			if v >= u.bytes && v%u.bytes == 0 && u.bytes > 1 {
				return strconv.FormatInt(v/u.bytes, 10) + u.name
			}
		}
		return strconv.FormatInt(v, 10) + "B"
	case Rate:
		return unpackRate(v).String()
	case Switch:
		return "on"
	}
	return strconv.FormatInt(v, 10)
}

// formatDuration is Duration.String without zero units: 2m, not 2m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
