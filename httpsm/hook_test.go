package httpsm

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

func TestHooksRunByScopeAndInReverseForResponses(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var log []string
		say := func(what string) Hook {
			return func(t *Txn) Verdict {
				log = append(log, t.Point().String()+":"+what)
				return Continue
			}
		}
		r := newRig(t, func(c *Config) { c.Hooks = new(Hooks) })
		global, s := r.m.cfg.Hooks, r.session()
		session := SessionHooks(s)
		if session != SessionHooks(s) {
			t.Fatal("SessionHooks made two")
		}
		global.On(TxnStart, func(t *Txn) Verdict {
			for p := ReadRequestHead; p < numPoints; p++ {
				t.Hooks().On(p, say("txn"))
			}
			return Continue
		})
		for p := range numPoints {
			global.On(p, say("global1"))
			global.On(p, say("global2"))
			session.On(p, say("session"))
		}
		c, _ := vconn.NewConnector(r.m).Open(vconn.Options{Session: s, Identity: s.Identity})
		io.WriteString(c, get)
		wantStatus(t, r.readAll(c), 200)
		c.Close()
		r.wantRecord(Completed, 200)
		want := []string{"TxnStart:global1", "TxnStart:global2", "TxnStart:session"}
		for p := ReadRequestHead; p < numPoints; p++ {
			order := []string{"global1", "global2", "session", "txn"}
			if p >= ReadResponseHead {
				slices.Reverse(order)
			}
			for _, o := range order {
				want = append(want, p.String()+":"+o)
			}
		}
		if !slices.Equal(log, want) {
			t.Errorf("hooks ran\n%q\nwant\n%q", log, want)
		}
	})
}

func TestRegisteringAHookThatCouldNotRunIsAnError(t *testing.T) {
	h := new(Hooks)
	if h.On(TxnStart, nil) == nil || h.On(numPoints, func(*Txn) Verdict { return Continue }) == nil {
		t.Error("no error")
	}
	bubble(t, "late", func(t *testing.T) {
		hooks := new(Hooks)
		checked := false
		hooks.On(PostRoute, func(txn *Txn) Verdict {
			checked = true
			none := func(*Txn) Verdict { return Continue }
			if txn.Hooks().On(PreRoute, none) == nil || txn.Hooks().On(PostRoute, none) == nil {
				t.Error("a hook for a point that has begun was taken")
			}
			if err := txn.Hooks().On(OriginSelected, none); err != nil {
				t.Error(err)
			}
			return Continue
		})
		r := newRig(t, func(c *Config) { c.Hooks = hooks })
		wantStatus(t, r.ask(get), 200)
		if !checked {
			t.Error("the hook did not run")
		}
		wantStatus(t, r.ask(get), 200) // a pooled Txn forgets
	})
}

func TestVerdicts(t *testing.T) {
	for p := range numPoints {
		for _, tc := range []struct {
			name    string
			hook    Hook
			status  int
			outcome Outcome
		}{
			{"reply", func(t *Txn) Verdict {
				return t.Reply(418, []Field{{"X-Mine", "1"}, {"Connection", "x"}}, []byte("teapot"))
			}, 418, ProxyInternalResponse},
			{"reply without Reply", func(t *Txn) Verdict { return Reply }, 500, ProxyInternalError},
			{"reply with a bad field", func(t *Txn) Verdict { return t.Reply(200, []Field{{"a b", "1"}}, nil) }, 500, ProxyInternalError},
			{"reply with a bad status", func(t *Txn) Verdict { return t.Reply(100, nil, nil) }, 500, ProxyInternalError},
			{"abort", func(t *Txn) Verdict { return Abort }, 0, HTTPRequestDenied},
			{"panic", func(t *Txn) Verdict { panic("oh") }, 500, ProxyInternalError},
		} {
			bubble(t, p.String()+" "+tc.name, func(t *testing.T) {
				hooks, closed := new(Hooks), 0
				hooks.On(TxnClose, func(*Txn) Verdict { closed++; return Continue })
				hooks.On(p, tc.hook)
				r := newRig(t, func(c *Config) { c.Hooks = hooks })
				got := r.ask(get)
				if p == TxnClose { // too late to change anything
					wantStatus(t, got, 200)
					r.wantRecord(Completed, 200)
					if tc.name == "panic" && r.m.Stats().Panics != 1 {
						t.Error("the panic was not counted")
					}
					return
				}
				if tc.status == 0 {
					if !strings.Contains(got, "!") {
						t.Errorf("answer %q", got)
					}
				} else {
					wantStatus(t, got, tc.status)
				}
				if tc.status == 418 && (!strings.Contains(got, "\r\nX-Mine: 1\r\n") || !strings.HasSuffix(got, "\r\n\r\nteapot") || strings.Contains(got, "Connection")) {
					t.Errorf("answer %q", got)
				}
				r.wantRecord(tc.outcome, tc.status)
				if closed != 1 {
					t.Errorf("TxnClose ran %d times", closed)
				}
				if want := uint64(strings.Count(tc.name, "panic")); p != SendResponseHead && r.m.Stats().Panics != want {
					t.Errorf("%d panics counted", r.m.Stats().Panics)
				}
				// Only that transaction died.
				if p != TxnStart {
					return
				}
			})
		}
	}
}

func TestABlockingHookHoldsUpOnlyItsOwnTransactionAndNoBodyIsRead(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		release := make(chan struct{})
		hooks := new(Hooks)
		hooks.On(PreRoute, func(t *Txn) Verdict {
			if t.Request().Method() == "POST" {
				<-release
			}
			return Continue
		})
		r := newRig(t, func(c *Config) { c.Hooks = hooks })
		s := r.session() // all there from the start: who waits for a head takes what comes with it
		slow, err := vconn.NewConnector(r.m).For(s).Open(vconn.Options{
			Identity: s.Identity, Head: []byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantStatus(t, r.ask(get), 200)
		if room := slow.Room(); room != vconn.DefaultBound-5 {
			t.Errorf("of the body %d bytes were read", room-(vconn.DefaultBound-5))
		}
		close(release)
		wantStatus(t, r.readAll(slow), 200)
		slow.Close()
	})
}

func TestAHooksContextEndsWhenTheClientLeaves(t *testing.T) {
	for _, tcp := range []bool{false, true} {
		bubble(t, "", func(t *testing.T) {
			hooks := new(Hooks)
			var kept context.Context
			hooks.On(PostRoute, func(t *Txn) Verdict {
				kept = t.Context()
				<-kept.Done()
				return Continue
			})
			r := newRig(t, func(c *Config) { c.Hooks = hooks })
			if tcp {
				c := r.dial()
				c.send(get)
				synctest.Wait()
				c.Close()
				c.wantEnd(pitag.CauseClientReset)
			} else {
				c := r.open()
				io.WriteString(c, get)
				synctest.Wait()
				c.Reset(codeCancel)
			}
			r.wantRecord(ClientAbort, 499)
			if kept.Err() != context.Canceled {
				t.Errorf("context: %v", kept.Err())
			}
		})
	}
}

func TestHooksChangeHeadsButNotFraming(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hooks := new(Hooks)
		hooks.On(ReadRequestHead, func(t *Txn) Verdict {
			t.Request().SetTarget([]byte("/changed"))
			t.Request().Fields.Set("X-Request-Id", "r1")
			return Continue
		})
		hooks.On(SendRequestHead, func(t *Txn) Verdict {
			t.OriginRequest().Fields.Set("Content-Length", "999")
			t.OriginRequest().Fields.Add("Transfer-Encoding", "chunked")
			t.OriginRequest().Fields.Set("X-Request-Id", "r2")
			return Continue
		})
		hooks.On(SendResponseHead, func(t *Txn) Verdict {
			t.Response().SetStatus(201, "")
			t.Response().Fields.Set("Content-Length", "999")
			t.Response().Fields.Add("Transfer-Encoding", "chunked")
			return Continue
		})
		r := newRig(t, func(c *Config) { c.Hooks = hooks })
		got := r.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
		if !strings.HasPrefix(got, "HTTP/1.1 201 Created\r\n") || strings.Contains(got, ": 999") || strings.Contains(got, "chunked") || !strings.HasSuffix(got, "\r\n\r\nok") {
			t.Errorf("answer %q", got)
		}
		saw := r.o.Received()[0]
		if !strings.HasPrefix(saw, "POST /changed ") || strings.Contains(saw, ": 999") || strings.Contains(saw, "chunked") || !strings.HasSuffix(saw, "hi") {
			t.Errorf("the origin saw %q", saw)
		}
		if rec := r.wantRecord(Completed, 201); rec.RequestID != "r2" || rec.Path != "/" || rec.OriginStatus != 200 {
			t.Errorf("record %+v", rec)
		}
	})
}

// upper and bracket are transforms; bracket adds bytes at the end only.
var upper = TransformFunc(func(dst, src []byte, last bool) ([]byte, error) {
	return append(dst, bytes.ToUpper(src)...), nil
})
var bracket = TransformFunc(func(dst, src []byte, last bool) ([]byte, error) {
	dst = append(dst, src...)
	if last {
		dst = append(dst, ']')
	}
	return dst, nil
})

func TestTransforms(t *testing.T) {
	hooks := new(Hooks)
	hooks.On(ReadRequestHead, func(t *Txn) Verdict {
		t.RequestBody(upper)
		t.ResponseBody(upper)
		t.ResponseBody(bracket)
		return Continue
	})
	bubble(t, "bodies", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Hooks = hooks }, testkit.Serve(testkit.Reply("hello")))
		got := r.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
		if !strings.HasSuffix(got, "\r\n\r\n5\r\nHELLO\r\n1\r\n]\r\n0\r\n\r\n") || strings.Contains(got, "Content-Length") {
			t.Errorf("answer %q", got)
		}
		if saw := r.o.Received()[0]; !strings.HasSuffix(saw, "\r\n\r\n2\r\nHI\r\n0\r\n\r\n") || strings.Contains(saw, "Content-Length") {
			t.Errorf("the origin saw %q", saw)
		}
		rec := r.wantRecord(Completed, 200)
		if rec.BytesIn != 2 || rec.BytesOut != 6 {
			t.Errorf("bytes in %d out %d", rec.BytesIn, rec.BytesOut)
		}
	})
	bubble(t, "no bodies", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Hooks = hooks }, testkit.Serve("HTTP/1.1 204 No Content\r\n\r\n"))
		got := r.ask(get)
		if !strings.HasPrefix(got, "HTTP/1.1 204 ") || strings.Contains(got, "chunked") {
			t.Errorf("answer %q", got)
		}
	})
	bubble(t, "a failing one is a fault of ours", func(t *testing.T) {
		hooks := new(Hooks)
		hooks.On(ReadRequestHead, func(t *Txn) Verdict {
			t.ResponseBody(TransformFunc(func(dst, src []byte, last bool) ([]byte, error) { return nil, io.ErrUnexpectedEOF }))
			return Continue
		})
		r := newRig(t, func(c *Config) { c.Hooks = hooks })
		if got := r.ask(get); !strings.Contains(got, "!") {
			t.Errorf("answer %q looks complete", got)
		}
		if rec := r.wantRecord(ProxyInternalError, 0); rec.H2Error != "INTERNAL_ERROR" {
			t.Errorf("h2 error %q", rec.H2Error)
		}
	})
}

func TestAHookChoosesTheGroup(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		hooks := new(Hooks)
		r := newRig(t, func(c *Config) {
			c.Hooks = hooks
			c.Route = func(*Txn) (string, *origin.Group) { return "none", nil }
		})
		wantStatus(t, r.ask(get), 503)
		synctest.Wait() // the first record is there
		hooks.On(PreRoute, func(t *Txn) Verdict {
			t.SetRoute("mine", r.group)
			return Continue
		})
		wantStatus(t, r.ask(get), 200)
		synctest.Wait()
		if rec := r.records[1]; rec.Route != "mine" || rec.Group != "default" {
			t.Errorf("record %+v", rec)
		}
	})
}

func TestHistoryKeepsTheLastSteps(t *testing.T) {
	var h history
	for i := range 40 {
		h.add(StateExchange, evResponseHead, time.Duration(i)*time.Millisecond)
	}
	text := h.text()
	if !strings.HasPrefix(text, "(8 earlier) exchange+responseHead@8ms ") || !strings.HasSuffix(text, "exchange+responseHead@39ms") {
		t.Errorf("history %q", text)
	}
}

// A hook may take longer than every timeout of what follows it.
func TestTimeInHooksIsNobodysTimeout(t *testing.T) {
	for _, p := range []Point{TxnStart, PreRoute, OriginSelected, SendRequestHead, ReadResponseHead, SendResponseHead} {
		bubble(t, p.String(), func(t *testing.T) {
			hooks := new(Hooks)
			hooks.On(p, func(*Txn) Verdict { time.Sleep(time.Hour); return Continue })
			r := newRig(t, func(c *Config) { c.Hooks = hooks }, func(c *testkit.OriginConn) {
				c.ReadRequest()
				c.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
				c.Wait(time.Minute - 1)
				c.Send("k")
				c.ReadToEnd()
			})
			if got := r.ask(get); !strings.HasSuffix(got, "ok") {
				t.Errorf("answer %q", got)
			}
			r.wantRecord(Completed, 200)
		})
	}
}
