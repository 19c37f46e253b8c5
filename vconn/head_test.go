package vconn_test

import (
	"io"
	"strings"
	"testing"

	"github.com/h2gw/h2gw/vconn"
)

// The transaction finds the request in its connection when it gets it, and can
// be over when Open returns.
func TestARequestInOptionsIsThereFromTheStart(t *testing.T) {
	log := new(journal)
	accept := vconn.AcceptorFunc(func(p *vconn.Conn) {
		wantEqual(t, "Buffered", p.Buffered(), 3)
		wantRead(t, p, "GET")
		wantReadErr(t, p, io.EOF)
		write(t, p, "200")
		p.Close()
	})
	c := vconn.NewConnector(accept)
	a, err := c.Open(vconn.Options{Head: []byte("GET"), Ended: true, Observer: log})
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "events", log.take(), "consumed 3, readable, readable")
	wantRead(t, a, "200")
	wantReadErr(t, a, io.EOF)
	wantWriteErr(t, a, vconn.ErrPeerClosed)
	a.Close()
	wantEqual(t, "events", log.take(), "closed")
	wantEqual(t, "Unread", a.Unread(), 0)
	wantEqual(t, "Stats", c.Stats()[0], vconn.TagStats{Opened: 1, Closed: 1, BytesIn: 3, BytesOut: 3})
}

func TestARequestInOptionsThatHasNotEndedGoesOn(t *testing.T) {
	a, p := open(t, vconn.Options{Head: []byte("POST "), ActiveToPassive: 8})
	wantEqual(t, "Room", a.Room(), 3)
	write(t, a, "/up")
	wantRead(t, p, "POST /up")
	a.CloseWrite()
	wantReadErr(t, p, io.EOF)
}

// An end with nothing written is what CloseWrite makes, too.
func TestAnEndedDirectionWithoutARequest(t *testing.T) {
	_, p := open(t, vconn.Options{Ended: true})
	wantReadErr(t, p, io.EOF)
}

func TestWhatIsInOptionsIsACopy(t *testing.T) {
	head := []byte("GET")
	_, p := open(t, vconn.Options{Head: head})
	copy(head, "PUT")
	wantRead(t, p, "GET")
}

// A head that is larger than the bound makes the bound.
func TestALongRequestInOptionsFits(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	meter := new(memory)
	a, p := open(t, vconn.Options{Head: []byte(long), ActiveToPassive: 10, Meter: meter})
	wantEqual(t, "Room", a.Room(), 0)
	if meter.n < len(long) {
		t.Errorf("the meter was told of %d bytes for %d", meter.n, len(long))
	}
	if n, err := a.TryWrite([]byte("y")); n != 0 || err != nil {
		t.Errorf("TryWrite = %d, %v", n, err)
	}
	wantRead(t, p, long)
	wantEqual(t, "bytes that the meter knows of", meter.n, 0)
	wantEqual(t, "Room", a.Room(), len(long))
}

// Who gives a request up discards it, whichever way it was written.
func TestARequestInOptionsCanBeGivenUp(t *testing.T) {
	log := new(journal)
	a, p := open(t, vconn.Options{Head: []byte("GET /"), Ended: true, Observer: log})
	p.ResetFor(vconn.ReasonFault, 2)
	wantEqual(t, "events", log.take(), "consumed 5, reset 2, readable")
	wantEqual(t, "Unread", a.Unread(), 5)
}

// The transaction's observer is told at once of what was there before it.
func TestTheObserverOfATransactionIsToldOfARequestInOptions(t *testing.T) {
	_, p := open(t, vconn.Options{Head: []byte("GET /")})
	log := new(journal)
	p.SetObserver(log)
	wantEqual(t, "events", log.take(), "readable")
}

// memory is a Meter.
type memory struct{ n int }

func (m *memory) Buffered(n int) { m.n += n }

// The first KiB of a direction is a part of what a connection costs; the meter is
// told of what comes on top, and of that it is told when it is gone.
func TestTheMeterIsToldOfMoreThanTheFirstKiB(t *testing.T) {
	meter := new(memory)
	a, p := open(t, vconn.Options{Head: []byte("GET"), Meter: meter})
	write(t, p, "200")
	wantEqual(t, "of a small exchange", meter.n, 0)
	write(t, a, strings.Repeat("x", 1022))
	if meter.n < 1 {
		t.Error("the meter was not told of a second chunk")
	}
	wantRead(t, p, "GET"+strings.Repeat("x", 1022))
	wantEqual(t, "when all was read", meter.n, 0)
}

// Statistics of a long head are not held back either.
func TestAHugeRequestInOptionsIsCountedAtOnce(t *testing.T) {
	var p *vconn.Conn
	c := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { p = c }))
	a, _ := c.Open(vconn.Options{Head: make([]byte, 1<<20)})
	wantEqual(t, "BytesIn", c.Stats()[0].BytesIn, 1<<20)
	a.Close()
	p.Close()
	wantEqual(t, "BytesIn", c.Stats()[0].BytesIn, 1<<20)
}
