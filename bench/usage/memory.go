package usage

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// PSS adds up the proportional set size of pids in bytes: the memory that is
// theirs alone, and their share of what they share. It needs the right to read
// their smaps_rollup (same user, or root).
func PSS(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		n, err := parsePSS(string(data))
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", pid, err)
		}
		sum += n
	}
	return sum, nil
}

// parsePSS finds the line "Pss: N kB" and returns bytes.
func parsePSS(rollup string) (int64, error) {
	for line := range strings.Lines(rollup) {
		rest, ok := strings.CutPrefix(line, "Pss:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("usage: %q is not a size: %w", strings.TrimSpace(line), err)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("usage: no Pss line in smaps_rollup")
}
