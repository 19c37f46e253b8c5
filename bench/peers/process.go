package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	startWithin = time.Minute
	// A gateway told to stop may drain; nothing is in flight then.
	stopWithin = 3 * time.Second
)

// A Process is one running gateway (or the origin) with its children.
type Process struct {
	Name string
	// Addr is where it listens.
	Addr string

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has been reaped
	dir  string
}

// PID is the process that was started; its children are found from it.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Dead reports whether the process has ended on its own.
func (p *Process) Dead() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Start writes the peer's files, starts it and waits until it accepts
// connections. On an error nothing is left running, and the error carries the
// end of what the program printed.
func (p Peer) Start(ctx context.Context, path string, s Setting) (*Process, error) {
	if err := p.write(s); err != nil {
		return nil, err
	}
	out, err := os.Create(s.file("output.txt"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(path, p.Args(s)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Dir, out, out
	cmd.Env = os.Environ()
	if p.Env != nil {
		cmd.Env = append(cmd.Env, p.Env(s)...)
	}
	// Its own process group: Ctrl-C reaches this program alone, which then
	// ends the gateway and whatever the gateway started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.LogOnStdout && s.Log != "" {
		log, err := os.Create(s.Log)
		if err != nil {
			return nil, err
		}
		defer log.Close()
		cmd.Stdout = log
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	proc := &Process{Name: p.Name, Addr: s.address(), cmd: cmd, done: make(chan struct{}), dir: s.Dir}
	go func() {
		_ = cmd.Wait()
		close(proc.done)
	}()
	if err := proc.await(ctx); err != nil {
		proc.Stop()
		return nil, fmt.Errorf("%s: %w%s", p.Name, err, tail(s.file("output.txt"))+tail(s.file("error.log")))
	}
	return proc, nil
}

// await waits until the address takes connections.
func (p *Process) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.DialTimeout("tcp", p.Addr, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return errors.New("ended while starting")
		case <-ctx.Done():
			return fmt.Errorf("does not listen: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Stop ends the process and its children and waits for that: TERM first, then
// KILL. It may be called more than once.
func (p *Process) Stop() {
	group := -p.PID()
	_ = syscall.Kill(group, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopWithin):
	}
	// Also when the first process is gone: a child may have outlived it.
	_ = syscall.Kill(group, syscall.SIGKILL)
	<-p.done
}

// tail returns the last lines of a file, for an error message.
func tail(path string) string {
	data, err := os.ReadFile(path)
	text := strings.TrimSpace(string(data))
	if err != nil || text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	return "\n  " + strings.Join(lines[max(0, len(lines)-6):], "\n  ")
}

// FreePort returns a TCP port of 127.0.0.1 that nobody listens on now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
