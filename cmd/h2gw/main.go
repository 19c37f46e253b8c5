package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/h2gw/h2gw/internal/report"
)

// Exit codes, which scripts rely on.
const (
	exitOK     = 0
	exitFailed = 1 // at run time
	exitUsage  = 2 // wrong flags, files, certificates or ports: nothing was served
)

// defaultAdmin is the admin address when none is given.
const defaultAdmin = "127.0.0.1:9180"

// cli is the whole command line; each command is in a file of its own.
type cli struct {
	Demo    demoCmd    `cmd:"" help:"Try it: an origin of its own and the gateway in front of it."`
	Proxy   proxyCmd   `cmd:"" help:"Run the gateway in front of one group of origins."`
	Report  reportCmd  `cmd:"" help:"Sum up access logs: protocols, connections, streams, latency."`
	Version versionCmd `cmd:"" help:"Print version, commit and Go version."`

	VersionFlag versionFlag `name:"version" help:"Print version, commit and Go version."`
}

// stdio are the standard streams, so that a command can be given others.
type stdio struct {
	in       *os.File
	out, err *os.File
}

func main() {
	os.Exit(run(os.Args[1:], &stdio{os.Stdin, os.Stdout, os.Stderr}))
}

// run parses args, runs the command and returns the exit code. Whatever goes
// wrong is told in one line.
func run(args []string, std *stdio) int {
	err := dispatch(args, std)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(std.err, "h2gw: %s\n", oneLine(err))
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

func dispatch(args []string, std *stdio) error {
	if len(args) > 0 && args[0] == "help" { // as git and go have it
		args = append(args[1:len(args):len(args)], "--help")
	}
	var c cli
	parser, err := kong.New(&c,
		kong.Name("h2gw"),
		kong.Description("An HTTP/2 front-door gateway: every stream becomes one HTTP/1.1 transaction, and the log says whose it was."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.ValueFormatter(flagHelp),
		kong.Writers(std.out, std.err),
		kong.Bind(std),
		kong.Vars{"admin": defaultAdmin, "top": strconv.Itoa(report.DefaultTop)},
	)
	if err != nil {
		return err
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		return &usageError{fmt.Errorf("%w (see h2gw%s --help)", err, commandOf(err))}
	}
	return ctx.Run()
}

// flagHelp adds a flag's default and environment variable to its description.
func flagHelp(v *kong.Value) string {
	var extra []string
	if v.HasDefault && v.Default != "" && !v.IsBool() {
		extra = append(extra, "default "+v.Default)
	}
	if v.Tag != nil {
		for _, name := range v.Tag.Envs {
			extra = append(extra, "or $"+name)
		}
	}
	if extra == nil {
		return v.Help
	}
	return strings.TrimSuffix(v.Help, ".") + " (" + strings.Join(extra, ", ") + ")."
}

// commandOf returns the command that a parse error is about, as " proxy".
func commandOf(err error) string {
	if pe, ok := errors.AsType[*kong.ParseError](err); ok && pe.Context != nil {
		if node := pe.Context.Selected(); node != nil {
			return " " + node.Name
		}
	}
	return ""
}

// A usageError is the caller's to repair: exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// oneLine keeps a message with line breaks, such as of joined errors, in one
// line.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// printf writes for people; an output that is gone is not worth an error.
func printf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
