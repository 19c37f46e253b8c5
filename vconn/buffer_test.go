package vconn

import (
	"bytes"
	"testing"
)

// A buffer is compared with the plainest one: a slice.
func FuzzBuffer(f *testing.F) {
	f.Add(uint16(100), []byte{0, 10, 1, 3, 2, 5, 3, 2, 0, 200, 1, 255})
	f.Add(uint16(65535), []byte{0, 255, 0, 255, 0, 255, 1, 255, 4, 0, 2, 0, 3, 1})
	f.Add(uint16(1), []byte{0, 1, 2, 0, 4, 0, 3, 1, 0, 1})
	f.Fuzz(func(t *testing.T, bound uint16, ops []byte) {
		before := ChunksOut()
		b := buffer{bound: int(bound) + 1}
		var model []byte
		next := byte(0)
		for len(ops) >= 2 {
			// Lengths grow fast enough to cross chunks of every class.
			op, n := ops[0]%5, int(ops[1])*int(ops[1])
			ops = ops[2:]
			switch op {
			case 0:
				p := make([]byte, n)
				for i := range p {
					next++
					p[i] = next
				}
				k := b.write(p)
				if want := min(n, b.bound-len(model)); k != want {
					t.Fatalf("write of %d took %d, want %d", n, k, want)
				}
				model = append(model, p[:k]...)
			case 1:
				p := make([]byte, n)
				k := b.read(p)
				if want := min(n, len(model)); k != want || !bytes.Equal(p[:k], model[:k]) {
					t.Fatalf("read of %d gave %d, want %d", n, k, want)
				}
				model = model[k:]
			case 2:
				p := b.peek()
				if (len(p) == 0) != (len(model) == 0) || !bytes.HasPrefix(model, p) {
					t.Fatalf("peek shows %d bytes of %d", len(p), len(model))
				}
			case 3:
				if k := b.discard(n); k != min(n, len(model)) {
					t.Fatalf("discard of %d took %d of %d", n, k, len(model))
				}
				model = model[min(n, len(model)):]
			case 4:
				if k := b.clear(); k != len(model) {
					t.Fatalf("clear lost %d of %d", k, len(model))
				}
				model = nil
			}
			if b.n != len(model) || b.room() != b.bound-len(model) {
				t.Fatalf("holds %d, want %d", b.n, len(model))
			}
			if b.n == 0 && b.head != nil {
				t.Fatal("an empty buffer holds a chunk")
			}
		}
		b.clear()
		b.unpin()
		if out := ChunksOut() - before; out != 0 {
			t.Fatalf("%d chunks not returned", out)
		}
	})
}
