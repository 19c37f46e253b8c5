package main

import (
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"
)

// newLog returns the log for people: readable on a terminal, JSON elsewhere.
// level is one of the names that the flag allows.
func newLog(out *os.File, level string) zerolog.Logger {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000000Z07:00"
	lv, err := zerolog.ParseLevel(level)
	if err != nil {
		lv = zerolog.InfoLevel
	}
	if !isTerminal(out) {
		return zerolog.New(out).Level(lv).With().Timestamp().Logger()
	}
	w := zerolog.ConsoleWriter{Out: out, TimeFormat: time.TimeOnly, NoColor: os.Getenv("NO_COLOR") != ""}
	return zerolog.New(w).Level(lv).With().Timestamp().Logger()
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
