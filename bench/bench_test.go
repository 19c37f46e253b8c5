package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/h2gw/h2gw/bench/load"
	"github.com/h2gw/h2gw/bench/report"
)

func good() load.Summary {
	return load.Summary{Done: 100, Succeeded: 100, OK: 100, TLS: "TLSv1.3", Protocol: "h2"}
}

func TestRunsThatMustNotHaveAFigureAreRefused(t *testing.T) {
	second := load.Window{From: time.Unix(1, 0), To: time.Unix(2, 0)}
	rate := load.Workload{Kind: load.Latency, Rate: 1000}
	for _, c := range []struct {
		name    string
		change  func(*load.Summary)
		w       load.Workload
		counted int
		want    string // part of the reason; "" is a good run
	}{
		{"a good run", func(*load.Summary) {}, load.Workload{}, 100, ""},
		{"one bad answer", func(s *load.Summary) { s.Failed = 1 }, load.Workload{}, 100, "1 of 100 requests failed"},
		{"one without an answer", func(s *load.Summary) { s.Errored = 1 }, load.Workload{}, 100, "1 of 101 requests failed"},
		{"one too late", func(s *load.Summary) { s.TimedOut = 1 }, load.Workload{}, 100, "1 too late"},
		{"one 502", func(s *load.Summary) { s.OK = 99 }, load.Workload{}, 100, "1 not 2xx"},
		{"HTTP/1.1", func(s *load.Summary) { s.Protocol = "http/1.1" }, load.Workload{}, 100, "not HTTP/2"},
		{"an older TLS", func(s *load.Summary) { s.TLS = "TLSv1.2" }, load.Workload{}, 100, "TLSv1.2"},
		{"too few to tell", func(*load.Summary) {}, load.Workload{}, fewest - 1, "only 19 requests"},
		{"the rate was kept", func(*load.Summary) {}, rate, 990, ""},
		{"the rate was not kept", func(*load.Summary) {}, rate, 950, "does not keep up"},
	} {
		s := good()
		c.change(&s)
		got := refusal(c.w, s, c.counted, second)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q in it", c.name, got, c.want)
		}
	}
}

func TestEveryGatewayIsFirstInTurn(t *testing.T) {
	all := []string{"a", "b", "c"}
	var firsts []string
	for i := range 4 {
		r := rotated(all, i)
		firsts = append(firsts, r[0])
		if slices.Sort(r); !slices.Equal(r, all) {
			t.Errorf("turn %d: %v", i, r)
		}
	}
	if got := strings.Join(firsts, ""); got != "abca" {
		t.Errorf("first were %s", got)
	}
}

func TestFlagsAreCheckedAndTheErrorSaysWhatWouldBeRight(t *testing.T) {
	for _, c := range []struct{ flags, want string }{
		{"-workloads small,huge", `no workload "huge"; there are: small`},
		{"-gateways h2gw,apache", `no gateway "apache"; there are: h2gw`},
		{"-gateways h2gw-beside", "-beside FILE"},
		{"-access-log maybe", "want on or off"},
		{"-rounds 1000", "want 1 to 100"},
		{"-window 1h", "want 200ms to 1m"},
		{"-workers -1", "want 1 to 256"},
		{"-idle 5", "from 10 to 25000"},
		{"quick", "everything is a flag"},
	} {
		if _, err := parseFlags(strings.Fields(c.flags), io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.flags, err, c.want)
		}
	}
}

func TestQuickIsOneShortRound(t *testing.T) {
	full, err := parseFlags(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	quick, err := parseFlags([]string{"--quick"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if full.rounds != 3 || quick.rounds != 1 || quick.timing.Window >= full.timing.Window {
		t.Errorf("full %+v\nquick %+v", full, quick)
	}
	if len(full.workloads) != len(load.Workloads()) {
		t.Error("a full measurement leaves workloads out")
	}
	chosen, err := parseFlags([]string{"-quick", "-rounds=2", "-workloads=1m,small", "-idle=10,20"}, io.Discard)
	if err != nil || chosen.rounds != 2 || len(chosen.workloads) != 2 || !slices.Equal(chosen.idle, []int{10, 20}) {
		t.Errorf("%+v, %v", chosen, err)
	}
}

func TestMachineIsNotNamed(t *testing.T) {
	host, err := os.Hostname()
	m := thisMachine()
	if err == nil && host != "" && host != "localhost" && strings.Contains(m.CPU+m.Kernel, host) {
		t.Errorf("%+v names the host", m)
	}
	if got := kernelVersion("6.1.0-13-somebody-built-it\n"); got != "6.1.0" {
		t.Errorf("got %q", got)
	}
}

// A whole, tiny benchmark of h2gw alone; what it measures does not matter here.
func TestATinyBenchmarkHasAFigureAndLeavesNothingBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes and takes seconds")
	}
	for _, tool := range []string{"h2load", "nginx", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (Debian: apt-get install nghttp2-client nginx-light)", tool)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute) // h2gw may have to be built first
	defer cancel()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	result := filepath.Join(t.TempDir(), "r.json")
	var out, progress bytes.Buffer
	err := run(ctx, []string{"-quick", "-window", "2s", "-gateways", "h2gw", "-workloads", "small,resumed,idle", "-idle", "20",
		"-access-log", "on", "-json", result}, &out, &progress)
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	r, err := report.Read(result)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range r.Tables {
		if _, ok := table.Row("h2gw", true).Figure(table.Columns[0]); !ok {
			t.Errorf("%s has no figure:\n%s", table.Workload, out.String())
		}
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAStoppedBenchmarkEndsWithWhatItStarted(t *testing.T) {
	for _, tool := range []string{"h2load", "nginx"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (Debian: apt-get install nghttp2-client nginx-light)", tool)
		}
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// Stopped as soon as the first run is over, with the next ones to come.
	var stopped time.Time
	progress := writerFunc(func(b []byte) (int, error) {
		if stopped.IsZero() {
			stopped = time.Now()
		}
		cancel()
		return len(b), nil
	})
	err := run(ctx, []string{"-rounds", "100", "-window", "200ms", "-gateways", "nginx", "-workloads", "small"}, io.Discard, progress)
	if err == nil || ctx.Err() == nil {
		t.Fatalf("was not stopped: %v", err)
	}
	if d := time.Since(stopped); d > 30*time.Second {
		t.Errorf("took %v to stop", d)
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
