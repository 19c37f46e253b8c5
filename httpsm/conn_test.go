package httpsm

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
)

// resettable is a connection in memory that knows what closing without
// lingering means on TCP.
type resettable struct{ *testkit.Conn }

func (c resettable) SetLinger(int) error { c.Reset(); return nil }

// On TLS a response whose end is the end of the connection must not get a
// close_notify when it was cut short: that would say it is whole.
func TestATruncatedResponseOverTLSHasNoCloseNotify(t *testing.T) {
	site := httptest.NewTLSServer(nil)
	defer site.Close()
	for name, tc := range map[string]struct {
		origin testkit.Script
		whole  bool
	}{
		"truncated": {broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n"), false},
		"whole":     {broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n"), true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil, tc.origin)
			client, server := testkit.Pipe()
			s := r.session()
			done := make(chan struct{})
			go func() {
				defer close(done)
				c := tls.Server(resettable{server}, &tls.Config{Certificates: site.TLS.Certificates})
				if err := c.Handshake(); err != nil {
					t.Error(err)
				}
				state := c.ConnectionState()
				s.TLS = &state
				r.m.ServeConn(t.Context(), c, s)
			}()
			c := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
			io.WriteString(c, "GET / HTTP/1.0\r\nHost: a\r\n\r\n")
			b, err := io.ReadAll(c)
			if (err == nil) != tc.whole || tc.whole && !strings.HasSuffix(string(b), "\r\n\r\nfour") {
				t.Errorf("got %q, %v", b, err)
			}
			client.Close()
			<-done
			if saw := r.o.Received()[0]; !strings.Contains(saw, "\r\nX-Forwarded-Proto: https\r\n") || !strings.Contains(saw, "\r\nVia: 1.0 h2gw-") {
				t.Errorf("the origin saw %q", saw)
			}
		})
	}
}

// Clients that pipeline, are watched, leave and stay: the streams of the
// sessions are the records, and answers come in order.
func TestManyConnections(t *testing.T) {
	o := testkit.ListenOrigin(t, func(c *testkit.OriginConn) {
		for {
			var q testkit.OriginRequest
			var ok bool
			if q.Head, ok = c.ReadHead(); !ok {
				return
			}
			if q.Field("Content-Length") != "0" {
				var err error // of a client that left; one that stays misses its answer
				if q.Body, err = c.TryUntil("\n"); err != nil {
					return
				}
			}
			if q.Field("X-Do") == "slow" {
				time.Sleep(watchAfter + 5*time.Millisecond)
			}
			c.Send(testkit.Reply(q.Target() + q.Body))
		}
	})
	g, err := origin.NewGroup(origin.Config{Endpoints: []origin.EndpointConfig{{Addr: o.Addr()}}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var records, streams atomic.Int64
	m := New(Config{Origins: g, OnRecord: func(*Record) { records.Add(1) }})
	ids := pitag.NewSequence(pitag.TagHTTP1)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(2, uint64(w)))
			for range 12 {
				client, server := testkit.Pipe()
				done := make(chan *pitag.SessionRecord)
				go func() {
					done <- m.ServeConn(t.Context(), server, &pitag.Session{Identity: ids.Next(), Start: time.Now()})
				}()
				if err := pipeline(client, rng); err != nil {
					t.Error(err)
				}
				client.Close()
				streams.Add(int64((<-done).Streams))
			}
		})
	}
	wg.Wait()
	if err := m.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if records.Load() != streams.Load() || records.Load() == 0 {
		t.Errorf("%d records, %d streams", records.Load(), streams.Load())
	}
}

// pipeline sends some requests at once and reads the answers, or only some.
func pipeline(client *testkit.Conn, rng *rand.Rand) error {
	n := 1 + rng.IntN(5)
	var out, want strings.Builder
	for i := range n {
		body, do := strings.Repeat("b", rng.IntN(2)*rng.IntN(5000)), []string{"slow", ""}[rng.IntN(2)]
		if body != "" {
			body += "\n"
		}
		fmt.Fprintf(&out, "PUT /%d HTTP/1.1\r\nHost: a\r\nX-Do: %s\r\nContent-Length: %d\r\n\r\n%s", i, do, len(body), body)
		fmt.Fprintf(&want, "/%d%s", i, body)
	}
	io.WriteString(client, out.String())
	if rng.IntN(4) == 0 { // leave at any moment
		time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
		return nil
	}
	var got strings.Builder
	buf := make([]byte, 64<<10)
	client.SetReadDeadline(time.Now().Add(time.Minute))
	for strings.Count(got.String(), "HTTP/1.1 200") < n || !strings.HasSuffix(got.String(), want.String()[strings.LastIndex(want.String(), "/"):]) {
		k, err := client.Read(buf)
		got.Write(buf[:k])
		if err != nil {
			return errors.Join(err, fmt.Errorf("after %q", got.String()))
		}
	}
	at := 0
	for i := range n {
		next := strings.Index(got.String()[at:], fmt.Sprintf("\r\n\r\n/%d", i))
		if next < 0 {
			return fmt.Errorf("answer %d is not in its place in %q", i, got.String())
		}
		at += next
	}
	return nil
}
