package accesslog

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m)) }

// sink is an output that keeps what it is given, call by call, and can be told
// to misbehave.
type sink struct {
	mu     sync.Mutex
	bytes  bytes.Buffer
	writes int
	// take, if not nil, decides how many bytes of a call are taken.
	take func(n int) (int, error)
	// hold, if not nil, makes each call wait until it is closed.
	hold    chan struct{}
	entered chan struct{} // one signal per call, where there is room
}

func (s *sink) Write(p []byte) (int, error) {
	if s.entered != nil {
		signal(s.entered)
	}
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	n, err := len(p), error(nil)
	if s.take != nil {
		n, err = s.take(len(p))
	}
	s.bytes.Write(p[:n])
	return n, err
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes.String()
}

func open(t testing.TB, cfg Config) *Log {
	t.Helper()
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	return l
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func sampleSession() *pitag.Session {
	return &pitag.Session{
		Identity: pitag.Identity{Tag: pitag.TagH2, ID: 17},
		Client:   netip.MustParseAddrPort("203.0.113.9:50123"),
		Local:    netip.MustParseAddrPort("192.0.2.1:443"),
		Listener: "public",
		TLS: &tls.ConnectionState{
			Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256,
			NegotiatedProtocol: "h2", ServerName: "www.example.org",
		},
		Start: time.Date(2026, 3, 4, 5, 6, 7, 8_000, time.UTC),
	}
}

func sampleRecord(s *pitag.Session) *httpsm.Record {
	start := time.Date(2026, 3, 4, 5, 6, 7, 123_456_789, time.UTC)
	return &httpsm.Record{
		Session: s, Stream: 5, Txn: 3,
		Method: "GET", Host: "www.example.org", Path: "/articles/42?page=2", Proto: "HTTP/2.0",
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		RequestID: "01J8Z3", Status: 200, Outcome: "completed", BytesIn: 0, BytesOut: 5120,
		Start: start, FirstByte: start.Add(1500 * time.Microsecond), End: start.Add(2345678 * time.Nanosecond),
		Route: "articles", Group: "default", Origin: "10.0.0.7:8080", OriginConn: 11, OriginReused: true,
		OriginStatus: 200,
	}
}

func sampleClosed(s *pitag.Session) *pitag.SessionRecord {
	return &pitag.SessionRecord{
		Session: s, End: s.Start.Add(90*time.Second + 1234567*time.Nanosecond),
		Streams: 42, StreamsRefused: 1, StreamsPeak: 9, ResetsIn: 2, ResetsOut: 1,
		BytesIn: 4096, BytesOut: 1 << 20, GoAway: "NO_ERROR", Cause: pitag.CauseIdleTimeout,
	}
}

// calls returns the number of write calls.
func (s *sink) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}
