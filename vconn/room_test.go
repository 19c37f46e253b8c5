package vconn_test

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/vconn"
)

func TestAWriterWaitsForItsReaderBeforeItHasAnythingToWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{PassiveToActive: 10})
		if n, err := p.TryWriteParts([]byte("head"), []byte("the body"), nil); n != 10 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if unread, room := p.Ahead(); unread != 10 || room != 0 {
			t.Errorf("%d unread, room for %d", unread, room)
		}
		done := make(chan error, 1)
		go func() { done <- p.AwaitDrained(4) }()
		a.Read(make([]byte, 5))
		synctest.Wait()
		if len(done) > 0 {
			t.Error("it did not wait for the sixth byte")
		}
		a.Read(make([]byte, 1))
		if err := <-done; err != nil {
			t.Error(err)
		}
		if unread, room := p.Ahead(); unread != 4 || room != 6 {
			t.Errorf("%d unread, room for %d", unread, room)
		}
		p.SetWriteDeadline(time.Now().Add(time.Second))
		if err := p.AwaitDrained(0); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		p.SetWriteDeadline(time.Time{})
		go func() { done <- p.AwaitDrained(0) }()
		synctest.Wait()
		a.Reset(8)
		if _, ok := errors.AsType[*vconn.ResetError](<-done); !ok {
			t.Error("a reset did not end the wait")
		}
		p.Close()
	})
}
