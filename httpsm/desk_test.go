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

// A desk has been another transaction's before, perhaps of another client: hooks of
// one that never got that far see nothing of it.
func TestHooksSeeNoHeadsOfAnotherTransaction(t *testing.T) {
	for name, tc := range map[string]struct {
		verdict Hook
		points  []Point // where hooks look, but for the one that ends it
	}{
		"answered": {func(t *Txn) Verdict { return t.Reply(403, nil, nil) }, []Point{SendResponseHead, TxnClose}},
		"aborted":  {func(*Txn) Verdict { return Abort }, []Point{TxnClose}},
	} {
		bubble(t, name, func(t *testing.T) {
			hooks, looked := new(Hooks), 0
			hooks.On(TxnStart, func(txn *Txn) Verdict { // as if found so
				txn.oreq.SetMethod("PUT")
				txn.oreq.Fields.Add("X-Request-Id", "another's")
				txn.resp.SetStatus(299, "")
				txn.resp.Fields.Add("Set-Cookie", "another's")
				return Continue
			})
			hooks.On(PreRoute, tc.verdict)
			for _, p := range tc.points {
				hooks.On(p, func(txn *Txn) Verdict {
					looked++
					if h := txn.OriginRequest(); h.Method() != "" || h.Fields.Len() != 0 {
						t.Errorf("%s: the origin's request is a %s", p, h.Method())
					}
					if h := txn.Response(); h.Status() == 299 || h.Fields.Has("Set-Cookie") {
						t.Errorf("%s: the response is %d", p, h.Status())
					}
					return Continue
				})
			}
			r := newRig(t, func(c *Config) { c.Hooks = hooks })
			r.ask(get)
			synctest.Wait()
			if looked != len(tc.points) {
				t.Errorf("looked %d times, want %d", looked, len(tc.points))
			}
		})
	}
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
