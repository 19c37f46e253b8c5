package report

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progressFrom is the size from which on reading takes long enough to show.
const progressFrom = 64 << 20

// A progress is a progress bar, or nothing where the zero value is used.
type progress struct{ bar *progressbar.ProgressBar }

// newProgress returns the bar for these options. It needs a terminal, and
// regular files only: the size of a pipe is not known.
func newProgress(o *Options) progress {
	if !o.Progress || o.ErrOut == nil || !isTerminal(o.ErrOut) {
		return progress{}
	}
	total := totalSize(o.Files)
	if total < progressFrom {
		return progress{}
	}
	return progress{bar: newBar(o.ErrOut, total)}
}

func newBar(w io.Writer, total int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription("reading"),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetWidth(24),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
}

// totalSize returns the size of all files, or 0 when it is not known.
func totalSize(files []string) (total int64) {
	for _, name := range files {
		if name == "-" {
			return 0
		}
		info, err := os.Stat(name)
		switch {
		case err != nil: // reported when it is opened
		case !info.Mode().IsRegular():
			return 0
		default:
			total += info.Size()
		}
	}
	return total
}

// add is called by one goroutine at a time.
func (p progress) add(n int) {
	if p.bar != nil {
		_ = p.bar.Add(n) // a bar that cannot be drawn is no reason to stop
	}
}

// end removes the bar from the terminal.
func (p progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
