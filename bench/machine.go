package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/h2gw/h2gw/bench/report"
)

// thisMachine says what is measured on, without naming it.
func thisMachine() report.Machine {
	m := report.Machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Kernel: "unknown"}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if v := field1(string(text), "model name", ":"); v != "" {
			m.CPU = v
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		kib, _ := strconv.Atoi(strings.TrimSuffix(field1(string(text), "MemTotal", ":"), " kB"))
		m.MemoryGiB = (kib + 1<<19) >> 20
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = kernelVersion(string(text))
	}
	return m
}

// kernelVersion keeps the number of a release: what follows may name whoever built it.
func kernelVersion(release string) string {
	version, _, _ := strings.Cut(strings.TrimSpace(release), "-")
	return version
}

// field1 returns the value of the first line that starts with name.
func field1(text, name, sep string) string {
	for line := range strings.Lines(text) {
		if key, v, ok := strings.Cut(line, sep); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// loadAverage is that of the last minute; 0 where it cannot be read.
func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	one, _, _ := strings.Cut(string(text), " ")
	v, _ := strconv.ParseFloat(one, 64)
	return v
}
