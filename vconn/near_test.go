package vconn_test

import (
	"testing"

	"github.com/h2gw/h2gw/internal/prefetch"
	"github.com/h2gw/h2gw/vconn"
)

// A neighbour is an observer that names memory of its own.
type neighbour struct {
	vconn.Observer
	memory [10 << 6]byte
}

func (n *neighbour) Near(l *prefetch.List) { prefetch.Add(l, &n.memory) }

// Who answers touches the connection, and what its peer does with the answer.
func TestNearNamesWhatAnAnswerTouches(t *testing.T) {
	for name, observer := range map[string]vconn.Observer{"an observer": nil, "one that names": &neighbour{}} {
		var passive *vconn.Conn
		c := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { passive = c }))
		active, err := c.Open(vconn.Options{Observer: observer, Events: vconn.OnReadable})
		if err != nil {
			t.Fatal(err)
		}
		var l prefetch.List
		passive.Near(&l)
		if lines := l.Lines(); lines < 8 || (lines >= 8+10) != (observer != nil) {
			t.Errorf("%s: %d lines", name, lines)
		}
		active.Close()
		passive.Close()
	}
}
