package vconn_test

import (
	"testing"

	"github.com/h2gw/h2gw/vconn"
)

func TestDiscardLeftSaysWhatIsLeft(t *testing.T) {
	a, b := open(t, vconn.Options{})
	a.Write([]byte("hello world"))
	if p, _ := b.Peek(); string(p) != "hello world" {
		t.Fatalf("%q", p)
	}
	for _, step := range []struct{ n, left int }{{6, 5}, {0, 5}, {9, 0}, {1, 0}} {
		if left := b.DiscardLeft(step.n); left != step.left {
			t.Errorf("%d left after %d, want %d", left, step.n, step.left)
		}
	}
}

func TestEndingIsHowItEnded(t *testing.T) {
	a, b := open(t, vconn.Options{})
	b.Write([]byte("lost"))
	a.Reset(8)
	b.Close()
	unread, cause, byPeer := b.Ending()
	if was, by := b.ResetCause(); unread != b.Unread() || unread != 4 || cause != was || cause.Code != 8 || byPeer != by || !byPeer {
		t.Errorf("%d unread, %v, by the peer: %t", unread, cause, byPeer)
	}
	a, b = open(t, vconn.Options{})
	a.Close()
	b.Close()
	if unread, cause, byPeer := b.Ending(); unread != 0 || cause != nil || byPeer {
		t.Errorf("%d unread, %v, by the peer: %t", unread, cause, byPeer)
	}
}
