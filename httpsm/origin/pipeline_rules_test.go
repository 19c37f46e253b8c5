package origin

import "testing"

func TestWhatBecomesOfARequestAsTimePasses(t *testing.T) {
	for _, tc := range []struct {
		name        string
		s           standing
		slow, stuck bool
	}{
		{"just written", standing{first: true}, false, false},
		{"behind others", standing{age: slowTicks - 1, waited: true}, false, false},
		{"first, and slow", standing{age: slowTicks, first: true}, true, false},
		{"behind, and slow", standing{age: slowTicks, waited: true}, true, false},
		{"first from the start, for ever", standing{age: 1000 * stuckTicks, first: true}, true, false},
		{"nearly stuck", standing{age: stuckTicks - 1, waited: true}, true, false},
		{"stuck", standing{age: stuckTicks, waited: true}, true, true},
		{"stuck, and nobody cares", standing{age: stuckTicks, waited: true, abandoned: true}, true, false},
		{"became first, hears nothing", standing{age: stuckTicks + lostTicks, first: true, firstFor: lostTicks, waited: true}, true, true},
		{"became first, not for long", standing{age: stuckTicks + lostTicks, first: true, firstFor: lostTicks - 1, waited: true}, true, false},
		{"became first, is being answered", standing{age: stuckTicks + lostTicks, first: true, firstFor: lostTicks, waited: true, heard: true}, true, false},
	} {
		if tc.s.slow() != tc.slow || tc.s.stuck() != tc.stuck {
			t.Errorf("%s: slow %v, stuck %v", tc.name, tc.s.slow(), tc.s.stuck())
		}
	}
}
