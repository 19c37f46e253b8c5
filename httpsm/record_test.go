package httpsm

import (
	"testing"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// What the opener of a virtual connection knows of a request is used where it is
// what the head says, and only there; the strings outlive the head.
func TestWhatARecordSaysOfARequest(t *testing.T) {
	m := New(Config{})
	defer m.literal.Close()
	head := "GET /a?b HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nReferer: r\r\nX-Request-Id: i\r\n\r\n"
	plain := "GET /a?b HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\n\r\n"
	all := vconn.Request{Method: "GET", Host: "example.com", Path: "/a?b", UserAgent: "test"}
	for _, tc := range []struct {
		name   string
		head   string
		known  vconn.Request
		allocs float64
	}{
		{"everything is known", plain, all, 0},
		{"nothing is known", plain, vconn.Request{}, 1},
		{"what is known is wrong", plain, vconn.Request{Method: "PUT", Host: "a", Path: "/a?", UserAgent: "tests"}, 1},
		{"a part is known", plain, vconn.Request{Host: "example.com"}, 1},
		{"more is said than can be known", head, all, 1},
	} {
		var c *vconn.Conn
		connector := vconn.NewConnector(vconn.AcceptorFunc(func(p *vconn.Conn) { c = p }))
		if _, err := connector.Open(vconn.Options{Identity: pitag.Identity{Tag: pitag.TagH2, ID: 1}, Request: tc.known}); err != nil {
			t.Fatal(err)
		}
		txn := m.newTxn()
		txn.takeDesk()
		txn.cl = &txn.own
		txn.own.open(c, c)
		txn.rec.Session = &pitag.Session{Identity: c.Identity()}
		text := []byte(tc.head)
		if _, err := h1.ParseRequestHead(&txn.req, text, h1.Limits{}); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, txn.noteRequest); n != tc.allocs {
			t.Errorf("%s: %v allocations, want %v", tc.name, n, tc.allocs)
		}
		clear(text)
		clear(txn.scratch[:cap(txn.scratch)])
		txn.req.Reset()
		want := Record{Session: txn.rec.Session, Method: "GET", Host: "example.com", Path: "/a?b", UserAgent: "test", Proto: "HTTP/2.0"}
		if tc.head == head {
			want.Referer, want.RequestID = "r", "i"
		}
		if txn.rec != want {
			t.Errorf("%s: %+v", tc.name, txn.rec)
		}
	}
}
