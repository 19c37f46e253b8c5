package httpsm

import (
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// With no origins configured, what a virtual connection was opened to is the
// origin: the primitive alone, over a real socket.
func TestTheAddressOfAVirtualConnectionIsTheOrigin(t *testing.T) {
	o := testkit.ListenOrigin(t, testkit.Serve(testkit.Reply("ok")))
	records := make(chan Record, 1)
	m := New(Config{OnRecord: func(r *Record) { records <- *r }})
	defer m.Shutdown(t.Context())
	c, err := vconn.NewConnector(m).ConnectWithPluginID(netip.MustParseAddrPort(o.Addr()), "h2", 17)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, get)
	c.CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(b), "\r\n\r\nok") {
		t.Fatalf("answer %q, %v", b, err)
	}
	c.Close()
	rec := <-records
	if rec.Session.Identity.String() != "h2#17" || rec.Origin != o.Addr() || rec.Proto != "HTTP/2.0" || rec.OriginConn == 0 {
		t.Errorf("record %+v", rec)
	}
	if saw := o.Received()[0]; !strings.Contains(saw, "\r\nVia: 2 h2gw-") || strings.Contains(saw, "X-Forwarded-For") {
		t.Errorf("the origin saw %q", saw)
	}
}
