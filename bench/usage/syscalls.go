package usage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Calls is a number of system calls, and when they were counted.
type Calls struct {
	N        int64
	From, To time.Time
	// ByName has the more usual ones: "write" to how many.
	ByName map[string]int64
}

// total is the tracepoint of all system calls, each the prefix of those of one.
const total, one = "raw_syscalls:sys_enter", "syscalls:sys_enter_"

// usual are the system calls that servers make while they serve; what is not
// among them is in the total only.
var usual = []string{"read", "write", "readv", "writev", "recvfrom", "sendto", "recvmsg", "sendmsg", "sendfile64", "splice", "pread64",
	"epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "futex", "nanosleep", "clock_nanosleep", "poll", "ppoll", "sched_yield", "tgkill",
	"accept4", "connect", "socket", "close", "shutdown", "setsockopt", "getsockopt", "madvise", "gettimeofday", "clock_gettime"}

// events are the tracepoints that this kernel has of them.
func events() string {
	all := []string{total}
	for _, name := range usual {
		if _, err := os.Stat("/sys/kernel/tracing/events/syscalls/sys_enter_" + name); err == nil {
			all = append(all, one+name)
		}
	}
	return strings.Join(all, ",")
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
	cmd := exec.CommandContext(ctx, "perf", "stat", "-x,", "-I", interval, "-e", events(),
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
	n, event, ok := parsePerf(text)
	switch {
	case !ok:
		t.other = text
	case event == total:
		if t.reports++; t.reports == 1 {
			t.From = at
			return
		}
		t.N += n
		t.To = at
	case t.reports > 1 && n > 0:
		// In each report behind the total.
		if t.ByName == nil {
			t.ByName = map[string]int64{}
		}
		t.ByName[strings.TrimPrefix(event, one)] += n
	}
}

func (t *tally) calls() (Calls, error) {
	if t.reports < 3 || t.N == 0 {
		return Calls{}, errors.New("perf stat counted nothing: " + t.other)
	}
	return t.Calls, nil
}

// parsePerf reads count and event from a line of `perf stat -x, -I`: time,
// count, unit, event. An interval without any event is "<not counted>".
func parsePerf(line string) (n int64, event string, ok bool) {
	f := strings.Split(line, ",")
	if len(f) < 4 || f[3] != total && !strings.HasPrefix(f[3], one) {
		return 0, "", false
	}
	if f[1] == "<not counted>" {
		return 0, f[3], true
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	return n, f[3], err == nil
}
