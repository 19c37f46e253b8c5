package peers

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// Find returns the peer's binary with its full path and its version.
// The error says which binary is not on PATH.
func (p Peer) Find(ctx context.Context) (path, version string, err error) {
	path, err = exec.LookPath(p.Binary)
	if err != nil {
		return "", "", fmt.Errorf("%s: %q is not on PATH", p.Name, p.Binary)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, p.VersionArgs...).CombinedOutput()
	if err != nil {
		return "", "", fmt.Errorf("%s: asking %s for its version: %w", p.Name, p.Binary, err)
	}
	parse := p.Version
	if parse == nil {
		parse = versionIn
	}
	version = parse(string(out))
	if version == "" {
		version = goVersion(path)
	}
	return path, version, nil
}

var versionNumber = regexp.MustCompile(`\bv?(\d+\.\d+(\.\d+)?)\b`)

// versionIn takes the first dotted number of a program's version text.
func versionIn(text string) string {
	for line := range strings.Lines(text) {
		if m := versionNumber.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	return ""
}

// ownVersion reads `h2gw version --json`.
func ownVersion(text string) string {
	var v struct{ Version, Commit string }
	if json.Unmarshal([]byte(text), &v) != nil || v.Commit == "unknown" {
		return v.Version
	}
	hash, changes, _ := strings.Cut(v.Commit, "+")
	v.Commit = hash[:min(len(hash), 12)]
	if changes != "" {
		v.Commit += "+" + changes
	}
	return v.Commit
}

// goVersion takes the module version from a Go binary that cannot tell its own.
func goVersion(path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil || info.Main.Version == "" {
		return "unknown"
	}
	return strings.TrimPrefix(info.Main.Version, "v")
}
