package h2session

import (
	"math/rand/v2"
	"testing"
)

// A streamTable is a map, whatever the ids are.
func TestAStreamTableIsAMap(t *testing.T) {
	for name, next := range map[string]func(last uint32) uint32{
		"as they come":     func(last uint32) uint32 { return last + 2 },
		"the same place":   func(last uint32) uint32 { return last + 2*mostSlots },
		"gaps of any size": func(last uint32) uint32 { return last + 2*(1+rand.Uint32N(5000)) },
	} {
		t.Run(name, func(t *testing.T) {
			var table streamTable
			want := map[uint32]*stream{}
			id := uint32(1)
			for range 20000 {
				if len(want) < 1500 && rand.IntN(2) == 0 {
					st := &stream{id: id}
					table.put(st)
					want[id] = st
					id = next(id)
				}
				for k, st := range want { // any
					if rand.IntN(3) == 0 {
						table.remove(st)
						table.remove(st)
						delete(want, k)
					}
					if table.get(k) != want[k] {
						t.Fatalf("stream %d is %v", k, table.get(k))
					}
					break
				}
				if table.n != len(want) || table.get(id) != nil {
					t.Fatalf("%d streams, want %d", table.n, len(want))
				}
			}
			seen := 0
			for st := range table.all() {
				if want[st.id] != st {
					t.Errorf("stream %d is there", st.id)
				}
				seen++
				table.remove(st)
			}
			if seen != len(want) || table.n != 0 || len(table.other) != 0 {
				t.Errorf("%d of %d streams, %d left", seen, len(want), table.n)
			}
		})
	}
}

func BenchmarkStreamTable(b *testing.B) {
	var table streamTable
	var streams [250]stream
	at, id := 0, uint32(1)
	for b.Loop() {
		st := &streams[at]
		if st.id != 0 {
			table.remove(st)
		}
		st.id = id
		table.put(st)
		if table.get(id) != st {
			b.Fatal(id)
		}
		at, id = (at+1)%len(streams), id+2
	}
}
