package main

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/h2gw/h2gw/internal/report"
)

// reportCmd is the log post-processor.
type reportCmd struct {
	Files    []string `arg:"" optional:"" help:"Access logs in the json format, plain or gzip; none or - is standard input." name:"file"`
	JSON     bool     `help:"Print JSON."`
	Top      int      `help:"How many of the busiest client connections to list." default:"${top}" placeholder:"N"`
	Progress bool     `help:"Show a progress bar on a terminal for long files." default:"true" negatable:""`
}

// Help is the end of `h2gw report --help`.
func (*reportCmd) Help() string {
	return "Example: all of yesterday's logs, as people read them:\n\n  h2gw report access.log.1 access.log.2.gz"
}

// Run reads the logs and prints the report.
func (c *reportCmd) Run(std *stdio) error {
	if c.Top < 0 || c.Top > report.MaxTop {
		return &usageError{fmt.Errorf("--top=%d: want 0 to %d", c.Top, report.MaxTop)}
	}
	if c.Top == 0 {
		c.Top = -1 // report.Options: 0 means the default
	}
	if len(c.Files) == 0 && isTerminal(std.in) {
		printf(std.err, "h2gw: reading the log from the terminal: give a file instead, or end with Ctrl-D\n")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return report.Run(ctx, report.Options{
		Files: c.Files, Stdin: std.in, Out: std.out, ErrOut: std.err,
		JSON: c.JSON, Top: c.Top, Progress: c.Progress,
	})
}
