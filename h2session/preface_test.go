package h2session

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/pitag"
)

func TestGet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.Handshake()
		cl.Get(1, "/a?b=c", "accept", "*/*")
		f := cl.WantHeaders(1, false)
		if f.Get(":status") != "200" || f.Get("content-length") != "6" {
			t.Errorf("got %v", &f)
		}
		if body, _ := cl.WantBody(1); string(body) != "hello " {
			t.Errorf("body %q", body)
		}
		want := "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\naccept: */*\r\n\r\n"
		if got := cl.request(0); got != want {
			t.Errorf("the transaction got\n%q, want\n%q", got, want)
		}
		cl.GoAway(http2.ErrCodeNo)
		cl.WantClosed()
		r := cl.end()
		if r.Streams != 1 || r.StreamsRefused != 0 || r.StreamsPeak != 1 || r.Cause != pitag.CauseClientClosed || r.GoAway != "NO_ERROR" {
			t.Errorf("record %+v", r)
		}
	})
}
