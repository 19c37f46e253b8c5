package httpsm

import (
	"strings"
	"testing"

	"github.com/h2gw/h2gw/pitag"
)

func TestGetOverVConn(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil)
		got := r.ask(get)
		wantStatus(t, got, 200)
		if !strings.HasSuffix(got, "\r\n\r\nok") {
			t.Errorf("answer %q", got)
		}
		rec := r.wantRecord(Completed, 200)
		if rec.Method != "GET" || rec.Host != "example.com" || rec.Path != "/a?b=c" || rec.UserAgent != "test" || rec.BytesOut != 2 || rec.OriginStatus != 200 {
			t.Errorf("record %+v", rec)
		}
		t.Log(r.o.Received()[0], got)
	})
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil)
		c := r.dial()
		c.send(get + get + get)
		for range 3 {
			c.want(200, "ok")
		}
		c.Close()
		rec := c.wantEnd(pitag.CauseClientClosed)
		if rec.Streams != 3 {
			t.Errorf("streams %d", rec.Streams)
		}
	})
}
