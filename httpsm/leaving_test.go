package httpsm

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// A client's side that ends early has not always left: the other end says why,
// and the log says that, whether the origin was waited for or had answered.
func TestTheRecordSaysWhyTheClientsSideEnded(t *testing.T) {
	for _, tc := range []struct {
		why  vconn.Reason
		want Outcome
		none int // status when no head was taken
	}{
		{vconn.ReasonLeft, ClientAbort, 499},
		{vconn.ReasonFault, HTTPRequestError, 0},
		{vconn.ReasonSlow, ClientTimeout, 0},
		{vconn.ReasonShutdown, GatewayDraining, 0},
		{vconn.ReasonInternal, ProxyInternalError, 0},
	} {
		bubble(t, string(tc.want)+" while the origin is waited for", func(t *testing.T) {
			r := newRig(t, nil, testkit.Silent)
			c := r.open()
			io.WriteString(c, get)
			synctest.Wait()
			c.ResetFor(tc.why, codeCancel)
			r.wantRecord(tc.want, tc.none)
		})
		bubble(t, string(tc.want)+" before the response was taken", func(t *testing.T) {
			r := newRig(t, nil, testkit.Serve(testkit.Reply("hello")))
			c := r.open()
			io.WriteString(c, get)
			synctest.Wait()
			c.ResetFor(tc.why, codeCancel)
			if rec := r.wantRecord(tc.want, tc.none); rec.BytesOut != 0 {
				t.Errorf("%d bytes out, the client took none", rec.BytesOut)
			}
		})
		bubble(t, string(tc.want)+" in the middle of the body", func(t *testing.T) {
			r := newRig(t, nil, testkit.Serve(testkit.Reply(strings.Repeat("x", 1000))))
			c := r.open()
			io.WriteString(c, get)
			synctest.Wait()
			c.Discard(c.Buffered() - 400)
			c.ResetFor(tc.why, codeCancel)
			if rec := r.wantRecord(tc.want, 200); rec.BytesOut != 600 {
				t.Errorf("%d bytes out, the client took 600", rec.BytesOut)
			}
		})
	}
}

// What of a write was taken before it broke off counts as delivered.
func TestABrokenWriteCountsWhatWasTaken(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		const total = 1 << 20
		r := newRig(t, nil, testkit.Serve(testkit.Reply(strings.Repeat("x", total))))
		c := r.open()
		io.WriteString(c, get)
		synctest.Wait()
		head := 0
		for taken := 0; taken < 300_000; {
			b, err := c.Peek()
			if err != nil || len(b) == 0 {
				t.Fatalf("after %d bytes: %d, %v", taken, len(b), err)
			}
			if head == 0 {
				head = strings.Index(string(b), "\r\n\r\n") + 4
			}
			n := min(len(b), 300_000-taken)
			taken += n
			c.Discard(n)
			synctest.Wait()
		}
		c.Reset(codeCancel)
		if rec := r.wantRecord(ClientAbort, 200); rec.BytesOut != int64(300_000-head) {
			t.Errorf("%d bytes out, the client took %d", rec.BytesOut, 300_000-head)
		}
	})
}
