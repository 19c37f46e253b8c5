package accesslog

import (
	"crypto/tls"
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/pitag"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A golden case writes lines; its name says what a reader should see in them.
type goldenCase struct {
	name  string
	write func(*Log)
}

func goldenCases() []goldenCase {
	h1 := func() *pitag.Session {
		s := sampleSession()
		s.Identity = pitag.Identity{Tag: pitag.TagHTTP1, ID: 18}
		s.TLS.NegotiatedProtocol = "http/1.1"
		s.TLS.Version, s.TLS.CipherSuite = tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
		s.TLS.DidResume = true
		return s
	}
	h2c := func() *pitag.Session {
		s := sampleSession()
		s.Identity, s.TLS, s.Listener = pitag.Identity{Tag: pitag.TagH2C, ID: 9007199254740991}, nil, ""
		s.Client = netip.MustParseAddrPort("[2001:db8::1]:443")
		return s
	}
	record := func(s *pitag.Session, change func(*httpsm.Record)) func(*Log) {
		r := sampleRecord(s)
		if change != nil {
			change(r)
		}
		return func(l *Log) { l.Record(r) }
	}
	closed := func(s *pitag.Session, change func(*pitag.SessionRecord)) func(*Log) {
		r := sampleClosed(s)
		if change != nil {
			change(r)
		}
		return func(l *Log) { l.Session(r) }
	}
	return []goldenCase{
		{"HTTP/2, every field", record(sampleSession(), func(r *httpsm.Record) {
			r.H2Error, r.Retries, r.BytesIn = "CANCEL", 2, 77
		})},
		{"HTTP/2, usual", record(sampleSession(), nil)},
		{"HTTP/1.1: stream 0", record(h1(), func(r *httpsm.Record) { r.Stream, r.Proto = 0, "HTTP/1.1" })},
		{"h2c: no TLS, no listener name, the largest exact piid", record(h2c(), nil)},
		{"no identity: opened by Connect", record(&pitag.Session{}, nil)},
		{"no session at all", record(nil, nil)},
		{"the client left first", record(sampleSession(), func(r *httpsm.Record) {
			r.Status, r.Outcome, r.H2Error, r.FirstByte = 499, "client_abort", "CANCEL", time.Time{}
		})},
		{"no origin could be reached", record(sampleSession(), func(r *httpsm.Record) {
			r.Status, r.Outcome, r.Origin, r.OriginConn, r.OriginReused, r.OriginStatus = 502, "connection_refused", "", 0, false, 0
		})},
		{"a hook answered", record(sampleSession(), func(r *httpsm.Record) {
			r.Outcome, r.Origin, r.OriginConn, r.Route, r.RequestID, r.UserAgent = "proxy_internal_response", "", 0, "", "", ""
		})},
		{"a clock that went back", record(sampleSession(), func(r *httpsm.Record) {
			r.End, r.FirstByte = r.Start.Add(-time.Second), r.Start.Add(-time.Minute)
		})},
		{"hostile bytes", record(sampleSession(), func(r *httpsm.Record) {
			r.Path = "/\"}\n{\"event\":\"access\"}\\\x00\x1b[31m\x7f\u2028é"
			r.UserAgent, r.Host, r.Method = "\xff\xfe\" - - \r\n127.0.0.1", "a b", "GE\tT"
		})},
		{"refused with a status", func(l *Log) {
			l.Refused(&h2session.Refusal{
				Session: sampleSession(), Stream: 7, Txn: 4, Method: "GET", Host: "www.example.org", Path: "/",
				UserAgent: "curl/8", Status: 431, Outcome: "http_request_error", Reason: "too many fields",
				Time: time.Date(2026, 3, 4, 5, 6, 9, 0, time.UTC),
			})
		}},
		{"refused with a reset", func(l *Log) {
			l.Refused(&h2session.Refusal{
				Session: sampleSession(), Stream: 9, Txn: 5, H2Error: "REFUSED_STREAM", Outcome: "gateway_draining",
				Time: time.Date(2026, 3, 4, 5, 6, 9, 999_999_999, time.UTC),
			})
		}},
		{"session, HTTP/2", closed(sampleSession(), nil)},
		{"session, HTTP/1.1 resumed", closed(h1(), func(r *pitag.SessionRecord) {
			r.GoAway, r.Cause, r.StreamsPeak = "", pitag.CauseClientClosed, 1
		})},
		{"session, h2c", closed(h2c(), nil)},
		{"session, TLS handshake failed", closed(&pitag.Session{
			Identity: pitag.Identity{ID: 19}, Client: netip.MustParseAddrPort("203.0.113.9:50124"), Listener: "public",
			Start: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), TLS: &tls.ConnectionState{ServerName: "www.example.org"},
		}, func(r *pitag.SessionRecord) {
			*r = pitag.SessionRecord{Session: r.Session, End: r.End, Cause: pitag.CauseHandshakeFailed, BytesIn: 11}
		})},
	}
}

// The golden files are the promise to operators, line by line: look twice
// before running with -update.
func TestGoldenLines(t *testing.T) {
	for format, file := range map[Format]string{JSON: "testdata/lines.json.golden", Combined: "testdata/lines.combined.golden"} {
		var got strings.Builder
		for _, c := range goldenCases() {
			out := &sink{}
			l := open(t, Config{Output: out, Format: format})
			c.write(l)
			closeLog(t, l)
			if line := out.String(); line != "" {
				got.WriteString("# " + c.name + "\n" + line)
			}
		}
		if *update {
			if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wants, gots := strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")
		for i := range max(len(wants), len(gots)) {
			w, g := lineAt(wants, i), lineAt(gots, i)
			if w != g {
				t.Errorf("%s:%d\n got %s\nwant %s", file, i+1, g, w)
			}
		}
	}
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(no line)"
}
