package httpsm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/httpsm/origin"
)

// When we have no file descriptor left, no other endpoint is tried, which would
// need one, too, and none is left out afterwards.
func TestAShortageOfOursIsSaidToBeOurs(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		bubble(t, errno.Error(), func(t *testing.T) {
			dials := 0
			r := newRigTo(t, func(c *origin.Config) {
				c.Endpoints = []origin.EndpointConfig{{Addr: "192.0.2.8:80"}, {Addr: "192.0.2.9:80"}}
				c.Dial = func(context.Context, string, string) (net.Conn, error) {
					dials++
					return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", errno)}
				}
			}, nil)
			const requests = 10
			for range requests {
				r.records = nil
				wantFinal(t, r.ask(get), 503, GatewayOverloaded)
				rec := r.wantRecord(GatewayOverloaded, 503)
				var te *TxnError
				if !errors.As(rec.Err, &te) || te.Source != SourceGateway || !errors.Is(rec.Err, errno) || rec.Retries != 0 {
					t.Errorf("%d retries, error %#v", rec.Retries, rec.Err)
				}
			}
			if dials != requests || r.retries(retryConnect) != 0 {
				t.Errorf("%d dials for %d requests, %d retries", dials, requests, r.retries(retryConnect))
			}
			for _, s := range r.group.Stats() {
				if !s.Healthy {
					t.Errorf("%s is said to be down", s.Endpoint)
				}
			}
		})
	}
}

// However many requests meet it, the log says it once a second, as an error, with
// what would be right.
func TestAShortageIsToldOnceASecond(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var log bytes.Buffer
		r := newRigTo(t, func(c *origin.Config) {
			c.Dial = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
			}
		}, func(c *Config) { c.Log = zerolog.New(&log).Level(zerolog.InfoLevel) })
		for range 25 { // 2.4 seconds of them
			r.ask(get)
			synctest.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		var untold []int
		for line := range strings.Lines(log.String()) {
			var l struct {
				Level, Error, Origin, Message string
				More                          int
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			if l.Level != "error" || l.Origin != r.o.Addr() || !strings.Contains(l.Error, "too many open files: raise ") || !strings.Contains(l.Message, "run out") {
				t.Errorf("%s", line)
			}
			untold = append(untold, l.More)
		}
		if len(untold) != 3 || untold[0] != 0 || untold[1] != 9 || untold[2] != 9 {
			t.Errorf("untold between lines: %v, want 0, 9, 9:\n%s", untold, &log)
		}
	})
}
