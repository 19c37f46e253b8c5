package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// Defaults and bounds of Options.
const (
	// DefaultTop is how many of the busiest connections are listed.
	DefaultTop = 10
	// MaxTop bounds Options.Top.
	MaxTop = 1000
	// DefaultFollowed is how many connections without their session line are
	// followed before the report samples them: about 64 MiB.
	DefaultFollowed = 1 << 18
)

// Options say what to read and how to print it. The zero Options read nothing
// (there is no standard input) and print to nowhere.
type Options struct {
	// Files are read in this order; "-" is Stdin. None: Stdin.
	Files []string
	// Stdin is standard input. It is not closed.
	Stdin io.Reader
	// Out gets the report. On a terminal it has colors, bars and the
	// terminal's width. nil discards it.
	Out io.Writer
	// ErrOut gets the progress bar. nil: there is none.
	ErrOut io.Writer
	// JSON prints the Summary for machines.
	JSON bool
	// Top is how many of the busiest client connections are listed: 0 means
	// DefaultTop, negative none, at most MaxTop.
	Top int
	// Progress shows a progress bar when ErrOut is a terminal and the inputs
	// are files of 64 MiB or more.
	Progress bool
	// Followed bounds the connections that are followed while their session
	// line is missing; 0 means DefaultFollowed.
	Followed int
	// Workers is how many goroutines parse: 0 means one per processor, at
	// most 8, where reading becomes the limit.
	Workers int

	chunk int // size of chunks; 0 means chunkSize
}

func (o *Options) defaults() {
	if len(o.Files) == 0 {
		o.Files = []string{"-"}
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	switch {
	case o.Top == 0:
		o.Top = DefaultTop
	case o.Top < 0:
		o.Top = 0
	}
	o.Top = min(o.Top, MaxTop)
	if o.Followed <= 0 {
		o.Followed = DefaultFollowed
	}
	if o.Workers <= 0 {
		o.Workers = min(runtime.GOMAXPROCS(0), 8)
	}
	if o.chunk <= 0 {
		o.chunk = chunkSize
	}
}

// An InputError says that an input could not be read, or not to its end.
// Everything that could be read is in the report.
type InputError struct {
	Name string // "-" is standard input
	Err  error
}

func (e *InputError) Error() string {
	name := e.Name
	if name == "-" {
		name = "standard input"
	}
	return fmt.Sprintf("report: cannot read %s: %v", name, e.Err)
}

// Unwrap returns the error of the file or of the decompressor.
func (e *InputError) Unwrap() error { return e.Err }

// Run reads the logs and prints the report. The error joins an [*InputError]
// for each input that could not be read; the report of the others has then been
// printed. A broken line is not an error.
func Run(ctx context.Context, o Options) error {
	s, readErr := Summarize(ctx, o)
	if s == nil {
		return readErr
	}
	var err error
	o.defaults()
	if o.JSON {
		err = s.WriteJSON(o.Out)
	} else {
		err = s.Render(o.Out, StyleOf(o.Out))
	}
	if err != nil {
		return errors.Join(readErr, fmt.Errorf("report: cannot print: %w", err))
	}
	return readErr
}

// Summarize reads the logs and returns what they say. The error is that of Run;
// the Summary is nil only when ctx ended. It does not wait for a read that
// blocks: when ctx ends, a goroutine may remain in Stdin.Read until that returns.
func Summarize(ctx context.Context, o Options) (*Summary, error) {
	o.defaults()
	inputs := make([]Input, len(o.Files))
	for i, name := range o.Files {
		inputs[i].Name = name
	}
	bar := newProgress(&o)
	src := &source{ctx: ctx, names: o.Files, stdin: o.Stdin, size: o.chunk, progress: bar.add, inputs: inputs}
	voc := newVocabulary()
	seq := newSequencer(o.Workers, inputs, newLedger(o.Followed, o.Top))
	workers := make([]*worker, o.Workers)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i := range workers {
		workers[i] = &worker{src: src, seq: seq, tally: newTally(voc)}
		wg.Go(workers[i].run)
	}
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	bar.end()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("report: stopped before the end of the log: %w", err)
	}
	total := workers[0].tally
	for _, w := range workers[1:] {
		total.merge(w.tally)
	}
	s := (&builder{seq: seq, tally: total, voc: voc}).summary(inputs)
	return s, s.inputErrors()
}

func (s *Summary) inputErrors() error {
	var errs []error
	for _, in := range s.Inputs {
		if in.err != nil {
			errs = append(errs, &InputError{Name: in.Name, Err: in.err})
		}
	}
	return errors.Join(errs...)
}
