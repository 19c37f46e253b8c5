package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/h2gw/h2gw/h2session"
)

// floodSettings has a row for each bound of h2session, which owns names and
// defaults.
func floodSettings() []Setting {
	rows := make([]Setting, 0, h2session.NumBounds)
	for b := range h2session.NumBounds {
		rows = append(rows, Setting{
			Name: "floods." + b.String(), Kind: Rate, Default: b.Default().String(), CanBeOff: true,
			Min: packRate(h2session.Budget{Count: 1, Per: time.Millisecond}),
			Max: packRate(h2session.Budget{Count: math.MaxInt32, Per: 24 * time.Hour}),
			Doc: "On one HTTP/2 session: " + b.Doc() + ". GOAWAY(ENHANCE_YOUR_CALM).",

			field: func(s *Settings) any { return &s.Floods[b] },
		})
	}
	return rows
}

// A rate travels through the table as one number, as all values do: milliseconds
// above, the count below, and a bit for observe.
const (
	rateCountBits = 31
	rateObserve   = 1 << 62
)

func packRate(b h2session.Budget) int64 {
	if b.Count < 0 {
		return Off
	}
	v := b.Per.Milliseconds()<<rateCountBits | int64(b.Count)
	if b.Observe {
		v |= rateObserve
	}
	return v
}

func unpackRate(v int64) h2session.Budget {
	if v == Off {
		return h2session.Unlimited
	}
	observe := v&rateObserve != 0
	v &^= rateObserve
	return h2session.Budget{
		Count:   int(v & (1<<rateCountBits - 1)),
		Per:     time.Duration(v>>rateCountBits) * time.Millisecond,
		Observe: observe,
	}
}

// parseRate reads COUNT/DURATION, with observe: before it or not.
func parseRate(text string) (int64, error) {
	rest, observe := strings.CutPrefix(text, "observe:")
	count, duration, ok := strings.Cut(rest, "/")
	if !ok {
		return 0, errors.New("not a rate")
	}
	n, err := strconv.ParseInt(count, 10, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("the count %q is not a whole number", count)
	case n < 1 || n > math.MaxInt32:
		return 0, fmt.Errorf("the count is not between 1 and %d", math.MaxInt32)
	}
	if d := strings.TrimLeft(duration, "smh"); d == "" && len(duration) == 1 {
		duration = "1" + duration // 100/s
	}
	per, err := parseDuration(duration)
	switch {
	case err != nil:
		return 0, err
	case per < ms || per > day || per%ms != 0:
		return 0, errors.New("the duration is not between 1ms and 24h, in whole milliseconds")
	}
	return packRate(h2session.Budget{Count: int(n), Per: time.Duration(per), Observe: observe}), nil
}
