package vconn_test

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/vconn"
)

func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{})
		start := time.Now()
		p.SetReadDeadline(start.Add(3 * time.Second))
		wantReadErr(t, p, os.ErrDeadlineExceeded)
		wantEqual(t, "waited", time.Since(start), 3*time.Second)
		// It stays passed, whatever arrives, until it is moved.
		write(t, a, "late")
		wantReadErr(t, p, os.ErrDeadlineExceeded)
		p.SetReadDeadline(time.Time{})
		wantRead(t, p, "late")
		// Writes have their own.
		p.SetReadDeadline(start)
		write(t, p, "x")
	})
}

func TestWriteDeadlineKeepsThePartWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{ActiveToPassive: 4})
		start := time.Now()
		a.SetWriteDeadline(start.Add(time.Second))
		n, err := a.Write([]byte("0123456789"))
		if n != 4 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Write = %d, %v, want 4 and a timeout", n, err)
		}
		wantEqual(t, "waited", time.Since(start), time.Second)
		if _, err := a.TryWrite([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("TryWrite = %v", err)
		}
		a.SetDeadline(time.Time{})
		wantRead(t, p, "0123")
		write(t, a, "4567")
	})
}

func TestDeadlineInThePastWakesTheBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := open(t, vconn.Options{ActiveToPassive: 2})
		errs := make(chan error, 2)
		go func() { _, err := a.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := a.Write([]byte("full")); errs <- err }()
		synctest.Wait()
		a.SetDeadline(time.Unix(1, 0))
		for range 2 {
			if err := <-errs; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// The timer is set once for the first deadline; a wait must still end at the
// last one set, earlier or later.
func TestDeadlineMovedWhileBlocked(t *testing.T) {
	for _, moved := range []time.Duration{time.Second, 2 * time.Second, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			_, p := open(t, vconn.Options{})
			start := time.Now()
			p.SetReadDeadline(start.Add(5 * time.Second))
			done := make(chan time.Duration, 1)
			go func() {
				_, err := p.Read(make([]byte, 1))
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Read = %v", err)
				}
				done <- time.Since(start)
			}()
			time.Sleep(500 * time.Millisecond)
			p.SetReadDeadline(start.Add(moved))
			wantEqual(t, "waited", <-done, moved)
		})
	}
}

func TestDeadlineRemovedWhileBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{})
		p.SetReadDeadline(time.Now().Add(time.Second))
		done := make(chan struct{})
		go func() { wantRead(t, p, "x"); close(done) }()
		synctest.Wait()
		p.SetReadDeadline(time.Time{})
		time.Sleep(time.Minute)
		write(t, a, "x")
		<-done
	})
}

// A Write that waits for its turn behind another honours the deadline too.
func TestDeadlineOfAQueuedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := open(t, vconn.Options{ActiveToPassive: 1})
		a.SetWriteDeadline(time.Now().Add(time.Second))
		total := make(chan int, 2)
		for range 2 {
			go func() {
				n, err := a.Write([]byte("xx"))
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Write = %v", err)
				}
				total <- n
			}()
		}
		wantEqual(t, "written by both", <-total+<-total, 1)
	})
}

func TestDeadlinePushedBeforeEveryReadCostsNothing(t *testing.T) {
	a, p := open(t, vconn.Options{})
	buf := make([]byte, 16)
	write(t, a, "warm the pool")
	p.Read(buf)
	n := testing.AllocsPerRun(100, func() {
		a.Write(buf)
		p.SetReadDeadline(time.Now().Add(time.Minute))
		p.Read(buf)
	})
	wantEqual(t, "allocations", n, 0)
}
