package accesslog

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/pitag"
)

// accessOrder and sessionOrder are the order the documentation lists the fields
// in, with event in front.
const (
	accessOrder = "event ts pitag piid stream txn listener client method host path status outcome bytes_in bytes_out " +
		"duration_ms ttfb_ms route origin origin_conn origin_reused retries user_agent request_id h2_error"
	sessionOrder = "event ts pitag piid client listener tls_version tls_cipher tls_resumed alpn sni duration_ms streams " +
		"streams_peak streams_refused resets_in resets_out bytes_in bytes_out goaway cause"
)

func TestALineHasThePromisedFieldsInOrder(t *testing.T) {
	out := &sink{}
	l := open(t, Config{Output: out})
	r := sampleRecord(sampleSession())
	r.H2Error = "CANCEL"
	l.Record(r)
	l.Session(sampleClosed(sampleSession()))
	closeLog(t, l)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{accessOrder, sessionOrder} {
		if got := strings.Join(keys(t, lines[i]), " "); got != want {
			t.Errorf("line %d has fields\n %s\nwant\n %s", i+1, got, want)
		}
	}
}

// keys returns the names of a JSON object in the order they stand in.
func keys(t *testing.T, line string) []string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	if _, err := d.Token(); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	var names []string
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		names = append(names, name.(string))
		if _, err := d.Token(); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
	}
	return names
}

func TestNumbersAreWrittenExactly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.000", 999: "0.000", 1000: "0.001", 2345678: "2.345", time.Hour: "3600000.000", 100 * time.Microsecond: "0.100",
	} {
		if got := string(appendMillis(nil, d)); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
	east := time.FixedZone("east", 3600)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, 1, 2, 3, 4, 5, 6_000, east), `"2026-01-02T02:04:05.000006Z"`},
		{time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC), `"2026-12-31T23:59:59.999999Z"`},
		{time.Time{}, `"0001-01-01T00:00:00.000000Z"`},
	} {
		if got := string(appendTimestamp(nil, c.at)); got != c.want {
			t.Errorf("%v is %s, want %s", c.at, got, c.want)
		}
	}
}

// FuzzAccessLine holds the log to one line of valid JSON per record, whatever
// bytes a client sends, that reads back as what was written: each byte that is
// not UTF-8 as U+FFFD.
func FuzzAccessLine(f *testing.F) {
	f.Add("GET", "example.org", "/", "curl/8", "h2", uint64(1), 200)
	f.Add("", "", "", "", "", uint64(0), 0)
	f.Add("G\nET", "\"", "/\\\x00\x1f\x7f", "\xff\xc0\x80", "\u2028\u2029", uint64(1<<63), -5)
	f.Add("PRI", "[::1]", "/%00\r\n{}", "\xed\xa0\x80", "http/1.1", uint64(1<<53), 99999)
	f.Fuzz(func(t *testing.T, method, host, path, agent, tag string, id uint64, status int) {
		s := sampleSession()
		s.Identity = pitag.Identity{Tag: tag, ID: id}
		s.TLS.ServerName = host
		r := sampleRecord(s)
		r.Method, r.Host, r.Path, r.UserAgent, r.Status = method, host, path, agent, status
		r.RequestID, r.H2Error, r.Route = agent, method, path
		line := appendAccess(nil, r)
		checkOneLine(t, line)
		checkJSON(t, line, map[string]string{
			"method": method, "host": host, "path": path, "user_agent": agent, "pitag": tag, "request_id": agent,
		}, id)
		checkText(t, method+host+path+agent)
		combined := appendCombined(nil, r)
		checkOneLine(t, combined)
		checkCombined(t, combined)
	})
}

// checkText holds appendText against the encoder of zerolog.
func checkText(t *testing.T, s string) {
	t.Helper()
	var want bytes.Buffer
	logger := zerolog.New(&want)
	logger.Log().Str("v", s).Send()
	if got := `{"v":"` + string(appendText(nil, s)) + "\"}\n"; got != want.String() {
		t.Fatalf("%q is written %s, by zerolog %s", s, got, want.String())
	}
}

// Every byte at every place of a word, beside every kind of neighbour.
func TestTextIsEscapedWhereverItStands(t *testing.T) {
	for _, fill := range []byte{' ', 'a', '!', '~', 0x7f, '"', '\\', 0x1f, 0x80, 0xc3, 0xff} {
		for size := range 18 {
			b := bytes.Repeat([]byte{fill}, size)
			for at := range size {
				for c := range 256 {
					b[at] = byte(c)
					checkText(t, string(b))
				}
				b[at] = fill
			}
		}
	}
}

func checkOneLine(t *testing.T, line []byte) {
	t.Helper()
	if n := bytes.Count(line, []byte{'\n'}); n != 1 || !bytes.HasSuffix(line, []byte{'\n'}) {
		t.Fatalf("%d line ends in %q, want one, at the end", n, line)
	}
}

func checkJSON(t *testing.T, line []byte, texts map[string]string, id uint64) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var got map[string]any
	if err := d.Decode(&got); err != nil {
		t.Fatalf("not JSON: %v in %q", err, line)
	}
	for name, text := range texts {
		v, there := got[name]
		if want := strings.ToValidUTF8(text, "\ufffd"); there != (text != "") || there && squeeze(v.(string)) != squeeze(want) {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	if v, there := got["piid"]; there != (id != 0) || there && v.(json.Number).String() != pitagNumber(id) {
		t.Errorf("piid is %v, want %d", v, id)
	}
}

// squeeze joins runs of U+FFFD: ToValidUTF8 writes one for a run of bad bytes,
// the log one for each.
func squeeze(s string) string {
	for strings.Contains(s, "\ufffd\ufffd") {
		s = strings.ReplaceAll(s, "\ufffd\ufffd", "\ufffd")
	}
	return s
}

func pitagNumber(id uint64) string {
	b, _ := json.Marshal(id)
	return string(b)
}

// checkCombined wants printable ASCII only, and exactly six quotes that are not
// escaped: three quoted fields, whatever they hold.
func checkCombined(t *testing.T, line []byte) {
	t.Helper()
	quotes, escaped := 0, false
	for _, c := range bytes.TrimSuffix(line, []byte{'\n'}) {
		switch {
		case c < ' ' || c > '~':
			t.Fatalf("byte %#x in %q", c, line)
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			quotes++
		}
	}
	if quotes != 6 {
		t.Fatalf("%d quotes in %q, want 6", quotes, line)
	}
}
