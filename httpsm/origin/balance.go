package origin

import "slices"

// A candidate is what the choice of an endpoint knows of one: pure data, so
// that the choice is a function of it and of random numbers.
type candidate struct {
	index   int   // in the group
	load    int64 // requests in flight
	avoided bool  // the caller has tried it for this request
	resting bool  // its last connects failed
}

// choose returns the index of the candidate with the fewest requests in flight
// out of two drawn at random, the first drawn winning a tie. Endpoints that
// were tried before are left out while others remain, and so are resting ones:
// a resting endpoint is still better than one that just failed this request.
// It returns -1 if there are no candidates.
//
// Two random choices spread load nearly as well as a look at all, and do not
// send every request of a burst to the same least loaded endpoint
// (Mitzenmacher, The Power of Two Choices, 2001).
func choose(all []candidate, rnd func(n int) int) int {
	usable := narrow(all, func(c candidate) bool { return c.avoided })
	usable = narrow(usable, func(c candidate) bool { return c.resting })
	switch n := len(usable); n {
	case 0:
		return -1
	case 1:
		return usable[0].index
	default:
		i, j := rnd(n), rnd(n-1)
		if j >= i {
			j++ // two different ones
		}
		a, b := usable[i], usable[j]
		if b.load < a.load {
			return b.index
		}
		return a.index
	}
}

// narrow removes the candidates that are out, unless none would remain. It
// works in place.
func narrow(all []candidate, out func(candidate) bool) []candidate {
	if !slices.ContainsFunc(all, func(c candidate) bool { return !out(c) }) {
		return all
	}
	return slices.DeleteFunc(all, out)
}
