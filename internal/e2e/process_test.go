package e2e

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

// A process is a server that the test started and ends, by its own id.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    testkit.Buffer // standard output and error
	exited chan struct{}
	code   int
}

func start(t *testing.T, dir, name string, args ...string) *process {
	t.Helper()
	return startBy((*exec.Cmd).Start, t, dir, name, args...)
}

// startBy is start by another function than Start.
func startBy(begin func(*exec.Cmd) error, t *testing.T, dir, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), exited: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	// A group of its own, so that children (nginx workers) end with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := begin(p.cmd); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		defer close(p.exited)
		var exit *exec.ExitError
		if err := p.cmd.Wait(); errors.As(err, &exit) {
			p.code = exit.ExitCode()
		}
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	select {
	case <-p.exited:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.exited
	}
	if p.t.Failed() {
		p.t.Logf("output of %s:\n%s", p.cmd.Path, tail(p.out.String(), 4000))
	}
}

// stop sends sig and waits for the end; it returns the exit code.
func (p *process) stop(sig os.Signal, wait time.Duration) int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("signalling %s: %v", p.cmd.Path, err)
	}
	return p.wait(wait)
}

func (p *process) wait(d time.Duration) int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.code
	case <-time.After(d):
		p.t.Fatalf("%s has not ended after %v", p.cmd.Path, d)
		return -1
	}
}

// rss returns the resident memory of the process in bytes.
func (p *process) rss() int64 {
	p.t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kb << 10
		}
	}
	p.t.Fatal("no VmRSS in /proc status")
	return 0
}

// eventually polls cond until it is true; it fails the test after a deadline
// that no healthy run comes near.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("still not after two minutes: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// run runs a program to its end, bounded in time, and returns its output; the
// exit code must be zero.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, code := runCode(t, nil, name, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s", name, strings.Join(args, " "), code, tail(out, 4000))
	}
	return out
}

func runCode(t *testing.T, stdin io.Reader, name string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s %s: still running after ten minutes\n%s", name, strings.Join(args, " "), tail(string(out), 4000))
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out), 0
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// httpGet fetches a plain URL (the admin address, Prometheus' API).
func httpGet(url string) (int, string, error) {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}
