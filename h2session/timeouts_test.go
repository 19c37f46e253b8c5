package h2session

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// elapsed checks how long something took, to the second.
func elapsed(t *testing.T, since time.Time, want time.Duration) {
	t.Helper()
	if d := time.Since(since).Truncate(time.Second); d != want {
		t.Errorf("it took %v, want %v", d, want)
	}
}

func TestPrefaceTimeout(t *testing.T) {
	for name, sent := range map[string]string{"nothing": "", "half": http2.ClientPreface[:9], "no SETTINGS": http2.ClientPreface} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				began := time.Now()
				cl := start(t, Config{Preface: 3 * time.Second}, nil)
				cl.Write([]byte(sent))
				cl.WantSettings()
				cl.WantGoAway(codeNo)
				elapsed(t, began, 3*time.Second)
				cl.WantClosed()
				cl.wantCause(pitag.CausePrefaceTimeout)
			})
		})
	}
}

func TestHeadTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{RequestHeadTimeout: 3 * time.Second}, nil)
		cl.Handshake()
		block := cl.Block(testkit.Request("GET", "/")...)
		cl.Raw(http2.FrameHeaders, http2.FlagHeadersEndStream, 1, block[:3])
		time.Sleep(2 * time.Second)
		cl.Raw(http2.FrameContinuation, http2.FlagContinuationEndHeaders, 1, block[3:]) // in time
		cl.WantStatus(1, "200")
		cl.WantBody(1)
		time.Sleep(5 * time.Second)
		cl.WantIdle()
		began := time.Now()
		cl.Raw(http2.FrameHeaders, http2.FlagHeadersEndStream, 3, nil)
		for range 2 { // a little at a time does not help
			time.Sleep(time.Second)
			cl.Raw(http2.FrameContinuation, 0, 3, nil)
		}
		cl.WantGoAway(codeNo)
		elapsed(t, began, 3*time.Second)
		cl.WantClosed()
		cl.wantCause(pitag.CauseHeadTimeout)
	})
}

func TestIdleTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{SessionIdle: 20 * time.Second}, waitOr(hello))
		cl.Handshake()
		time.Sleep(15 * time.Second)
		cl.Get(1, "/")
		cl.WantStatus(1, "200")
		cl.WantBody(1)
		time.Sleep(15 * time.Second)
		cl.Get(3, "/wait") // not idle for as long as it is open
		cl.WantIdle()
		time.Sleep(60 * time.Second)
		cl.WantIdle()
		cl.Reset(3, codeCancel)
		cl.WantIdle()
		began := time.Now()
		time.Sleep(15 * time.Second)
		cl.WantGoAway(codeNo)
		elapsed(t, began, 20*time.Second)
		cl.PingAck(cl.WantPing(false))
		cl.WantGoAway(codeNo)
		cl.WantClosed()
		cl.wantCause(pitag.CauseIdleTimeout)
	})
}

func TestAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		began := time.Now()
		cl := start(t, Config{SessionAge: 100 * time.Second, SessionIdle: -1}, nil)
		cl.Handshake()
		time.Sleep(90*time.Second - time.Millisecond)
		cl.WantIdle()
		time.Sleep(20*time.Second + time.Millisecond)
		cl.WantGoAway(codeNo)
		cl.WantPing(false)
		cl.WantGoAway(codeNo)
		cl.WantClosed()
		if d := time.Since(began); d < 90*time.Second {
			t.Errorf("it took %v", d)
		}
		cl.wantCause(pitag.CauseMaxAge)
	})
}

// A stream whose window stays shut is given up; the session is not.
func TestStreamStall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{WriteStall: 5 * time.Second}, send(10))
		cl.Handshake(window(1))
		cl.Get(1, "/")
		cl.WantHeaders(1, false)
		cl.WantData(1, false)
		time.Sleep(4 * time.Second)
		cl.Window(1, 1) // progress
		cl.WantData(1, false)
		began := time.Now()
		cl.WantReset(1, codeCancel)
		elapsed(t, began, 5*time.Second)
		cl.Window(0, 1)
		cl.Settings(window(100))
		cl.WantSettingsAck()
		cl.Get(3, "/")
		cl.WantHeaders(3, false)
		cl.WantBody(3)
		cl.end()
	})
}

func TestSessionWindowStall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{WriteStall: 5 * time.Second}, send(70_000))
		cl.Handshake(window(1 << 20))
		cl.Get(1, "/")
		cl.WantHeaders(1, false)
		for got := 0; got < 65535; {
			got += len(cl.WantData(1, false))
		}
		began := time.Now()
		cl.WantGoAway(codeNo)
		elapsed(t, began, 5*time.Second)
		cl.WantClosed()
		cl.wantCause(pitag.CauseWriteStall)
	})
}

// A client that reads nothing from its socket is cut off.
func TestSocketStall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := testkit.PipeSize(8 << 10)
		srv := &Server{
			Config: Config{WriteStall: 5 * time.Second},
			Connector: vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) {
				go (&bench{t: t}).transaction(c, send(60_000))
			})),
		}
		done := make(chan *pitag.SessionRecord, 1)
		sess := &pitag.Session{Identity: testIdentity}
		go func() { done <- srv.ServeSession(t.Context(), server, sess) }()
		began := time.Now()
		client.Write([]byte(http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
		var hpackGet = "\x82\x84\x87\x41\x01a"
		client.Write([]byte("\x00\x00\x06\x01\x05\x00\x00\x00\x01" + hpackGet))
		r := <-done
		elapsed(t, began, 5*time.Second)
		if r.Cause != pitag.CauseWriteStall || r.Streams != 1 {
			t.Errorf("record %+v", r)
		}
		if d := srv.Stats().Stalled["socket"]; d != 5*time.Second {
			t.Errorf("stalled for %v", d)
		}
		client.Close()
	})
}

// Off is off.
func TestTimeoutsOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{Preface: -1, RequestHeadTimeout: -1, WriteStall: -1, SessionIdle: -1, SessionAge: -1}, send(10))
		cl.WantSettings()
		time.Sleep(24 * time.Hour)
		cl.WantIdle()
		cl.Write([]byte(http2.ClientPreface))
		cl.Settings(window(1))
		cl.WantSettingsAck()
		time.Sleep(24 * time.Hour)
		block := cl.Block(testkit.Request("GET", "/")...)
		cl.Raw(http2.FrameHeaders, http2.FlagHeadersEndStream, 1, block[:3])
		time.Sleep(24 * time.Hour)
		cl.Raw(http2.FrameContinuation, http2.FlagContinuationEndHeaders, 1, block[3:])
		cl.WantHeaders(1, false)
		cl.WantData(1, false)
		time.Sleep(24 * time.Hour)
		cl.WantIdle()
		cl.Window(1, 9)
		cl.WantData(1, true)
		cl.end()
	})
}

// A slow but honest client is left alone.
func TestSlowReaderIsServed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{WriteStall: 5 * time.Second, SessionIdle: 5 * time.Second}, send(100))
		cl.Handshake(window(0))
		cl.Get(1, "/")
		cl.WantHeaders(1, false)
		for i := range 100 {
			time.Sleep(4 * time.Second)
			cl.Window(1, 1)
			cl.WantData(1, i == 99)
		}
		cl.end()
	})
}

// Deadlines are looked at by one timer: it must not miss one that is due earlier
// than the one it was set for.
func TestEarlierDeadlineMovesTheTimer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{SessionIdle: time.Hour, WriteStall: 2 * time.Second}, func(_ *http.Request, c *vconn.Conn) {
			respond(c, 200, strings.Repeat("x", 10))
		})
		cl.Handshake(window(1))
		time.Sleep(10 * time.Minute)
		cl.Get(1, "/")
		cl.WantHeaders(1, false)
		cl.WantData(1, false)
		began := time.Now()
		cl.WantReset(1, codeCancel)
		elapsed(t, began, 2*time.Second)
		synctest.Wait()
		cl.end()
	})
}

// A preface that takes nearly all the time it has is taken.
func TestASlowPrefaceIsTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cl := start(t, Config{}, nil)
		cl.WantSettings()
		for i := range http2.ClientPreface {
			time.Sleep(400 * time.Millisecond)
			cl.Write([]byte(http2.ClientPreface[i : i+1]))
		}
		cl.Settings()
		cl.WantSettingsAck()
		cl.Get(1, "/")
		cl.WantStatus(1, "200")
		cl.WantBody(1)
		cl.end()
	})
}
