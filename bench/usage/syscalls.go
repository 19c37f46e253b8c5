package usage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Calls is a number of system calls, and when they were counted.
type Calls struct {
	N        int64
	From, To time.Time
}

// interval is how often perf reports; a count starts and ends with a report.
const interval = "100"

// Syscalls counts the system calls pids enter during about d. It needs perf,
// and the right to use its raw_syscalls tracepoint (root, as a rule). Counting
// makes every call a little slower: do not time anything beside it.
func Syscalls(ctx context.Context, pids []int, d time.Duration) (Calls, error) {
	list := make([]string, len(pids))
	for i, pid := range pids {
		list[i] = strconv.Itoa(pid)
	}
	cmd := exec.CommandContext(ctx, "perf", "stat", "-x,", "-I", interval, "-e", "raw_syscalls:sys_enter",
		"-p", strings.Join(list, ","), "--", "sleep", strconv.FormatFloat(d.Seconds(), 'f', 3, 64))
	// perf stat reports on standard error.
	out, err := cmd.StderrPipe()
	if err != nil {
		return Calls{}, err
	}
	if err := cmd.Start(); err != nil {
		return Calls{}, err
	}
	var sum tally
	for sc := bufio.NewScanner(out); sc.Scan(); {
		sum.line(sc.Text(), time.Now())
	}
	if err := cmd.Wait(); err != nil {
		return Calls{}, fmt.Errorf("perf stat: %w: %s", err, sum.other)
	}
	return sum.calls()
}

// A tally adds up perf's reports. The first only marks the start: when perf
// began to count before it is not known to us.
type tally struct {
	Calls
	reports int
	other   string // the last line that was not a report
}

// line takes one line of perf's output, read at the time given.
func (t *tally) line(text string, at time.Time) {
	n, ok := parsePerf(text)
	if !ok {
		t.other = text
		return
	}
	if t.reports == 0 {
		t.From = at
	} else {
		t.N += n
		t.To = at
	}
	t.reports++
}

func (t *tally) calls() (Calls, error) {
	if t.reports < 3 || t.N == 0 {
		return Calls{}, errors.New("perf stat counted nothing: " + t.other)
	}
	return t.Calls, nil
}

// parsePerf reads the count from a line of `perf stat -x, -I`: time, count,
// unit, event. An interval without any event is "<not counted>".
func parsePerf(line string) (int64, bool) {
	f := strings.Split(line, ",")
	if len(f) < 4 || !strings.HasPrefix(f[3], "raw_syscalls:") {
		return 0, false
	}
	if f[1] == "<not counted>" {
		return 0, true
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	return n, err == nil
}
