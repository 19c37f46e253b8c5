package profile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// Kinds of profiles, as the admin address calls them.
const (
	CPU   = "profile"
	Mutex = "mutex"
	Block = "block"
)

// Fetch takes a profile of the program whose admin address is addr, over so
// many seconds.
func Fetch(ctx context.Context, addr, kind string, seconds int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+20*time.Second)
	defer cancel()
	url := fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", addr, kind, seconds)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("profile: %s answered %s: %.100s", url, resp.Status, data)
	}
	return data, err
}

// Merge adds up profiles of one binary, in files.
func Merge(ctx context.Context, files []string) ([]byte, error) {
	out, err := os.CreateTemp("", "merged-*.pprof")
	if err != nil {
		return nil, err
	}
	_ = out.Close()
	defer os.Remove(out.Name())
	if err := tool(ctx, io.Discard, append([]string{"-proto", "-output", out.Name()}, files...)...); err != nil {
		return nil, err
	}
	return os.ReadFile(out.Name())
}

// Top writes the n functions that account for most of a profile. Sort is
// "flat" (in themselves) or "cum" (with what they call).
func Top(ctx context.Context, w io.Writer, file, sort string, n int) error {
	return tool(ctx, w, "-top", "-"+sort, fmt.Sprintf("-nodecount=%d", n), file)
}

// tool runs go tool pprof.
func tool(ctx context.Context, w io.Writer, args ...string) error {
	var msg bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof"}, args...)...)
	cmd.Stdout, cmd.Stderr = w, &msg
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go tool pprof: %w: %s", err, msg.String())
	}
	return nil
}
