package vconn

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/h2gw/h2gw/pitag"
)

// ends opens a connection.
func ends(o Options) (a, p *Conn) {
	a, _ = NewConnector(AcceptorFunc(func(c *Conn) { p = c })).Open(o)
	return a, p
}

// A connection made of the memory of another knows nothing of it.
func TestARecycledConnectionIsNew(t *testing.T) {
	for range 100 { // a pool may drop what it is given
		a, p := ends(Options{
			Addr: netip.MustParseAddrPort("192.0.2.1:80"), Identity: pitag.Identity{Tag: "h2", ID: 7}, Session: &pitag.Session{},
			Stream: 3, Txn: 2, Request: Request{Method: "GET"}, Head: []byte("head"), Ended: true,
			ActiveToPassive: 10, PassiveToActive: 10, Notes: new(Notes),
		})
		p.TryWrite([]byte("lost"))
		p.Close()
		a.Close()
		a.Recycle()
		p.Recycle()
		b, q := ends(Options{})
		if b.pair != a.pair {
			continue
		}
		fresh := new(pair)
		fresh.counters = b.pair.counters
		for i := range fresh.ends {
			fresh.ends[i] = Conn{pair: b.pair, side: uint8(i)}
			fresh.toEnd[i].bound = DefaultBound
		}
		if b.pair.state != fresh.state {
			t.Errorf("it is %+v, want %+v", b.pair.state, fresh.state)
		}
		if _, err := q.TryWrite([]byte("x")); err != nil || b.Buffered() != 1 || b.Unread() != 0 {
			t.Errorf("%v, %d bytes", err, b.Buffered())
		}
		b.Close()
		q.Close()
		return
	}
	t.Error("nothing is used again")
}

// What somebody may still look at is not used again.
func TestWhatIsNotRecycled(t *testing.T) {
	end := func(a, p *Conn) { p.Close(); a.Close() }
	for name, use := range map[string]func(a, p *Conn){
		"one owner has not done with it": func(a, p *Conn) { end(a, p); p.Recycle() },
		"it is open":                     func(a, p *Conn) { a.Close(); a.Recycle(); p.Recycle() },
		"it was reset":                   func(a, p *Conn) { a.Reset(8); end(a, p); a.Recycle(); p.Recycle() },
		"somebody looks at its bytes": func(a, p *Conn) {
			a.TryWrite([]byte("x"))
			p.Peek()
			a.Reset(8)
			end(a, p)
			a.Recycle()
			p.Recycle()
		},
	} {
		used := map[*pair]bool{}
		for range 20 {
			a, p := ends(Options{})
			if used[a.pair] {
				t.Errorf("%s, and it was used again", name)
			}
			used[a.pair] = true
			use(a, p)
		}
	}
}

// owner is an observer that says when Closed was told.
type owner struct{ closed chan struct{} }

func (owner) Readable(*Conn, Later)        {}
func (owner) Consumed(*Conn, int)          {}
func (owner) PeerReset(*Conn, *ResetError) {}
func (o owner) Closed(*Conn)               { close(o.closed) }

// Connections that are used again as soon as both owners have done with them carry
// what was written to them and nothing else, whoever is last. The race detector
// looks on.
func TestRecycledConnectionsAreNotMixedUp(t *testing.T) {
	var number atomic.Uint64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				oneExchange(t, number.Add(1))
			}
		})
	}
	wg.Wait()
}

func oneExchange(t *testing.T, number uint64) {
	text := fmt.Appendf(nil, "message %d ", number)
	mine, theirs := owner{make(chan struct{})}, owner{make(chan struct{})}
	var p *Conn
	a, _ := NewConnector(AcceptorFunc(func(c *Conn) { p = c })).Open(Options{Head: text, Ended: true, Observer: mine, Txn: number})
	p.SetObserver(theirs)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b, err := p.Peek()
		if !bytes.Equal(b, text) || err != nil || p.Txn() != number {
			t.Errorf("%d got %q, %v", number, b, err)
		}
		p.Discard(len(b))
		p.TryWriteClose(text, nil)
		<-theirs.closed
		p.Recycle()
	}()
	for {
		b, err := a.Peek()
		if err == io.EOF {
			t.Errorf("%d got nothing", number)
			break
		}
		if len(b) > 0 {
			if !bytes.Equal(b, text) {
				t.Errorf("%d got %q", number, b)
			}
			a.CloseAfter(len(b))
			break
		}
		runtime.Gosched()
	}
	<-mine.closed
	a.Recycle()
	<-done
}
