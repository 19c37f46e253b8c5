package httpsm

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// An awaited is an exchange of which the test says what becomes of it, on the
// goroutine of the test: what Resume leads to has happened when answer returns.
type awaited struct {
	takes   int  // what TryWrite takes in all; < 0: everything
	refuses bool // Await returns false

	mu       sync.Mutex
	cond     sync.Cond
	sent     []byte
	in       []byte
	seen     int   // of in, by who reads: more is seen by Fill, or with Resume
	err      error // after in
	resumer  origin.Resumer
	deadline time.Time
	timer    *time.Timer
	released []bool
	conn     net.Conn
}

func newAwaited() *awaited {
	a := &awaited{takes: -1}
	a.cond.L = &a.mu
	return a
}

// answer lets the origin send s, and end with err if there is one.
func (a *awaited) answer(s string, err error) {
	a.mu.Lock()
	a.in = append(a.in, s...)
	if a.err == nil {
		a.err = err
	}
	a.tell()
}

// tell releases mu.
func (a *awaited) tell() {
	r := a.resumer
	a.resumer = nil
	if r != nil {
		a.seen = len(a.in)
	}
	a.cond.Broadcast()
	a.mu.Unlock()
	if r != nil {
		r.Resume(nil)
	}
}

func (a *awaited) Await(r origin.Resumer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuses {
		return false
	}
	a.resumer = r
	if a.err != nil || len(a.in) > 0 {
		a.resumer, a.seen = nil, len(a.in)
		go r.Resume(nil)
	}
	return true
}

func (a *awaited) TryWrite(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return 0, a.err
	}
	if a.takes >= 0 {
		p = p[:min(len(p), a.takes)]
		a.takes -= len(p)
	}
	a.sent = append(a.sent, p...)
	return len(p), nil
}

func (a *awaited) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = append(a.sent, p...)
	return len(p), nil
}

func (a *awaited) Buffered() []byte { a.mu.Lock(); defer a.mu.Unlock(); return a.in[:a.seen] }

func (a *awaited) Discard(n int) { a.mu.Lock(); defer a.mu.Unlock(); a.in, a.seen = a.in[n:], a.seen-n }

func (a *awaited) Fill() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ; len(a.in) == a.seen; a.cond.Wait() {
		switch {
		case a.err != nil:
			return a.err
		case !a.deadline.IsZero() && !time.Now().Before(a.deadline):
			return os.ErrDeadlineExceeded
		}
	}
	a.seen = len(a.in)
	return nil
}

func (a *awaited) SetReadDeadline(t time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
	}
	a.deadline = t
	if !t.IsZero() {
		a.timer = time.AfterFunc(time.Until(t), func() { a.mu.Lock(); a.tell() })
	}
	return nil
}

func (a *awaited) SetWriteDeadline(time.Time) error { return nil }

func (a *awaited) Abort() {
	a.mu.Lock()
	if a.err == nil {
		a.err = origin.ErrAborted
	}
	r := a.resumer
	a.resumer = nil
	a.cond.Broadcast()
	a.mu.Unlock()
	if r != nil {
		go r.Resume(nil) // a goroutine of the connection
	}
}

func (a *awaited) Release(reusable bool) {
	a.SetReadDeadline(time.Time{})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.released = append(a.released, reusable)
}

func (a *awaited) Info() origin.Info { return origin.Info{ConnID: 7, Reused: true} }

func (a *awaited) NetConn() net.Conn { return a.conn }

// An inlineRig is a rig whose transactions get an awaited exchange first.
type inlineRig struct {
	*rig
	a    *awaited
	crew int // transactions that were handed to the crew; guarded by mu
}

// newInlineRig returns a rig; further exchanges lead to its origin.
func newInlineRig(t *testing.T, change func(*Config)) *inlineRig {
	r := &inlineRig{rig: newRig(t, change), a: newAwaited()}
	a := r.a
	r.m.begin = func(t *Txn) origin.Awaitable {
		r.mu.Lock()
		defer r.mu.Unlock()
		if a == nil || !t.inline {
			return nil
		}
		first := a
		a = nil
		return first
	}
	r.m.pool.New = func() any {
		t := r.m.newTxn()
		run := t.run
		t.run = func() {
			r.mu.Lock()
			r.crew++
			r.mu.Unlock()
			run()
		}
		return t
	}
	return r
}

// request opens a virtual connection that has the request in it.
func (r *inlineRig) request(head string, more ...func(*vconn.Options)) *vconn.Conn {
	r.t.Helper()
	s := r.session()
	o := vconn.Options{Identity: s.Identity, Stream: 1, Txn: 1, Head: []byte(head), Ended: true}
	for _, f := range more {
		f(&o)
	}
	if o.Session != nil {
		s = o.Session
	}
	c, err := vconn.NewConnector(r.m).For(s).Open(o)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *inlineRig) sessionWith(f func(*pitag.Session)) func(*vconn.Options) {
	return func(o *vconn.Options) {
		o.Session = r.session()
		f(o.Session)
	}
}

// wantCrew checks how often the crew was needed.
func (r *inlineRig) wantCrew(n int) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.crew != n {
		r.t.Errorf("handed to the crew %d times, want %d", r.crew, n)
	}
}

// wantReleased checks that the exchange was released once, and how.
func (r *inlineRig) wantReleased(reusable bool) {
	r.t.Helper()
	r.a.mu.Lock()
	defer r.a.mu.Unlock()
	if len(r.a.released) != 1 || r.a.released[0] != reusable {
		r.t.Errorf("released %v, want once with %t", r.a.released, reusable)
	}
}

// all takes what is there of the response, to its end, which must have come.
func (r *inlineRig) all(c *vconn.Conn) string {
	r.t.Helper()
	var all bytes.Buffer
	for {
		b, err := c.Peek()
		if err != nil {
			if err != io.EOF {
				all.WriteString("\n!" + err.Error())
			}
			return all.String()
		}
		if len(b) == 0 {
			r.t.Fatalf("after %q there is no end yet", all.String())
		}
		all.Write(b)
		c.Discard(len(b))
	}
}
