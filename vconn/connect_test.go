package vconn_test

import (
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// An Acceptor that never gets to its transaction does not delay Connect, and
// nothing was sent: the transaction starts with the request.
func TestConnectReturnsBeforeTheTransactionRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := make(chan struct{})
		passive := make(chan *vconn.Conn, 1)
		c := vconn.NewConnector(vconn.AcceptorFunc(func(p *vconn.Conn) {
			go func() {
				<-start
				wantRead(t, p, "GET")
				p.Close()
			}()
			passive <- p
		}))
		a, err := c.ConnectWithPluginID(origin, "h2", 17)
		if err != nil {
			t.Fatal(err)
		}
		p := <-passive
		wantEqual(t, "buffered before a request", p.Buffered(), 0)
		for _, end := range []*vconn.Conn{a, p} {
			wantEqual(t, "Identity", end.Identity(), pitag.Identity{Tag: "h2", ID: 17})
			wantEqual(t, "Tag", end.Tag(), "h2")
			wantEqual(t, "ID", end.ID(), 17)
			wantEqual(t, "Addr", end.Addr(), origin)
		}
		close(start)
		write(t, a, "GET")
		a.Close()
		synctest.Wait()
	})
}

func TestConnectWithoutIdentity(t *testing.T) {
	var p *vconn.Conn
	c := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { p = c }))
	for _, c := range []*vconn.Connector{c, c.For(&pitag.Session{Identity: pitag.Identity{Tag: "h2", ID: 3}})} {
		a, err := c.Connect(origin)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "Identity", a.Identity(), pitag.Identity{})
		wantEqual(t, "text", p.Identity().String(), "*#0")
		a.Close()
		p.Close()
	}
}

func TestConnectWithoutAcceptorSaysSo(t *testing.T) {
	for _, c := range []*vconn.Connector{vconn.NewConnector(nil), {}} {
		_, err := c.Connect(origin)
		if err == nil || !strings.Contains(err.Error(), "no Acceptor") {
			t.Errorf("Connect = %v", err)
		}
		wantEqual(t, "tags counted", len(c.Stats()), 0)
	}
}

func TestOpenCarriesWhatItWasOpenedFor(t *testing.T) {
	client := netip.MustParseAddrPort("[2001:db8::1]:50000")
	s := &pitag.Session{
		Identity: pitag.Identity{Tag: "h2", ID: 9},
		Client:   client,
		TLS:      &tls.ConnectionState{NegotiatedProtocol: "h2"},
	}
	var p *vconn.Conn
	c := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { p = c })).For(s)
	a, err := c.Open(vconn.Options{Addr: origin, Identity: s.Identity, Stream: 5, Txn: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	defer a.Close()
	for _, end := range []*vconn.Conn{a, p} {
		wantEqual(t, "Stream", end.Stream(), 5)
		wantEqual(t, "Txn", end.Txn(), 3)
		wantEqual(t, "Session", end.Session(), s)
		wantEqual(t, "ALPN", end.Session().ALPN(), "h2")
	}
	for what, addr := range map[string][2]string{
		"active remote":  {a.RemoteAddr().String(), origin.String()},
		"passive local":  {p.LocalAddr().String(), origin.String()},
		"passive remote": {p.RemoteAddr().String(), client.String()},
		"active local":   {a.LocalAddr().String(), client.String()},
	} {
		wantEqual(t, what, addr[0], addr[1])
	}

	other := &pitag.Session{}
	b, err := c.Open(vconn.Options{Session: other})
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "Session of Options", b.Session(), other)
	b.Close()
	p.Close()
}

// Code that expects a TCP address finds one, even where nothing is known.
func TestAddressesAreAlwaysTCPAddresses(t *testing.T) {
	a, p := open(t, vconn.Options{})
	for _, addr := range []net.Addr{a.LocalAddr(), a.RemoteAddr(), p.LocalAddr(), p.RemoteAddr()} {
		tcp, ok := addr.(*net.TCPAddr)
		if !ok || tcp.IP != nil || addr.Network() != "tcp" || addr.String() != ":0" {
			t.Errorf("address %T %v", addr, addr)
		}
	}
}

func TestStatsPerTag(t *testing.T) {
	var p *vconn.Conn
	c := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { p = c }))
	run := func(c *vconn.Connector, tag string, request, response int) (a *vconn.Conn) {
		a, err := c.ConnectWithPluginID(origin, tag, 1)
		if err != nil {
			t.Fatal(err)
		}
		write(t, a, strings.Repeat("q", request))
		write(t, p, strings.Repeat("r", response))
		p.Close()
		return a
	}
	run(c, "h2", 10, 100).Close()
	run(c.For(&pitag.Session{}), "h2", 20, 200).Reset(8)
	run(c, "", 1, 2).Close()
	open := run(c, "h2c", 5, 5)
	want := []vconn.TagStats{
		{Tag: "", Opened: 1, Closed: 1, BytesIn: 1, BytesOut: 2},
		{Tag: "h2", Opened: 2, Closed: 2, BytesIn: 30, BytesOut: 300},
		{Tag: "h2c", Opened: 1},
	}
	if got := c.Stats(); !slices.Equal(got, want) {
		t.Errorf("Stats = %+v\nwant %+v", got, want)
	}
	open.Close()
	open.Close()
	want[2] = vconn.TagStats{Tag: "h2c", Opened: 1, Closed: 1, BytesIn: 5, BytesOut: 5}
	if got := c.Stats(); !slices.Equal(got, want) {
		t.Errorf("Stats = %+v\nwant %+v", got, want)
	}
}

func TestStatsOfALongConnectionAreNotHeldBack(t *testing.T) {
	var p *vconn.Conn
	c := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { p = c }))
	a, _ := c.Connect(origin)
	const total = 1 << 20
	for range total / 1024 {
		write(t, a, strings.Repeat("x", 1024))
		p.Discard(1024)
	}
	if got := c.Stats()[0].BytesIn; got < total-(256<<10) || got > total {
		t.Errorf("BytesIn of an open connection = %d of %d", got, total)
	}
	a.Close()
	p.Close()
	wantEqual(t, "BytesIn", c.Stats()[0].BytesIn, total)
}

// Whatever session a connection belongs to, it is counted.
func TestStatsAreOfAllSessions(t *testing.T) {
	var p *vconn.Conn
	c := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { p = c }))
	for id := range uint64(100) {
		a, err := c.ConnectWithPluginID(origin, "h2", id)
		if err != nil {
			t.Fatal(err)
		}
		write(t, a, "req")
		write(t, p, "response")
		a.Close()
		if id%2 == 0 {
			defer p.Close()
		} else {
			p.Close()
		}
	}
	want := vconn.TagStats{Tag: "h2", Opened: 100, Closed: 50, BytesIn: 150, BytesOut: 400}
	if got := c.Stats(); len(got) != 1 || got[0] != want {
		t.Errorf("Stats = %+v\nwant %+v", got, want)
	}
}
