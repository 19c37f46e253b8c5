//go:build !linux

package usage

import "time"

func processClock(int) (time.Duration, error) { return 0, ErrUnsupported }
