package vconn_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/vconn"
)

func TestPeekWaitWaitsForBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{})
		got := make(chan string)
		go func() {
			view, err := p.PeekWait()
			got <- string(view)
			if err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		select {
		case s := <-got:
			t.Fatalf("PeekWait = %q before anything was written", s)
		default:
		}
		write(t, a, "body")
		wantEqual(t, "PeekWait", <-got, "body")
		wantEqual(t, "Buffered", p.Buffered(), 4)
		view, err := p.PeekWait() // at once, and the same
		wantEqual(t, "PeekWait", string(view), "body")
		wantEqual(t, "error", err, nil)
		p.Discard(4)
	})
}

// What ends a Read ends PeekWait, with the same error.
func TestPeekWaitEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(a, p *vconn.Conn)
		want error
	}{
		"by the peer's CloseWrite": {func(a, _ *vconn.Conn) { a.CloseWrite() }, io.EOF},
		"by the peer's Close":      {func(a, _ *vconn.Conn) { a.Close() }, io.EOF},
		"by the peer's Reset":      {func(a, _ *vconn.Conn) { a.Reset(8) }, &vconn.ResetError{}},
		"by its own Close":         {func(_, p *vconn.Conn) { p.Close() }, net.ErrClosed},
		"by its own CloseRead":     {func(_, p *vconn.Conn) { p.CloseRead() }, io.EOF},
		"by its deadline":          {func(_, p *vconn.Conn) { p.SetReadDeadline(time.Now().Add(time.Second)) }, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, p := open(t, vconn.Options{})
				done := make(chan error)
				go func() {
					_, err := p.PeekWait()
					done <- err
				}()
				synctest.Wait()
				c.end(a, p)
				err := <-done
				if _, reset := c.want.(*vconn.ResetError); reset {
					if _, ok := errors.AsType[*vconn.ResetError](err); ok {
						return
					}
				}
				if !errors.Is(err, c.want) {
					t.Errorf("PeekWait = %v, want %v", err, c.want)
				}
			})
		})
	}
}

// A deadline that has passed wins over bytes that wait, as in Read.
func TestPeekWaitAfterItsDeadline(t *testing.T) {
	a, p := open(t, vconn.Options{})
	write(t, a, "x")
	p.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := p.PeekWait(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PeekWait = %v", err)
	}
	p.SetReadDeadline(time.Time{})
	if view, err := p.PeekWait(); string(view) != "x" || err != nil {
		t.Errorf("PeekWait = %q, %v", view, err)
	}
}

// Who reads on one goroutine and is closed by another must not see the bytes of
// other connections.
func TestPeekedBytesOutliveTheirOwnEnd(t *testing.T) {
	for name, end := range map[string]func(a, p *vconn.Conn){
		"Close":               func(_, p *vconn.Conn) { p.Close() },
		"CloseRead":           func(_, p *vconn.Conn) { p.CloseRead() },
		"Reset":               func(_, p *vconn.Conn) { p.Reset(8) },
		"Reset, and then own": func(a, p *vconn.Conn) { a.Reset(8); p.Reset(8) },
	} {
		t.Run(name, func(t *testing.T) {
			meter := new(memory)
			a, p := open(t, vconn.Options{Meter: meter})
			write(t, a, "shown")
			view, _ := p.PeekWait()
			end(a, p)
			for range 3 {
				other, _ := open(t, vconn.Options{})
				write(t, other, "OTHER")
			}
			wantEqual(t, "peeked", string(view), "shown")
			p.Discard(len(view))
			wantEqual(t, "bytes that the meter knows of", meter.n, 0)
		})
	}
}

// Prepare makes all of Open but the transaction.
func TestATransactionBeginsWhenItIsTold(t *testing.T) {
	var p *vconn.Conn
	c := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { p = c }))
	log := new(journal)
	a, err := c.Prepare(&vconn.Options{Head: []byte("POST "), Observer: log})
	if err != nil || p != nil {
		t.Fatalf("Prepare: %v, %v", p, err)
	}
	wantEqual(t, "Stats", c.Stats()[0].Opened, 1)
	write(t, a, "/up")
	a.CloseWrite()
	c.Accept(a)
	wantRead(t, p, "POST /up")
	wantReadErr(t, p, io.EOF)
	wantEqual(t, "events", log.take(), "consumed 8")
	a.Close()
	p.Close()
}

// What is over before it begins still has its transaction: somebody waits for
// its end.
func TestAConnectionThatIsResetBeforeItsTransactionBegins(t *testing.T) {
	var p *vconn.Conn
	c := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { p = c }))
	log := new(journal)
	a, _ := c.Prepare(&vconn.Options{Head: []byte("POST "), Observer: log})
	a.Reset(8)
	c.Accept(a)
	if _, err := p.PeekWait(); err == nil {
		t.Error("no error")
	}
	wantEqual(t, "events", log.take(), "")
	p.Close()
	wantEqual(t, "events", log.take(), "closed")
}

func TestNothingIsPreparedForNobody(t *testing.T) {
	if _, err := vconn.NewConnector(nil).Prepare(&vconn.Options{}); err == nil {
		t.Error("no error")
	}
}
