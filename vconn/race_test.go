package vconn_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/h2gw/h2gw/vconn"
)

// Everything at once, in every order the scheduler finds: nothing hangs, no
// chunk stays out, Closed comes once to each end. Run it with -race.
func TestCloseTimerPeerAndResetAtOnce(t *testing.T) {
	iterations := 3000
	if testing.Short() {
		iterations = 300
	}
	for i := range iterations {
		aj, pj := new(journal), new(journal)
		a, p := open(t, vconn.Options{Observer: aj, ActiveToPassive: 100, PassiveToActive: 3000})
		rng := rand.New(rand.NewPCG(7, uint64(i)))
		var wg sync.WaitGroup
		for side, c := range []*vconn.Conn{a, p} {
			wait, how := time.Duration(rng.IntN(60))*time.Microsecond, rng.IntN(4)
			other := time.Duration(rng.IntN(90)) * time.Microsecond
			wg.Go(func() {
				for {
					if _, err := c.Write(make([]byte, 150)); err != nil {
						return
					}
				}
			})
			wg.Go(func() {
				b := make([]byte, 70)
				for {
					if shown, err := c.Peek(); err != nil {
						return
					} else if copy(b, shown) > 0 {
						c.Discard(1)
					}
					if _, err := c.Read(b); err != nil {
						return
					}
				}
			})
			wg.Go(func() {
				c.SetDeadline(time.Now().Add(wait))
				time.Sleep(wait / 2)
				if side == passiveSide {
					c.SetObserver(pj)
				}
				switch how {
				case 0:
					c.Reset(uint32(side))
				case 1:
					c.CloseWrite()
				case 2:
					c.CloseRead()
				}
				c.Close()
			})
			wg.Go(func() { time.Sleep(other); c.Close() })
		}
		wg.Wait()
		wantEqual(t, "chunks held", vconn.ChunksOut(), 0)
		for _, j := range []*journal{aj, pj} {
			n := 0
			for _, l := range j.lines {
				if l == "closed" {
					n++
				}
			}
			wantEqual(t, "Closed calls", n, 1)
		}
	}
}

const passiveSide = 1

// Chunks of every size go back, however much of them was read.
func TestChunksGoBackWhenDrainedAndWhenClosed(t *testing.T) {
	for _, size := range []int{1, 1 << 10, 5 << 10, 20 << 10, 64 << 10} {
		a, p := open(t, vconn.Options{})
		msg := make([]byte, size)
		for range 3 {
			a.Write(msg)
			for left := size; left > 0; {
				n, err := p.Read(msg)
				if err != nil {
					t.Fatal(err)
				}
				left -= n
			}
			wantEqual(t, "chunks held when drained", vconn.ChunksOut(), 0)
		}
		a.Write(msg)
		p.Write(msg)
		if vconn.ChunksOut() == 0 {
			t.Fatal("no chunk is held while bytes wait")
		}
		a.Close()
		p.Close()
		wantEqual(t, "chunks held when closed", vconn.ChunksOut(), 0)
	}
}

// One-byte writes must not take a chunk each.
func TestManySmallWritesTakeFewChunks(t *testing.T) {
	a, p := open(t, vconn.Options{})
	for range vconn.DefaultBound {
		write(t, a, "x")
	}
	if n := vconn.ChunksOut(); n > 10 {
		t.Errorf("%d chunks for %d bytes", n, p.Buffered())
	}
}
