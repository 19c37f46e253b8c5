package gateway

import "fmt"

// An abortedError says how many connections a drain had to abort.
type abortedError struct{ n int }

func (e *abortedError) Error() string {
	return fmt.Sprintf("drain: %d client connections had to be aborted: their requests had not finished in timeouts.drain", e.n)
}
