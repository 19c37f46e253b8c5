package vconn_test

import (
	"io"
	"strings"
	"testing"

	"github.com/h2gw/h2gw/vconn"
)

func TestTwoPartsAreOneWriteAndTheEnd(t *testing.T) {
	body := strings.Repeat("x", 10<<10)
	a, p := open(t, vconn.Options{})
	if n, err := p.TryWriteCloseParts([]byte("head"), []byte(body), nil); n != 4+len(body) || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if b, err := a.Peek(); string(b) != "head"+body || err != nil {
		t.Errorf("%d bytes in one piece, %v", len(b), err)
	}
	if b, err := io.ReadAll(a); string(b) != "head"+body || err != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if !a.PeerClosed() {
		t.Error("not closed")
	}
}

// What does not fit is for the writer to write later, and the end stays open.
func TestTwoPartsThatDoNotFit(t *testing.T) {
	for bound, want := range map[int]string{3: "hea", 4: "head", 6: "headbo"} {
		a, p := open(t, vconn.Options{PassiveToActive: bound})
		if n, err := p.TryWriteCloseParts([]byte("head"), []byte("body"), nil); n != bound || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if b, _ := a.Peek(); string(b) != want || a.PeerClosed() {
			t.Errorf("%q, closed: %t", b, a.PeerClosed())
		}
		a.Close()
		if n, err := p.TryWriteCloseParts([]byte("head"), []byte("body"), nil); n != 0 || err != vconn.ErrPeerClosed {
			t.Errorf("%d, %v", n, err)
		}
	}
}
