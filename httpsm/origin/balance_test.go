package origin

import (
	"testing"
)

// dice returns the given numbers in turn, and fails the test if one is out of
// range or they run out.
func dice(t *testing.T, numbers ...int) func(int) int {
	return func(n int) int {
		if len(numbers) == 0 || numbers[0] >= n {
			t.Fatalf("a number below %d was asked for, have %v", n, numbers)
		}
		r := numbers[0]
		numbers = numbers[1:]
		return r
	}
}

func TestChoose(t *testing.T) {
	c := func(index int, load int64) candidate { return candidate{index: index, load: load} }
	avoided := func(index int, load int64) candidate {
		return candidate{index: index, load: load, avoided: true}
	}
	resting := func(index int, load int64) candidate {
		return candidate{index: index, load: load, resting: true}
	}
	for _, tc := range []struct {
		name string
		all  []candidate
		dice []int
		want int
	}{
		{"none", nil, nil, -1},
		{"one takes no chance", []candidate{c(0, 9)}, nil, 0},
		{"the less loaded of two, drawn first", []candidate{c(0, 1), c(1, 5)}, []int{0, 0}, 0},
		{"the less loaded of two, drawn second", []candidate{c(0, 1), c(1, 5)}, []int{1, 0}, 0},
		{"a tie goes to the first drawn", []candidate{c(0, 3), c(1, 3)}, []int{1, 0}, 1},
		{"never the same twice: first", []candidate{c(0, 9), c(1, 1), c(2, 5)}, []int{0, 0}, 1},
		{"never the same twice: last", []candidate{c(0, 9), c(1, 1), c(2, 5)}, []int{2, 1}, 1},
		{"an idle one not drawn is not chosen", []candidate{c(0, 9), c(1, 0), c(2, 5)}, []int{0, 1}, 2},
		{"avoided ones are left out", []candidate{avoided(0, 0), c(1, 9)}, nil, 1},
		{"of all avoided the less loaded", []candidate{avoided(0, 1), avoided(1, 0)}, []int{0, 0}, 1},
		{"resting ones are left out", []candidate{resting(0, 0), c(1, 9), c(2, 8)}, []int{0, 0}, 2},
		{"resting is better than just failed", []candidate{avoided(0, 0), resting(1, 5)}, nil, 1},
		{"all resting: as if none were", []candidate{resting(0, 2), resting(1, 1)}, []int{0, 0}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := choose(tc.all, dice(t, tc.dice...)); got != tc.want {
				t.Errorf("chose %d, want %d", got, tc.want)
			}
		})
	}
}
