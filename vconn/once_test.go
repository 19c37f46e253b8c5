package vconn_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/vconn"
)

// Several things under one lock: operations that stand for two calls.

func TestTryWriteCloseIsAWriteAndTheEnd(t *testing.T) {
	j := new(journal)
	a, p := open(t, vconn.Options{Observer: j})
	n, err := p.TryWriteClose([]byte("HTTP"), nil)
	wantEqual(t, "written", n, 4)
	wantEqual(t, "error", err, nil)
	wantEqual(t, "told", j.take(), "readable") // once
	wantRead(t, a, "HTTP")
	wantReadErr(t, a, io.EOF)
	wantEqual(t, "PeerClosed", a.PeerClosed(), true)
	wantWriteErr(t, p, net.ErrClosed)
	n, err = p.TryWriteClose([]byte("x"), nil)
	if n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("a second TryWriteClose = %d, %v", n, err)
	}
}

func TestTryWriteCloseOfMoreThanFitsLeavesTheEndOpen(t *testing.T) {
	a, p := open(t, vconn.Options{PassiveToActive: 3})
	n, err := p.TryWriteClose([]byte("HTTP"), nil)
	wantEqual(t, "written", n, 3)
	wantEqual(t, "error", err, nil)
	wantEqual(t, "PeerClosed", a.PeerClosed(), false)
	wantRead(t, a, "HTT")
	if n, err = p.TryWriteClose([]byte("P"), nil); n != 1 || err != nil {
		t.Errorf("TryWriteClose of the rest = %d, %v", n, err)
	}
	wantRead(t, a, "P")
	wantReadErr(t, a, io.EOF)
}

func TestTryWriteCloseOfAResetConnectionSaysSo(t *testing.T) {
	a, p := open(t, vconn.Options{})
	a.Reset(8)
	n, err := p.TryWriteClose([]byte("HTTP"), nil)
	if e, ok := errors.AsType[*vconn.ResetError](err); n != 0 || !ok || e.Code != 8 {
		t.Errorf("TryWriteClose = %d, %v", n, err)
	}
}

func TestTryWriteCloseWakesAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{})
		go func() {
			time.Sleep(time.Second)
			p.TryWriteClose([]byte("HTTP"), nil)
		}()
		all, err := io.ReadAll(a)
		wantEqual(t, "read", string(all), "HTTP")
		wantEqual(t, "error", err, nil)
	})
}

// What was seen counts as read, what was not as lost.
func TestCloseAfterCountsWhatWasRead(t *testing.T) {
	j := new(journal)
	a, p := open(t, vconn.Options{})
	p.SetObserver(j)
	write(t, p, "response, and more")
	view, _ := a.Peek()
	wantEqual(t, "view", string(view), "response, and more")
	a.CloseAfter(8)
	wantEqual(t, "told", j.take(), "consumed 18, readable")
	wantEqual(t, "Unread", p.Unread(), 10)
	wantEqual(t, "Taken", p.Taken(), 18)
	wantReadErr(t, a, net.ErrClosed)
	a.CloseAfter(8) // of a closed end: nothing
	wantEqual(t, "Unread", p.Unread(), 10)
	p.Close()
	wantEqual(t, "told", j.take(), "closed")
}

// The bytes that Peek has shown are good even when the peer resets meanwhile,
// and it is told so.
func TestCloseAfterAReset(t *testing.T) {
	a, p := open(t, vconn.Options{})
	write(t, p, "response")
	view, _ := a.Peek()
	p.Reset(2)
	wantEqual(t, "Unread before", p.Unread(), 8)
	wantEqual(t, "view", string(view), "response")
	a.CloseAfter(len(view))
	wantEqual(t, "Unread", p.Unread(), 0)
}

func TestCloseAfterEndsAWaitingWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{PassiveToActive: 4})
		done := make(chan error)
		go func() {
			_, err := p.Write([]byte("more than fits"))
			done <- err
		}()
		synctest.Wait()
		a.CloseAfter(4)
		wantEqual(t, "error", <-done, vconn.ErrPeerClosed)
	})
}

// An observer is told of what it wants, and of nothing else.
func TestAnObserverIsToldOfWhatItWants(t *testing.T) {
	steps := func(a, p *vconn.Conn) {
		a.Write([]byte("request"))
		p.Write([]byte("response"))
		a.Read(make([]byte, 8))
		a.CloseWrite()
		a.Reset(8)
		p.Close()
	}
	for _, tt := range []struct {
		want vconn.Events
		told string
	}{
		{vconn.AllEvents, "readable, consumed 8, readable, reset 8, readable, closed"},
		{vconn.OnReadable, "readable, readable, readable"},
		{vconn.OnPeerClosed, "readable"},
		{vconn.OnConsumed, "consumed 8"},
		{vconn.OnPeerReset, "reset 8"},
		{vconn.OnClosed, "closed"},
		{0, ""},
	} {
		j := new(journal)
		a, p := open(t, vconn.Options{})
		p.Observe(j, tt.want)
		steps(a, p)
		wantEqual(t, "told", j.take(), tt.told)
	}
	// Of the active end, by Options.
	j := new(journal)
	a, p := open(t, vconn.Options{Observer: j, Events: vconn.OnClosed})
	steps(p, a)
	wantEqual(t, "told", j.take(), "closed")
}

// An observer that comes late is told of what holds, if it wants to know.
func TestALateObserverIsToldOfWhatItWants(t *testing.T) {
	j := new(journal)
	a, p := open(t, vconn.Options{Head: []byte("GET"), Ended: true})
	p.Observe(j, vconn.OnPeerClosed|vconn.OnClosed)
	wantEqual(t, "told of a request", j.take(), "")
	a.Close()
	wantEqual(t, "told of a close", j.take(), "readable")
	p.Observe(j, vconn.OnPeerClosed)
	wantEqual(t, "told again", j.take(), "readable")
	p.Close()
	wantEqual(t, "told of the end", j.take(), "")
	p.Observe(j, vconn.OnClosed)
	wantEqual(t, "told late of the end", j.take(), "closed")
}

// The active end waits for the other's Closed only where that is wanted.
func TestTheStreamIsToldOfClosedWithoutAnObserverOfTheTransaction(t *testing.T) {
	j := new(journal)
	a, p := open(t, vconn.Options{Observer: j, Events: vconn.OnClosed})
	p.Observe(new(journal), vconn.OnReadable)
	a.Close()
	p.Close()
	wantEqual(t, "told", j.take(), "closed")
}

func TestTakenIsWhatIsNoLongerBuffered(t *testing.T) {
	a, p := open(t, vconn.Options{Head: []byte("0123456789")})
	wantEqual(t, "Taken", a.Taken(), 0)
	wantRead(t, p, "012")
	wantEqual(t, "Taken", a.Taken(), 3)
	write(t, a, "more")
	wantEqual(t, "Taken", a.Taken(), 3)
	p.Close()
	wantEqual(t, "Taken", a.Taken(), 14)
}
