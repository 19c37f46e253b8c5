package usage

import (
	"fmt"
	"time"
)

// A CPU is the processor time a set of processes has used since it started.
type CPU struct {
	// Total is exact (the scheduler's own accounting, in nanoseconds), and
	// includes threads that have ended.
	Total time.Duration
	// User and System are rounded to 10 ms; use them for their ratio.
	User, System time.Duration
}

// Sub returns what was used between two readings of the same processes.
func (c CPU) Sub(earlier CPU) CPU {
	return CPU{c.Total - earlier.Total, c.User - earlier.User, c.System - earlier.System}
}

// ReadCPU adds up the processor time of pids, which must all be alive.
func ReadCPU(pids []int) (CPU, error) {
	var sum CPU
	for _, pid := range pids {
		t, err := processClock(pid)
		if err != nil {
			return CPU{}, fmt.Errorf("usage: processor time of process %d: %w", pid, err)
		}
		s, err := readStat(pid)
		if err != nil {
			return CPU{}, err
		}
		sum.Total += t
		sum.User += time.Duration(s.user) * tick
		sum.System += time.Duration(s.system) * tick
	}
	return sum, nil
}

// tick is 1/USER_HZ, which is 100 on every Linux of today.
const tick = 10 * time.Millisecond
