package httpsm

import (
	"strings"
	"testing"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
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

func TestWhatAHookCanSee(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hooks, ran := new(Hooks), false
		r := newRig(t, func(c *Config) {
			c.Hooks = hooks
			c.Route = func(txn *Txn) (string, *origin.Group) { return "main", c.Origins }
		})
		hooks.On(SendResponseHead, func(txn *Txn) Verdict {
			ran = true
			if txn.Session().Identity != txn.Identity() || txn.Identity().Tag != "http/1.1" || txn.Client() != clientAddr {
				t.Errorf("session %+v, client %s", txn.Session(), txn.Client())
			}
			if txn.Stream() != 1 || txn.Number() != 1 || txn.Origin() != testkit.OriginAddr {
				t.Errorf("stream %d, number %d, origin %s", txn.Stream(), txn.Number(), txn.Origin())
			}
			if name, g := txn.Route(); name != "main" || g != r.group {
				t.Errorf("route %q", name)
			}
			if txn.Request().Method() != "GET" || !txn.OriginRequest().Fields.Has("Via") || txn.Response().Status() != 200 {
				t.Error("heads")
			}
			if txn.State() != StateExchange || txn.Record().OriginStatus != 200 {
				t.Errorf("state %s, record %+v", txn.State(), txn.Record())
			}
			return Continue
		})
		wantStatus(t, r.ask(get), 200)
		if rec := r.wantRecord(Completed, 200); rec.Route != "main" || rec.Group != "default" || !ran {
			t.Errorf("record %+v", rec)
		}
	})
}
