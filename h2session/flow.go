package h2session

// Flow control, RFC 9113 section 5.2 and 6.9.

// An inflow is a receive window: how much the client may still send, and the
// credit that is owed to it but not yet worth a frame.
type inflow struct {
	avail int // what the client may send now; negative after a SETTINGS shrank it
	owed  int // to be returned by the next WINDOW_UPDATE
	size  int // what avail starts from; half of it is worth a frame
}

func newInflow(size int) inflow { return inflow{avail: size, size: size} }

// take accounts n received bytes. False means that the client sent more than it
// was allowed to.
func (f *inflow) take(n int) bool {
	if n > f.avail {
		return false
	}
	f.avail -= n
	return true
}

// give returns n bytes of credit. The result is the increment to announce now,
// 0 while the sum is too small to be worth a frame: half a window keeps the
// client sending without a WINDOW_UPDATE for every read.
func (f *inflow) give(n int) int {
	f.owed += n
	if f.owed < (f.size+1)/2 {
		return 0
	}
	inc := f.owed
	f.avail += inc
	f.owed = 0
	return inc
}

// grow moves the window by delta when its size changes.
func (f *inflow) grow(delta int) {
	f.avail += delta
	f.size += delta
}

// An outflow is a send window: how many DATA bytes the client takes. It can be
// negative (RFC 9113, section 6.9.2).
type outflow int64

// add opens the window by n, which may be negative. False means that it would
// exceed 2^31-1 (RFC 9113, section 6.9.1).
func (f *outflow) add(n int64) bool {
	v := int64(*f) + n
	if v > maxWindow {
		return false
	}
	*f = outflow(v)
	return true
}
