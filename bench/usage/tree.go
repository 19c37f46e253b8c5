package usage

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ErrUnsupported is returned where the kernel does not offer what is asked.
var ErrUnsupported = errors.New("usage: needs Linux")

// A stat is the part of /proc/PID/stat (proc(5)) that is used here.
type stat struct {
	parent int
	// user and system are in clock ticks of 10 ms: good for their ratio, too coarse for a cost.
	user, system uint64
}

// parseStat reads one line of /proc/PID/stat. The program's name is in
// parentheses and may itself contain spaces and parentheses.
func parseStat(line string) (stat, error) {
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("usage: no program name in %q", line)
	}
	f := strings.Fields(line[end+1:])
	if len(f) < 13 {
		return stat{}, fmt.Errorf("usage: %d fields after the program name, want 13 or more", len(f))
	}
	var s stat
	var err [3]error
	s.parent, err[0] = strconv.Atoi(f[1])
	s.user, err[1] = strconv.ParseUint(f[11], 10, 64)
	s.system, err[2] = strconv.ParseUint(f[12], 10, 64)
	return s, errors.Join(err[:]...)
}

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(data))
}

// Tree returns root and all its descendants that live now.
func Tree(root int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, ErrUnsupported
	}
	children := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A process may end between the two reads: then it is nobody's child.
		if s, err := readStat(pid); err == nil {
			children[s.parent] = append(children[s.parent], pid)
		}
	}
	return descend(root, children), nil
}

func descend(root int, children map[int][]int) []int {
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree
}
