package h2session

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
)

var testIdentity = pitag.Identity{Tag: "h2", ID: 1}

// A drain tells the client to stop, serves what was on its way, names the last
// stream, finishes, and closes.
func TestDrainInTwoSteps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.Handshake()
		cl.Post(1, "/")
		cl.WantIdle()
		cl.srv.Drain()
		f := cl.WantGoAway(codeNo)
		if f.LastStream() != 1<<31-1 {
			t.Errorf("got %v", &f)
		}
		ping := cl.WantPing(false)
		cl.Get(3, "/") // was on its way
		cl.WantStatus(3, "200")
		cl.WantBody(3)
		cl.PingAck(ping)
		if f := cl.WantGoAway(codeNo); f.LastStream() != 3 {
			t.Errorf("got %v", &f)
		}
		cl.Get(5, "/") // ignores the GOAWAY
		cl.WantReset(5, codeRefusedStream)
		if r := cl.wantRefusal("gateway_draining"); r.H2Error != "REFUSED_STREAM" {
			t.Errorf("refusal %+v", r)
		}
		cl.Data(1, true, "abc")
		cl.WantStatus(1, "200")
		cl.WantBody(1)
		cl.WantClosed()
		r := cl.wantCause(pitag.CauseDrain)
		if r.Streams != 3 || r.GoAway != "NO_ERROR" {
			t.Errorf("record %+v", r)
		}
		if n := cl.srv.Stats().GoAways[GoAway{"out", "NO_ERROR", "drain"}]; n != 2 {
			t.Errorf("GOAWAYs %v", cl.srv.Stats().GoAways)
		}
	})
}

func TestDrainDoesNotWaitForPing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.Handshake()
		began := time.Now()
		cl.srv.Drain()
		cl.WantGoAway(codeNo)
		cl.WantPing(false)
		cl.WantGoAway(codeNo)
		if d := time.Since(began); d != drainWait {
			t.Errorf("the second GOAWAY came after %v", d)
		}
		cl.WantClosed()
		cl.wantCause(pitag.CauseDrain)
	})
}

// A session that begins while the server drains is told so at once.
func TestNewSessionWhileDraining(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.srv.Drain()
		cl.Write([]byte(http2.ClientPreface))
		cl.Settings()
		cl.Get(1, "/")
		cl.WantSettings()
		cl.WantGoAway(codeNo)
		ping := cl.WantPing(false)
		cl.WantSettingsAck()
		cl.WantStatus(1, "200") // one request of a new client is served
		cl.WantBody(1)
		cl.PingAck(ping)
		cl.WantGoAway(codeNo)
		cl.WantClosed()
		cl.wantCause(pitag.CauseDrain)
	})
}

func TestShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.Handshake()
		cl.Post(1, "/")
		cl.WantIdle()
		done := make(chan error, 1)
		go func() { done <- cl.srv.Shutdown(context.Background()) }()
		cl.WantGoAway(codeNo)
		cl.PingAck(cl.WantPing(false))
		cl.WantGoAway(codeNo)
		cl.Data(1, true, "")
		cl.WantStatus(1, "200")
		cl.WantBody(1)
		cl.WantClosed()
		cl.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := cl.srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Past its deadline, Shutdown ends what is left.
func TestShutdownAborts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, waitOr(hello))
		cl.Handshake()
		cl.Get(1, "/wait")
		cl.WantIdle()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if err := cl.srv.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Error(err)
		}
		if d := time.Since(began); d > 8*time.Second {
			t.Errorf("it took %v", d)
		}
		cl.wantCause(pitag.CauseDrain)
	})
}

// The end of the context aborts a session.
func TestContextEndsSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := testkit.Pipe()
		srv := &Server{Connector: start(t, Config{}, waitOr(hello)).srv.Connector}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- srv.ServeConn(ctx, server, testIdentity) }()
		cl := testkit.NewClient(t, client)
		cl.Handshake()
		cl.Get(1, "/wait")
		cl.WantIdle()
		cancel()
		cl.WantGoAway(codeNo)
		cl.WantClosed()
		<-done
	})
}

// The last frames arrive even when the client was in the middle of sending.
func TestLingerAfterError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.Handshake()
		cl.Data(1, false, "x") // idle
		for range 100 {
			cl.Data(1, false, "still sending")
		}
		synctest.Wait()
		cl.WantGoAway(codeProtocol)
		cl.WantClosed()
		cl.end()
	})
}

// Aborting does not wait for a client that takes nothing.
func TestAbortDoesNotWaitForTheClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := testkit.PipeSize(8 << 10)
		srv := &Server{Connector: start(t, Config{}, send(60_000)).srv.Connector}
		done := make(chan error, 1)
		go func() { done <- srv.ServeConn(t.Context(), server, testIdentity) }()
		client.Write([]byte(http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
		client.Write([]byte("\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x84\x87\x41\x01a"))
		synctest.Wait() // the response fills the pipe
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		began := time.Now()
		if err := srv.Shutdown(ctx); err != context.Canceled {
			t.Error(err)
		}
		<-done
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("it took %v", d)
		}
		client.Close()
	})
}

// A client may repeat its GOAWAY for ever; it is counted, not kept.
func TestManyGoAways(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, waitOr(hello))
		cl.Handshake()
		cl.Get(1, "/wait")
		for range 100 {
			cl.GoAway(codeNo)
			cl.GoAway(0x12345)
		}
		cl.WantIdle()
		s := cl.srv.open()[0]
		if n := len(s.m.count.goAways); n != 2 {
			t.Errorf("%d entries", n)
		}
		if n := cl.srv.Stats().GoAways[GoAway{"in", "UNKNOWN", "client"}]; n != 100 {
			t.Errorf("%d counted", n)
		}
		cl.end()
	})
}
