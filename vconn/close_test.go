package vconn_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/vconn"
)

func TestCloseKeepsWhatWasWritten(t *testing.T) {
	a, p := open(t, vconn.Options{})
	write(t, p, "response")
	p.Close()
	wantEqual(t, "PeerClosed", a.PeerClosed(), true)
	wantWriteErr(t, a, syscall.EPIPE)
	wantRead(t, a, "response")
	wantReadErr(t, a, io.EOF)
	wantReadErr(t, p, net.ErrClosed)
	wantWriteErr(t, p, net.ErrClosed)
}

func TestCloseDiscardsWhatItsEndDidNotRead(t *testing.T) {
	a, p := open(t, vconn.Options{})
	write(t, a, "request body")
	wantRead(t, p, "request")
	p.Close()
	wantEqual(t, "Unread", a.Unread(), 5)
	wantEqual(t, "Unread of the other", p.Unread(), 0)
	wantEqual(t, "chunks held", vconn.ChunksOut(), 0)
}

func TestClosedEndRefusesEverything(t *testing.T) {
	a, p := open(t, vconn.Options{})
	a.Close()
	for name, err := range map[string]error{
		"CloseWrite":       a.CloseWrite(),
		"CloseRead":        a.CloseRead(),
		"SetDeadline":      a.SetDeadline(time.Now()),
		"SetReadDeadline":  a.SetReadDeadline(time.Time{}),
		"SetWriteDeadline": a.SetWriteDeadline(time.Time{}),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s on a closed end = %v, want net.ErrClosed", name, err)
		}
	}
	if _, err := a.TryWrite([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("TryWrite = %v", err)
	}
	if _, err := a.Peek(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Peek = %v", err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	p.Reset(1)
	if err := p.CloseWrite(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("CloseWrite after both closed = %v", err)
	}
}

// Either end, by either way, ends what either end waits for.
func TestClosingWakesBlockedOperations(t *testing.T) {
	ways := map[string]func(*vconn.Conn){
		"Close": func(c *vconn.Conn) { c.Close() },
		"Reset": func(c *vconn.Conn) { c.Reset(8) },
	}
	reads := map[string][2]error{"Close": {net.ErrClosed, io.EOF}, "Reset": {net.ErrClosed, net.ErrClosed}}
	writes := map[string][2]error{"Close": {net.ErrClosed, syscall.EPIPE}, "Reset": {net.ErrClosed, net.ErrClosed}}
	for name, end := range ways {
		for who, label := range []string{"own", "peer"} {
			t.Run(name+"/"+label, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, p := open(t, vconn.Options{ActiveToPassive: 2})
					readErr, writeErr := make(chan error, 1), make(chan error, 1)
					go func() { _, err := a.Read(make([]byte, 1)); readErr <- err }()
					go func() { _, err := a.Write([]byte("full")); writeErr <- err }()
					synctest.Wait()
					end([]*vconn.Conn{a, p}[who])
					if err := <-readErr; !errors.Is(err, reads[name][who]) {
						t.Errorf("Read = %v, want %v", err, reads[name][who])
					}
					if err := <-writeErr; !errors.Is(err, writes[name][who]) {
						t.Errorf("Write = %v, want %v", err, writes[name][who])
					}
				})
			})
		}
	}
}

func TestCloseWriteFailsItsOwnWaitingWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := open(t, vconn.Options{ActiveToPassive: 2})
		n := make(chan int, 1)
		go func() { k, _ := a.Write([]byte("full")); n <- k }()
		synctest.Wait()
		a.CloseWrite()
		wantEqual(t, "written", <-n, 2)
		wantRead(t, p, "fu")
		wantReadErr(t, p, io.EOF)
	})
}

func TestResetDiscardsBothDirectionsAndReportsThem(t *testing.T) {
	a, p := open(t, vconn.Options{})
	write(t, a, "12345")
	wantRead(t, p, "1")
	write(t, p, "123")
	in, out := a.Reset(8)
	wantEqual(t, "in", in, 3)
	wantEqual(t, "out", out, 4)
	wantEqual(t, "Unread of active", a.Unread(), 4)
	wantEqual(t, "Unread of passive", p.Unread(), 3)
	wantEqual(t, "chunks held", vconn.ChunksOut(), 0)
	for _, c := range []*vconn.Conn{a, p} {
		wantReadErr(t, c, syscall.ECONNRESET)
		wantWriteErr(t, c, syscall.ECONNRESET)
		if _, err := c.Peek(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Peek = %v", err)
		}
		if err := c.CloseWrite(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("CloseWrite = %v", err)
		}
	}
	wantEqual(t, "active PeerClosed", a.PeerClosed(), false)
	wantEqual(t, "passive PeerClosed", p.PeerClosed(), true)
}

func TestFirstResetCodeWins(t *testing.T) {
	a, p := open(t, vconn.Options{})
	if err, _ := a.ResetCause(); err != nil {
		t.Fatalf("ResetCause before any = %v", err)
	}
	write(t, a, "x")
	p.Reset(2)
	in, out := a.Reset(8)
	p.Reset(5)
	wantEqual(t, "second Reset's count", in+out, 0)
	for _, c := range []*vconn.Conn{a, p} {
		err, byPeer := c.ResetCause()
		wantEqual(t, "code", err.Code, 2)
		wantEqual(t, "by the peer", byPeer, c == a)
	}
}

// A reset where both directions have ended, with nothing left to read, is a
// close; where anything is left, it is a reset.
func TestResetAfterTheEnd(t *testing.T) {
	closeBoth := func(c ...*vconn.Conn) {
		for _, c := range c {
			c.Close()
		}
	}
	for _, tc := range []struct {
		name  string
		setup func(t *testing.T, a, p *vconn.Conn)
		reset bool
	}{
		{"both closed", func(t *testing.T, a, p *vconn.Conn) { closeBoth(a, p) }, false},
		{"both half-closed and drained", func(t *testing.T, a, p *vconn.Conn) {
			a.CloseWrite()
			p.CloseWrite()
		}, false},
		{"peer closed, response drained", func(t *testing.T, a, p *vconn.Conn) {
			write(t, p, "response")
			p.Close()
			wantRead(t, a, "response")
		}, false},
		{"peer closed, response unread", func(t *testing.T, a, p *vconn.Conn) {
			write(t, p, "response")
			p.Close()
		}, true},
		{"request open", func(t *testing.T, a, p *vconn.Conn) { p.CloseWrite() }, true},
		{"own end closed, request unread", func(t *testing.T, a, p *vconn.Conn) {
			write(t, a, "request")
			a.Close()
		}, true},
		{"nothing happened", func(t *testing.T, a, p *vconn.Conn) {}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, p := open(t, vconn.Options{})
			tc.setup(t, a, p)
			a.Reset(8)
			err, _ := p.ResetCause()
			wantEqual(t, "reset", err != nil, tc.reset)
			wantEqual(t, "PeerClosed", p.PeerClosed(), true)
			a.Reset(8)
			wantEqual(t, "Unread kept", a.Unread()+p.Unread() > 0, tc.reset && tc.name != "request open" && tc.name != "nothing happened")
		})
	}
}

// What was peeked at as the other end reset counts as read once it is discarded:
// whoever looked has used it.
func TestBytesInUseAsAResetComesCountAsRead(t *testing.T) {
	var p *vconn.Conn
	a, err := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { p = c })).Connect(netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte("head and body")); err != nil {
		t.Fatal(err)
	}
	if b, err := a.Peek(); string(b) != "head and body" || err != nil {
		t.Fatalf("peek: %q, %v", b, err)
	}
	p.Reset(2)
	if n := p.Unread(); n != 13 {
		t.Errorf("unread %d before the discard, want 13", n)
	}
	a.Discard(4)
	a.Discard(4) // the rest is gone
	a.Close()
	if n := p.Unread(); n != 9 {
		t.Errorf("unread %d, want the 9 that nobody used", n)
	}
}
