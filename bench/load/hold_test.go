package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// holder answers GET with more than a window of 0 lets through, and reads a
// POST to its end.
func holder(t *testing.T) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			_, _ = w.Write(make([]byte, 1<<20))
			return
		}
		_, _ = r.Body.Read(make([]byte, 1))
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// settles waits until the held streams are as wanted.
func settles(t *testing.T, held *Held, h Hold) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		err := held.Check(h)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestHeldStreamsStayOpen(t *testing.T) {
	addr := holder(t)
	for _, h := range []Hold{{Streams: 7, Path: "/", Post: true}, {Streams: 7, Path: "/"}} {
		held, err := NewClient(false).Hold(context.Background(), addr, h)
		if err != nil {
			t.Fatal(err)
		}
		settles(t, held, h)
		held.Close()
		if err := held.Check(h); err == nil {
			t.Error("closed, and still as wanted")
		}
	}
}

func TestAHeldStreamThatEndsIsNoticed(t *testing.T) {
	addr := server(t) // answers at once, with an empty body but for /small
	h := Hold{Streams: 2, Path: "/empty"}
	held, err := NewClient(false).Hold(context.Background(), addr, h)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for end := time.Now().Add(time.Minute); held.ended.Load() < 2 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if err := held.Check(h); err == nil || !strings.Contains(err.Error(), "2 have ended") {
		t.Errorf("got %v", err)
	}
}

func TestAPlainClientSpeaksHTTP2WithPriorKnowledge(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			_, _ = w.Write([]byte(strings.Repeat("x", 100)))
		}
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	conn, err := NewPlainClient().Open(context.Background(), s.Listener.Addr().String(), "/", 100)
	if err != nil {
		t.Fatal(err)
	}
	Abandon(conn)
}
