package httpsm

import (
	"strings"
	"testing"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/netio"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// Requests that share a connection and begin in one round of a poller are written
// in one write, when that ends.
func TestRequestsThatBeginTogetherAreWrittenTogether(t *testing.T) {
	if !netio.CanPoll {
		t.Skip("there are no pollers on this system")
	}
	o := testkit.ListenOrigin(t, echoPath)
	g, err := origin.NewGroup(origin.Config{Endpoints: []origin.EndpointConfig{{Addr: o.Addr()}}, Pipeline: 16, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	m := New(Config{Origins: g})
	t.Cleanup(m.dismiss)
	connector := vconn.NewConnector(m).For(&pitag.Session{Lane: 0})
	var round netio.Round
	begin := func(path string) *vconn.Conn {
		c, err := connector.Prepare(&vconn.Options{Head: []byte(getPath(path)), Ended: true})
		if err != nil {
			t.Fatal(err)
		}
		connector.AcceptLater(c, &round)
		return c
	}
	want := func(c *vconn.Conn, path string) {
		t.Helper()
		head, _ := c.PeekWait()
		for !strings.HasSuffix(string(head), "\r\n\r\n"+path) {
			if head, err = c.PeekWait(); err != nil {
				t.Fatalf("%s: %q, %v", path, head, err)
			}
		}
		c.Close()
	}
	e := g.Endpoints()[0]
	for e.Stats().Pipelines == 0 { // until the origin has proved itself, and a connection is made
		c := begin("/before")
		round.End()
		want(c, "/before")
	}
	before := e.Stats()
	var all []*vconn.Conn
	paths := []string{"/a", "/b", "/c", "/d", "/e"}
	for _, path := range paths {
		all = append(all, begin(path))
	}
	time.Sleep(5 * time.Millisecond) // for who would not wait for the end
	if s := e.Stats(); s.PipelineRequests != before.PipelineRequests+uint64(len(all)) || s.PipelineBatches != before.PipelineBatches {
		t.Errorf("%+v, %+v before", s, before)
	}
	round.End()
	for i, c := range all {
		want(c, paths[i])
	}
	if s := e.Stats(); s.PipelineBatches != before.PipelineBatches+1 {
		t.Errorf("%d writes", s.PipelineBatches-before.PipelineBatches)
	}
}
