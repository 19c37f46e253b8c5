package usage

import (
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"
)

func TestStatLineIsReadPastAnyProgramName(t *testing.T) {
	for _, line := range []string{
		"3352 (h2gw) S 17 3352 3352 0 -1 4194560 5131 0 0 0 250 118 3 4 20 0 9 0 100",
		"3352 (a) b (c) S 17 3352 3352 0 -1 4194560 5131 0 0 0 250 118 3 4 20 0 9 0 100",
	} {
		got, err := parseStat(line)
		if want := (stat{parent: 17, user: 250, system: 118}); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	for _, line := range []string{"", "1 no name S 1", "1 (x) S 2", "1 (x) S a 0 0 0 0 0 0 0 0 0 0 1 1"} {
		if s, err := parseStat(line); err == nil {
			t.Errorf("no error for %q, but %+v", line, s)
		}
	}
}

func TestPSSIsTheLineOfThatName(t *testing.T) {
	got, err := parsePSS("00400000-7ffe [rollup]\nRss:   9000 kB\nPss:                1234 kB\nPss_Dirty:  77 kB\n")
	if err != nil || got != 1234<<10 {
		t.Errorf("got %d, %v", got, err)
	}
	for _, text := range []string{"", "Rss: 1 kB\n", "Pss: some kB\n"} {
		if n, err := parsePSS(text); err == nil {
			t.Errorf("no error for %q, but %d", text, n)
		}
	}
}

func TestCallsAreCountedFromTheFirstReport(t *testing.T) {
	var c tally
	at := time.Unix(100, 0)
	for i, line := range []string{
		"perf says hello",
		"     0.100118364,900,,raw_syscalls:sys_enter,200112345,100.00,,",
		"     0.100118364,700,,syscalls:sys_enter_write,200112345,100.00,,",
		"     0.200312364,40,,raw_syscalls:sys_enter,200112345,100.00,,",
		"     0.200312364,30,,syscalls:sys_enter_write,200112345,100.00,,",
		"     0.200312364,<not counted>,,syscalls:sys_enter_futex,0,100.00,,",
		"     0.300418364,<not counted>,,raw_syscalls:sys_enter,0,100.00,,",
		"     0.400518364,2,,raw_syscalls:sys_enter,200112345,100.00,,",
		"     0.400518364,1,,syscalls:sys_enter_write,200112345,100.00,,",
	} {
		c.line(line, at.Add(time.Duration(i)*time.Second))
	}
	got, err := c.calls()
	if err != nil || got.N != 42 || got.To.Sub(got.From) != 6*time.Second || !maps.Equal(got.ByName, map[string]int64{"write": 31}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := (&tally{other: "no permission"}).calls(); err == nil {
		t.Error("nothing counted, and no error")
	}
}

func TestDescendantsAreFoundThroughGenerations(t *testing.T) {
	got := descend(1, map[int][]int{1: {2, 3}, 3: {4}, 9: {10}})
	if !slices.Equal(got, []int{1, 2, 3, 4}) {
		t.Errorf("got %v", got)
	}
}

// The kernel's clock for another process must count what that process did.
func TestProcessorTimeOfAChildIsCounted(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the clock of another process is read from Linux's kernel")
	}
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec sleep 600")
	if err := cmd.Start(); err != nil {
		t.Skip("no shell to spend processor time:", err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	pids, err := Tree(os.Getpid())
	if err != nil || !slices.Contains(pids, cmd.Process.Pid) {
		t.Fatalf("%d is not among %v: %v", cmd.Process.Pid, pids, err)
	}
	for end := time.Now().Add(time.Minute); ; {
		cpu, err := ReadCPU([]int{cmd.Process.Pid})
		if err != nil {
			t.Fatal(err)
		}
		if cpu.Total > time.Millisecond {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a busy child has used %v", cpu.Total)
		}
		runtime.Gosched()
	}
	if pss, err := PSS([]int{cmd.Process.Pid}); err != nil || pss <= 0 {
		t.Errorf("PSS %d, %v", pss, err)
	}
}

func TestAProcessThatIsGoneIsAnError(t *testing.T) {
	const gone = 1<<22 + 1 // above any pid
	if _, err := ReadCPU([]int{gone}); err == nil {
		t.Error("no error for its processor time")
	}
	if _, err := PSS([]int{gone}); err == nil {
		t.Error("no error for its memory")
	}
}
