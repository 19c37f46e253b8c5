package httpsm

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
)

// A client and an origin that take nearly all the time they have, at every step,
// with the defaults: nothing is cut, and the connection goes on.
func TestNearlyTooSlowIsNotTooSlow(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		const short = 100 * time.Millisecond // of each bound
		o := testkit.NewOrigin(t, func(c *testkit.OriginConn) {
			for {
				if _, ok := c.ReadRequest(); !ok {
					return
				}
				c.Wait(60*time.Second - short) // timeouts.response_head
				c.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
				for range 2 {
					c.Wait(60*time.Second - short) // timeouts.response_body_idle
					c.Send("x")
				}
			}
		})
		g, err := origin.NewGroup(origin.Config{
			Endpoints: []origin.EndpointConfig{{Addr: o.Addr()}},
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				time.Sleep(5*time.Second - short) // timeouts.connect
				return o.Dial(ctx, network, addr)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		r := newRig(t, func(c *Config) { c.Origins = g })
		c := r.dial()
		time.Sleep(10*time.Second - short) // timeouts.preface
		for i := range 3 {
			text := fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 14400\r\n\r\n", i)
			for at := range 10 { // timeouts.request_head, from the first byte to the last
				c.send(text[len(text)*at/10 : len(text)*(at+1)/10])
				if at < 9 {
					time.Sleep((10*time.Second - short) / 9)
				}
			}
			for range 2 {
				time.Sleep(30*time.Second - short) // timeouts.request_body_idle, at limits.request_body_rate
				c.send(string(make([]byte, 7200)))
			}
			c.want(200, "xx")
			time.Sleep(120*time.Second - short) // timeouts.session_idle
		}
		c.Close()
		if rec := c.wantEnd(pitag.CauseClientClosed); rec.Streams != 3 {
			t.Errorf("%d requests, want 3", rec.Streams)
		}
		for _, rec := range r.records {
			if rec.Outcome != Completed || rec.Retries != 0 {
				t.Errorf("%+v", rec)
			}
		}
	})
}
