package vconn_test

import (
	"testing"

	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// A pile is a Later that counts what it is left.
type pile struct{ flushers int }

func (p *pile) Later(interface{ Flush() }) { p.flushers++ }

// A lateReader notes which Later came with what there is to read.
type lateReader struct {
	journal
	later vconn.Later
}

func (l *lateReader) Readable(_ *vconn.Conn, later vconn.Later) { l.later = later }

// The reader's observer gets the Later of the call that has news for it, and of
// no other call.
func TestLaterComesFromWhoWrites(t *testing.T) {
	later := new(pile)
	for name, write := range map[string]func(p *vconn.Conn){
		"close": func(p *vconn.Conn) { p.TryWriteClose([]byte("x"), later) },
		"parts": func(p *vconn.Conn) { p.TryWriteParts([]byte("x"), []byte("y"), later) },
		"both":  func(p *vconn.Conn) { p.TryWriteCloseParts([]byte("x"), []byte("y"), later) },
	} {
		a, p := open(t, vconn.Options{})
		o := new(lateReader)
		a.SetObserver(o)
		write(p)
		if o.later != vconn.Later(later) {
			t.Errorf("%s: told of %v", name, o.later)
		}
		o = &lateReader{later: later}
		a.SetObserver(o)
		if o.later != nil {
			t.Errorf("%s: what is told at once is told of %v", name, o.later)
		}
	}
	a, p := open(t, vconn.Options{})
	o := &lateReader{later: later}
	a.SetObserver(o)
	if p.Write([]byte("x")); o.later != nil {
		t.Errorf("of a Write: %v", o.later)
	}
}

// A lateAcceptor notes which Later a transaction began with.
type lateAcceptor struct{ accepted []vconn.Later }

func (l *lateAcceptor) AcceptVConn(c *vconn.Conn) { l.AcceptVConnLater(c, nil) }

func (l *lateAcceptor) AcceptVConnLater(c *vconn.Conn, later vconn.Later) {
	l.accepted = append(l.accepted, later)
	c.Close()
}

// An Acceptor that wants to know gets the Later of who begins a transaction.
func TestLaterComesFromWhoBegins(t *testing.T) {
	later := new(pile)
	acceptor := new(lateAcceptor)
	for name, connector := range map[string]*vconn.Connector{
		"all":       vconn.NewConnector(acceptor),
		"a session": vconn.NewConnector(acceptor).For(&pitag.Session{}),
	} {
		for _, tc := range []struct {
			how   string
			begin func(*vconn.Conn)
			want  vconn.Later
		}{
			{"Accept", func(c *vconn.Conn) { connector.Accept(c) }, nil},
			{"AcceptLater", func(c *vconn.Conn) { connector.AcceptLater(c, later) }, later},
			{"AcceptLater of nobody", func(c *vconn.Conn) { connector.AcceptLater(c, nil) }, nil},
		} {
			acceptor.accepted = nil
			c, err := connector.Prepare(&vconn.Options{})
			if err != nil {
				t.Fatal(err)
			}
			tc.begin(c)
			if got := acceptor.accepted; len(got) != 1 || got[0] != tc.want {
				t.Errorf("%s, %s: accepted with %v, want %v once", name, tc.how, got, tc.want)
			}
			c.Close()
		}
	}
}

// One that does not is called as always.
func TestLaterIsOnlyForWhoWantsIt(t *testing.T) {
	calls := 0
	connector := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { calls++; c.Close() }))
	c, err := connector.Prepare(&vconn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if connector.AcceptLater(c, new(pile)); calls != 1 {
		t.Errorf("accepted %d times", calls)
	}
}
