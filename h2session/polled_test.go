package h2session

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/h2gw/h2gw/internal/netio"
	"github.com/h2gw/h2gw/vconn"
)

// A polledConn is a connection in memory that can be polled. A gatherConn by
// itself cannot: its sessions read in a goroutine.
type polledConn struct{ gatherConn }

func (c *polledConn) Poll(news func(later interface{ Later(f interface{ Flush() }) })) bool {
	c.Conn.NonBlocking(news)
	return true
}

// Whatever a session does that reads in a goroutine of its own, one does that is
// polled: all tests of the package run once more.
func TestAllOfItPolled(t *testing.T) {
	if polled {
		return
	}
	c := exec.Command(os.Args[0], "-test.timeout=3m", "-test.skip=Fuzz|Conformance")
	c.Env = append(os.Environ(), "H2GW_TEST_POLLED=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// What is left when a turn has been long is in buffers, of which no socket tells:
// it is read all the same.
func TestALongTurnLeavesNothing(t *testing.T) {
	for name, secure := range map[string]bool{"cleartext": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			if !netio.CanPoll {
				t.Skip("connections of this system cannot be polled")
			}
			client, server := sockets(t, secure, netio.PollerOf(0))
			release := make(chan bool)
			defer close(release)
			cl := startOn(t, Config{StreamWindow: 1 << 20, SessionWindow: 1 << 30}, func(*http.Request, *vconn.Conn) { <-release }, client, server)
			cl.Handshake()
			for round := range uint32(20) {
				cl.Post(2*round+1, "/")
				for range 3 * longTurn / (16 << 10) {
					cl.Data(2*round+1, false, strings.Repeat("x", 16<<10))
				}
				cl.Ping("are you?")
				cl.WantPing(true)
			}
			cl.Close()
		})
	}
}
