package httpsm

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// A request whose stream is reset before its head was read has a line all the
// same that says which request it was.
func TestWhatIsKnownOfARequestWhoseHeadIsNeverRead(t *testing.T) {
	known := vconn.Request{Method: "PUT", Host: "example.com", Path: "/a?b", UserAgent: "test"}
	open := func(r *rig) *vconn.Conn {
		s := r.session()
		c, err := vconn.NewConnector(r.m).For(s).Open(vconn.Options{Identity: s.Identity, Request: known})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	bubble(t, "reset first", func(t *testing.T) {
		r := newRig(t, nil)
		c := open(r)
		c.ResetFor(vconn.ReasonFault, codeProtocolError)
		rec := r.wantRecord(HTTPRequestError, 0)
		if rec.Method != "PUT" || rec.Host != "example.com" || rec.Path != "/a?b" || rec.UserAgent != "test" {
			t.Errorf("%+v", rec)
		}
	})
	bubble(t, "the head counts", func(t *testing.T) {
		r := newRig(t, nil)
		c := open(r)
		io.WriteString(c, get)
		c.CloseWrite()
		r.readAll(c)
		c.Close()
		if rec := r.wantRecord(Completed, 200); rec.Method != "GET" || rec.Path != "/a?b=c" {
			t.Errorf("%+v", rec)
		}
	})
}

// What is refused for its framing was read, and the line says what it was.
func TestARequestRefusedForItsFramingIsNamed(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil)
		r.ask("POST /x HTTP/1.1\r\nHost: example.com\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
		if rec := r.wantRecord(HTTPRequestError, 400); rec.Method != "POST" || rec.Host != "example.com" || rec.Path != "/x" {
			t.Errorf("%+v", rec)
		}
	})
}

// A connect that the client's leaving cancelled is the client's doing.
func TestACanceledConnectIsTheClients(t *testing.T) {
	for kind, want := range map[origin.Kind]eventKind{
		origin.KindCanceled: evClientGone, origin.KindRefused: evConnectRefused, origin.KindTimeout: evConnectTimeout,
		origin.KindTLS: evConnectTLS, origin.KindLimit: evConnectLimit, origin.KindResource: evConnectResource, origin.KindClosed: evNoOrigin,
		origin.KindDNS: evConnectFailed, origin.KindOther: evConnectFailed,
	} {
		if ev := connectFailed(&origin.Error{Kind: kind, Err: context.Canceled}); ev.kind != want {
			t.Errorf("%s is %s, want %s", kind, ev.kind, want)
		}
	}
	if a := decide(StateConnectOrigin, view{}, connectFailed(&origin.Error{Kind: origin.KindCanceled, Err: context.Canceled})); a.outcome != ClientAbort {
		t.Errorf("decided %+v", a)
	}
}

// The two ways to be counted while a request runs, and both end with it.
func TestRequestsOfHTTP1ConnectionsAreCountedExactly(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil, testkit.Silent)
		c, v := r.dial(), r.open()
		c.send(get)
		io.WriteString(v, get)
		synctest.Wait()
		if s := r.m.Stats(); s.Active != 2 || s.HTTP1Active != 1 {
			t.Errorf("%+v, want 2 active, 1 of them HTTP/1.1", s)
		}
		c.Close()
		v.Reset(codeCancel)
		time.Sleep(2 * watchAfter) // until an HTTP/1.1 client is watched
		synctest.Wait()
		if s := r.m.Stats(); s.Active != 0 || s.HTTP1Active != 0 {
			t.Errorf("%+v, want none", s)
		}
	})
}

// A tunnel that is between two reads when it is stopped does not wait for a
// client that sends nothing.
func TestAStoppedUploadDoesNotReadAgain(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil)
		txn := r.m.get()
		_, server := testkit.Pipe()
		txn.cl = &txn.own
		txn.own.open(server, nil)
		txn.up.stopping.Store(true) // and interrupt, whose deadline the next wait replaces
		start := time.Now()
		if ev := txn.readBody(); ev.kind != evRequestTimeout || !errors.Is(ev.err, errStopped) || time.Since(start) > 0 {
			t.Errorf("%s (%v) after %v", ev.kind, ev.err, time.Since(start))
		}
	})
}

// explosive panics whenever it is told something.
type explosive struct{ told int }

func (e *explosive) Readable(*vconn.Conn, vconn.Later)        { e.told++; panic("readable") }
func (e *explosive) Consumed(*vconn.Conn, int)                {}
func (e *explosive) PeerReset(*vconn.Conn, *vconn.ResetError) { e.told++; panic("reset") }
func (e *explosive) Closed(*vconn.Conn)                       { e.told++; panic("closed") }

// An observer of the other end that panics, on the goroutine of the transaction,
// costs that transaction, which is recorded and leaves nothing behind.
func TestAPanicOfAnObserverEndsOneTransaction(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil)
		s := r.session()
		e := new(explosive)
		c, err := vconn.NewConnector(r.m).For(s).Open(vconn.Options{Addr: netip.AddrPort{}, Identity: s.Identity, Observer: e})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, get)
		synctest.Wait()
		func() {
			defer func() { recover() }() // told on our own goroutine, too
			c.Close()
		}()
		r.wantRecord(ProxyInternalError, 0)
		if s := r.m.Stats(); s.Panics == 0 || s.Active != 0 || e.told == 0 {
			t.Errorf("%+v, told %d times", s, e.told)
		}
		wantStatus(t, r.ask(get), 200)
	})
}
