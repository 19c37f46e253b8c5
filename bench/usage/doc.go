// Package usage asks the kernel what a process and its children have cost:
// CPU time, memory and system calls. It reads clocks and /proc and starts
// nothing in the processes it looks at. Linux only; elsewhere every function
// returns ErrUnsupported.
package usage
