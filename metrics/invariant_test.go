package metrics

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// Many connections come and go at once; when they are gone the sums agree.
func TestOpenedLessClosedIsActiveAndStreamsAddUp(t *testing.T) {
	m, reg := setup(t)
	outcomes, tags := httpsm.Outcomes(), []string{"h2", "h2c", "http/1.1", ""}
	const conns, open = 200, 7
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		lines   int // access lines, as the log would have them
		unended int // those of connections still open
	)
	for i := range conns {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(i)))
			s := session(tags[i%len(tags)], uint64(i+1))
			m.SessionOpened(s)
			n := rnd.IntN(50)
			for range n {
				if rnd.IntN(10) == 0 {
					m.Refused(&h2session.Refusal{Session: s, Outcome: "gateway_draining"})
				} else {
					m.Record(record(s, "GET", 200+rnd.IntN(300), outcomes[rnd.IntN(len(outcomes))]))
				}
			}
			if i >= open {
				m.SessionClosed(closed(s, uint64(n), pitag.CauseClientClosed))
			}
			mu.Lock()
			defer mu.Unlock()
			lines += n
			if i < open {
				unended += n
			}
		})
	}
	wg.Wait()
	got := gather(t, reg)
	sum := func(name string) int { return int(total(got[name])) }
	for _, c := range []struct {
		what      string
		have, see int
	}{
		{"connections", conns, sum("h2gw_connections_total")},
		{"closed", conns - open, sum("h2gw_connections_closed_total")},
		{"active", open, sum("h2gw_connections_active")},
		{"streams", lines, sum("h2gw_streams_total")},
		{"requests", lines, sum("h2gw_requests_total")},
		{"outcomes", lines, sum("h2gw_outcomes_total")},
		{"streams of closed connections", lines - unended, sum("h2gw_connection_streams")},
	} {
		if c.have != c.see {
			t.Errorf("%s: %d, want %d", c.what, c.see, c.have)
		}
	}
}

// Whatever comes in, the number of series has a bound, and nothing panics.
func TestNoInputMakesSeriesWithoutEnd(t *testing.T) {
	m, reg := setup(t)
	const n = 2000
	m.SetSources(Sources{
		H2: []H2Source{{Tag: "h9", Stats: func() h2session.Stats {
			st := h2session.Stats{
				FramesIn: map[string]uint64{}, ResetsIn: map[string]uint64{},
				GoAways: map[h2session.GoAway]uint64{}, Stalled: map[string]time.Duration{},
			}
			for i := range n {
				name := fmt.Sprintf("X%d\xff", i)
				st.FramesIn[name], st.ResetsIn[name], st.Stalled[name] = 1, 1, 1
				st.GoAways[h2session.GoAway{Direction: name, Code: name, Cause: name}] = 1
			}
			return st
		}}},
		VConns: func() (all []vconn.TagStats) {
			for i := range n {
				all = append(all, vconn.TagStats{Tag: fmt.Sprintf("\xfe%d", i), Opened: 1})
			}
			return all
		},
		HTTP: func() httpsm.Stats {
			st := httpsm.Stats{Retries: map[httpsm.Retry]uint64{}}
			for i := range n {
				st.Retries[httpsm.Retry{Reason: fmt.Sprint(i)}] = 1
			}
			return st
		},
	})
	for i := range n {
		name := fmt.Sprintf("n%d\xff\"\n", i)
		s := session(name, uint64(i))
		s.Listener = name
		m.SessionOpened(s)
		r := record(s, name, i*7-5000, httpsm.Outcome(name))
		r.Group = name
		m.Record(r)
		m.TLSHandshake(uint16(i), false, name)
		m.SessionClosed(closed(s, 1, pitag.Cause(name)))
	}
	got := gather(t, reg)
	for name, bound := range map[string]int{
		"h2gw_connections_total": maxListeners + 1, "h2gw_connections_closed_total": maxCauses + 1,
		"h2gw_outcomes_total": 3*17 + maxOutcomes + 1, "h2gw_origin_requests_total": (maxOrigins + 1) * numCodes,
		"h2gw_requests_total": numCodes, "h2gw_tls_handshakes_total": 6 * (maxResults + 1),
		"h2gw_h2_frames_total": 1, "h2gw_h2_rst_stream_total": 1, "h2gw_h2_goaway_total": maxCauses + 1,
		"h2gw_stall_seconds_total": maxResults + 1, "h2gw_vconn_open": maxResults + 1, "h2gw_origin_retries_total": maxResults + 1,
		"h2gw_streams_total": 4,
	} {
		if series := len(got[name].GetMetric()); series > bound || series == 0 {
			t.Errorf("%s has %d series, want 1 to %d", name, series, bound)
		}
	}
	// Bounded, and still every one is counted.
	if c, d := total(got["h2gw_connections_total"]), total(got["h2gw_outcomes_total"]); c != n || d != n {
		t.Errorf("%v connections and %v outcomes, want %d", c, d, n)
	}
	if a := total(got["h2gw_connections_active"]); a != 0 {
		t.Errorf("%v connections active, want 0", a)
	}
}

func TestALearnedLabelDoesNotKeepTheCallersBytes(t *testing.T) {
	names := newNameSet(4) // a label and its key, twice
	long := make([]byte, 1000)
	if got := names.label(string(long)); len(got) > 128 {
		t.Errorf("label of %d bytes", len(got))
	}
	if got := names.label(""); got != absent {
		t.Errorf("nothing is %q, want %q", got, absent)
	}
	if a, b := names.label("x"), names.label("x"); a != b || a != other {
		t.Errorf("past the bound: %q, %q, want %q", a, b, other)
	}
}

func TestHandshakeResultsAreToldApart(t *testing.T) {
	for want, errs := range map[string][]error{
		HandshakeOK:      {nil},
		HandshakeTimeout: {os.ErrDeadlineExceeded, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}},
		HandshakeClosed:  {io.EOF, io.ErrUnexpectedEOF, net.ErrClosed},
		HandshakeNotTLS:  {tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}},
		HandshakeAlert:   {&net.OpError{Op: "remote error", Err: errors.New("tls: unknown certificate authority")}},
		HandshakeFailed:  {errors.New("tls: no cipher suite supported by both client and server")},
	} {
		for _, err := range errs {
			if err != nil {
				err = fmt.Errorf("from 203.0.113.9: %w", err)
			}
			if got := HandshakeResult(err); got != want {
				t.Errorf("%v is %q, want %q", err, got, want)
			}
		}
	}
}
