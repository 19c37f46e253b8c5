package vconn_test

import (
	"testing"

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
