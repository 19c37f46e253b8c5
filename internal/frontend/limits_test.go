package frontend

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

func TestLimitOfAllConnections(t *testing.T) {
	f, h := listen(t, Config{MaxSessions: 2})
	first := dial(t, f, "plain")
	echo(t, first, "GET 1")
	h.next(t)
	c := dial(t, f, "plain")
	echo(t, c, "GET 2")
	h.next(t)
	wantRefused(t, f)
	if r := h.lastRefusal(t); r.reason != ReasonLimit || !strings.Contains(r.err.Error(), "limits.sessions)") {
		t.Errorf("got %s: %v", r.reason, r.err)
	}
	// One that leaves makes room for one.
	first.Close()
	waitOpen(t, f, 1)
	echo(t, dial(t, f, "plain"), "GET 3")
}

func TestLimitOfOneClientsConnections(t *testing.T) {
	f, h := listen(t, Config{MaxPerClient: 1})
	echo(t, dial(t, f, "plain"), "GET 1")
	h.next(t)
	wantRefused(t, f)
	if r := h.lastRefusal(t); r.reason != ReasonLimit || !strings.Contains(r.err.Error(), "127.0.0.1") {
		t.Errorf("got %s: %v", r.reason, r.err)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	other, err := d.Dial("tcp", f.Addr("plain").String())
	if err != nil {
		t.Skip("no second loopback address:", err)
	}
	defer other.Close()
	echo(t, other, "GET from another address")
}

func TestClientsAreToldApartByAddressOrIPv6Network(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		a, b := clientKey(netip.MustParseAddr(tc.a)), clientKey(netip.MustParseAddr(tc.b))
		if (a == b) != tc.same {
			t.Errorf("%s and %s: keys %v and %v, want same=%v", tc.a, tc.b, a, b, tc.same)
		}
	}
}

func TestASilentClientIsClosedAtTheTimeout(t *testing.T) {
	for _, tc := range []struct {
		name   string
		tls    *tls.Config
		send   string
		after  time.Duration
		reason Reason
	}{
		{"cleartext, no byte", nil, "", 3 * time.Second, ReasonPrefaceTimeout},
		{"cleartext, half a preface", nil, preface[:12], 3 * time.Second, ReasonPrefaceTimeout},
		{"TLS, no byte", TLSConfig(testCert), "", 2 * time.Second, ReasonHandshakeTimeout},
		{"TLS, half a record", TLSConfig(testCert), "\x16\x03\x01\x01\x00\x01", 2 * time.Second, ReasonHandshakeTimeout},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, h, ln := bubble(Config{Handshake: 2 * time.Second, Preface: 3 * time.Second}, tc.tls)
				client, server := net.Pipe()
				start := time.Now()
				ln.ch <- server
				io.WriteString(client, tc.send)
				go io.Copy(io.Discard, client)
				<-h.changed
				if r := h.refused[0]; r.reason != tc.reason || time.Since(start) != tc.after {
					t.Errorf("refused for %s (%v) after %v, want %s after %v", r.reason, r.err, time.Since(start), tc.reason, tc.after)
				}
				client.Close()
				f.Close()
				f.Wait(t.Context())
			})
		})
	}
}

// The preface timeout must not cut a connection that is being served.
func TestTheDeadlineIsGoneOnceServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, h, ln := bubble(Config{Preface: time.Second}, nil)
		client, server := net.Pipe()
		ln.ch <- server
		go io.WriteString(client, "GET")
		wantBytes(t, client, "GET")
		<-h.changed
		time.Sleep(time.Hour)
		go io.WriteString(client, "more")
		wantBytes(t, client, "more")
		client.Close()
		f.Close()
		f.Wait(t.Context())
	})
}

func TestAFailingAcceptIsRetriedWithPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []error
		f, h, ln := bubble(Config{OnAcceptError: func(_ string, err error) { told = append(told, err) }}, nil)
		start := time.Now()
		for range 10 {
			ln.ch <- errors.New("too many open files")
		}
		// 5, 10, 20, … 640 ms, then 1 s twice.
		synctest.Wait()
		client, server := net.Pipe()
		ln.ch <- server
		if got := time.Since(start); got != 1275*time.Millisecond+2*time.Second {
			t.Errorf("ten failures took %v", got)
		}
		if len(told) != 1 {
			t.Errorf("told of %d failures, want one call", len(told))
		}
		go io.WriteString(client, "GET")
		wantBytes(t, client, "GET")
		<-h.changed
		ln.ch <- errors.New("again")
		time.Sleep(tellEvery)
		if len(told) != 1 {
			t.Errorf("told too often: %v", told)
		}
		ln.ch <- errors.New("later")
		synctest.Wait()
		if len(told) != 2 {
			t.Errorf("a later failure was not told: %v", told)
		}
		client.Close()
		f.Close() // interrupts the pause
		f.Wait(t.Context())
	})
}

func TestCloseLetsConnectionsGoOnAndAbortEndsThem(t *testing.T) {
	for !closeAndAbort(t) {
		t.Log("the second that a handshake has was over before Abort: once more")
	}
}

// closeAndAbort is false when more time went by than Close leaves to a handshake.
func closeAndAbort(t *testing.T) (inTime bool) {
	f, h := listenAt(t, Config{}, testkit.ReservePort(t))
	served, quiet := dial(t, f, "plain"), dial(t, f, "tls")
	echo(t, served, "GET")
	h.next(t)
	waitOpen(t, f, 2)
	closed := time.Now()
	f.Close()
	if _, err := net.DialTimeout("tcp", f.Addr("plain").String(), time.Second); err == nil {
		t.Error("a closed frontend accepts")
	}
	echo(t, served, "still here")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait: %v while two connections are open", err)
	}
	f.Abort()
	wantClosed(t, served)
	wantClosed(t, quiet)
	if err := f.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	r := h.lastRefusal(t)
	if r.reason == ReasonHandshakeTimeout && time.Since(closed) >= closeGrace {
		return false
	}
	if r.reason != ReasonAborted {
		t.Errorf("the one in its handshake: %s: %v", r.reason, r.err)
	}
	return true
}

func TestCloseLeavesSilentConnectionsASecond(t *testing.T) {
	for _, conf := range []*tls.Config{nil, TLSConfig(testCert)} {
		synctest.Test(t, func(t *testing.T) {
			f, h, ln := bubble(Config{Handshake: time.Hour, Preface: time.Hour}, conf)
			client, server := net.Pipe()
			ln.ch <- server
			go io.Copy(io.Discard, client)
			synctest.Wait()
			start := time.Now()
			f.Close()
			<-h.changed
			if time.Since(start) != time.Second {
				t.Errorf("the silent connection was closed after %v", time.Since(start))
			}
			client.Close()
			f.Wait(t.Context())
		})
	}
}

// A slowConn thinks before it writes.
type slowConn struct {
	net.Conn
	pause time.Duration
}

func (c *slowConn) Write(p []byte) (int, error) {
	time.Sleep(c.pause)
	return c.Conn.Write(p)
}

// Slow is not silent: a handshake and a first line that take nearly all the time
// they have are served.
func TestASlowClientIsServedWithinTheTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, h, ln := bubble(Config{Handshake: 10 * time.Second}, TLSConfig(testCert))
		client, server := net.Pipe()
		ln.ch <- server
		cfg := clientTLS("h2")
		cfg.InsecureSkipVerify = true // the bubble's clock is not the certificate's
		c := tls.Client(&slowConn{client, 4900 * time.Millisecond}, cfg)
		start := time.Now()
		go c.Handshake() // two flights
		<-h.changed
		if len(h.served) != 1 || time.Since(start) < 9*time.Second {
			t.Errorf("served %d, refused %+v after %v", len(h.served), h.refused, time.Since(start))
		}
		client.Close()
		f.Close()
		f.Wait(t.Context())
	})
	synctest.Test(t, func(t *testing.T) {
		f, h, ln := bubble(Config{Preface: 10 * time.Second}, nil)
		client, server := net.Pipe()
		ln.ch <- server
		for i := range preface {
			time.Sleep(9 * time.Second / time.Duration(len(preface)))
			io.WriteString(client, preface[i:i+1])
			if len(h.changed) > 0 {
				break
			}
		}
		<-h.changed
		if len(h.served) != 1 || h.served[0].Protocol != ProtoH2C {
			t.Errorf("served %+v, refused %+v", h.served, h.refused)
		}
		client.Close()
		f.Close()
		f.Wait(t.Context())
	})
}
