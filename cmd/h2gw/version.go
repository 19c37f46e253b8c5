package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version = ""

// A versionInfo says what is running.
type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

// buildVersion takes what the build did not set from what Go recorded.
func buildVersion() versionInfo {
	v := versionInfo{Version: version, Commit: "unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if ok && v.Version == "" {
		v.Version = info.Main.Version
	}
	if v.Version == "" {
		v.Version = "(devel)"
	}
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			v.Commit += "+changes"
		}
	}
	return v
}

// versionFlag is --version, for those who try that first.
type versionFlag bool

// BeforeReset prints the version and ends the program: it is called when the
// flag is given, with or without a command.
func (versionFlag) BeforeReset(app *kong.Kong, std *stdio) error {
	err := new(versionCmd).Run(std)
	app.Exit(exitOK)
	return err
}

// versionCmd prints what is running.
type versionCmd struct {
	JSON bool `help:"Print JSON."`
}

// Help is the end of `h2gw version --help`.
func (*versionCmd) Help() string { return "Example:\n\n  h2gw version --json" }

// Run prints the version.
func (c *versionCmd) Run(std *stdio) error {
	v := buildVersion()
	if c.JSON {
		return json.NewEncoder(std.out).Encode(v)
	}
	printf(std.out, "h2gw %s (commit %s, %s)\n", v.Version, v.Commit, v.Go)
	return nil
}
