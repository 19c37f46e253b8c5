package httpsm

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/vconn"
)

// remember has r note the transaction that begins next.
func (r *inlineRig) remember() (last func() *Txn) {
	var txn *Txn
	begin := r.m.begin
	r.m.begin = func(t *Txn) origin.Awaitable {
		txn = t
		return begin(t)
	}
	return func() *Txn { return txn }
}

func TestATransactionThatWaitsHasNoDesk(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newInlineRig(t, nil)
		txn := r.remember()
		c := r.request(get)
		if txn().desk != nil {
			t.Error("it waits for its origin, and has a desk")
		}
		r.a.answer(okResponse, nil)
		wantStatus(t, r.all(c), 200)
		if txn().desk != nil {
			t.Error("it has ended, and has a desk")
		}
		c.Close()
		r.wantRecord(Completed, 200)
	})
}

// A hook that is registered while a transaction waits sees its request.
func TestWhatHooksMayAskForIsKept(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hooks := new(Hooks)
		r := newInlineRig(t, func(c *Config) { c.Hooks = hooks })
		c := r.request(get)
		seen := ""
		hooks.On(ReadResponseHead, func(t *Txn) Verdict {
			seen = t.Request().Method()
			return Continue
		})
		r.a.answer(okResponse, nil)
		r.wantCrew(1)
		wantStatus(t, r.all(c), 200)
		c.Close()
		r.wantRecord(Completed, 200)
		if seen != "GET" {
			t.Errorf("the hook saw the method %q", seen)
		}
	})
}

// The request head is gone when an answer of our own replaces the origin's: that
// it was a HEAD is not.
func TestAnAnswerOfOursToHEADHasNoBody(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newInlineRig(t, nil)
		c := r.request("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
		r.a.answer("nonsense\r\n\r\n", nil)
		r.wantCrew(1)
		answer := r.all(c)
		wantStatus(t, answer, 502)
		if !strings.HasSuffix(answer, "\r\n\r\n") {
			t.Errorf("answer %q has a body", answer)
		}
		c.Close()
		r.wantRecord(HTTPProtocolError, 502)
	})
}

// One on a goroutine of its crew has none either, as long as no byte has come.
func TestATransactionThatUploadsHasNoDesk(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newInlineRig(t, nil)
		txn := r.remember()
		c := r.request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", func(o *vconn.Options) { o.Ended = false })
		r.wantCrew(1)
		if txn().desk != nil {
			t.Error("it waits for its origin, and has a desk")
		}
		c.Write([]byte("abc"))
		c.CloseWrite()
		synctest.Wait()
		r.a.answer(okResponse, nil)
		synctest.Wait()
		wantStatus(t, r.all(c), 200)
		c.Close()
		r.wantRecord(Completed, 200)
	})
}
