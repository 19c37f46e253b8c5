package testkit

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// endsWithin is how long a goroutine that has nothing left to do may take to end:
// goleak itself gives it half a second, which a busy machine may not give it.
const endsWithin = 20 * time.Second

// Leaks returns an error that names the goroutines that do not end. It waits for
// those that do.
func Leaks(options ...goleak.Option) error {
	for late := time.Now().Add(endsWithin); ; {
		err := goleak.Find(options...)
		if err == nil || time.Now().After(late) {
			return err
		}
	}
}

// Run is for TestMain: it runs the tests and returns the code to exit with, which
// is not 0 when they leave goroutines behind either.
func Run(m *testing.M) (code int) {
	if code = m.Run(); code != 0 {
		return code
	}
	if err := Leaks(); err != nil {
		fmt.Fprintln(os.Stderr, "after all tests:", err)
		return 1
	}
	return 0
}
