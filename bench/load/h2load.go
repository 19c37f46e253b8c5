package load

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// H2load runs workloads with the h2load of nghttp2.
type H2load struct {
	// Path of the program.
	Path string
	// Dir is a folder for its log and for the body it posts.
	Dir string
}

// A Run is one h2load process that has been started.
type Run struct {
	cmd     *exec.Cmd
	cancel  context.CancelFunc
	out     bytes.Buffer
	logFile string
}

// grace is how much longer than planned h2load may take: connections to open,
// and the answers that are still to come at the end.
const grace = time.Minute

// Start starts h2load against addr. Wait must be called.
func (h H2load) Start(ctx context.Context, w Workload, t Timing, addr string) (*Run, error) {
	data := filepath.Join(h.Dir, "body")
	if w.Body > 0 {
		if err := os.WriteFile(data, bytes.Repeat([]byte("x"), w.Body), 0o600); err != nil {
			return nil, err
		}
	}
	r := &Run{logFile: filepath.Join(h.Dir, "h2load.log")}
	// h2load appends to a log that exists.
	_ = os.Remove(r.logFile)
	ctx, r.cancel = context.WithTimeout(ctx, w.Warm(t)+t.Window+grace)
	r.cmd = exec.CommandContext(ctx, h.Path, w.args(t, addr, r.logFile, data)...)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		r.cancel()
		return nil, fmt.Errorf("h2load: %w", err)
	}
	return r, nil
}

// Wait waits for h2load to end and returns what it says.
func (r *Run) Wait() (Summary, error) {
	defer r.cancel()
	if err := r.cmd.Wait(); err != nil {
		return Summary{}, fmt.Errorf("h2load: %w: %s", err, lastLine(r.out.String()))
	}
	return ParseSummary(r.out.String())
}

// Rows calls f for each request of a run that has ended.
func (r *Run) Rows(f func(Row)) error {
	log, err := os.Open(r.logFile)
	if err != nil {
		return err
	}
	defer log.Close()
	return ReadLog(log, f)
}
