package vconn

import (
	"slices"
	"sync"
	"testing"
)

func TestBothEndsWriteTheSameNotes(t *testing.T) {
	notes := new(Notes)
	var wg sync.WaitGroup
	wg.Add(1)
	c := NewConnector(AcceptorFunc(func(p *Conn) {
		go func() {
			defer wg.Done()
			p.Notes().Response("%s dropped", "connection")
			p.Close()
		}()
	}))
	a, err := c.Open(Options{Notes: notes})
	if err != nil {
		t.Fatal(err)
	}
	a.Notes().Request("%d crumbs", 3)
	wg.Wait()
	a.Close()
	request, response := notes.Lists()
	if !slices.Equal(request, []string{"3 crumbs"}) || !slices.Equal(response, []string{"connection dropped"}) {
		t.Errorf("%q, %q", request, response)
	}
}

func TestNobodyWantsNotesUnlessAsked(t *testing.T) {
	c := NewConnector(AcceptorFunc(func(p *Conn) { p.Close() }))
	a, err := c.Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.Notes() != nil {
		t.Error("notes are kept")
	}
}

func TestNotesAreBounded(t *testing.T) {
	var n Notes
	for range 2 * maxNotes {
		n.Request("x")
	}
	if r, _ := n.Lists(); len(r) != maxNotes {
		t.Errorf("%d notes", len(r))
	}
}
