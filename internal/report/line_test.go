package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestLineIsRead(t *testing.T) {
	const all = `{"event":"access","ts":"2026-11-23T05:00:00.101000Z","pitag":"h2","piid":9007199254740991,"status":200,"bytes_out":5120,"duration_ms":2.345,"origin_reused":true}`
	for name, text := range map[string]string{
		"as written":       all,
		"other order":      `{"origin_reused":true,"duration_ms":2.345,"bytes_out":5120,"status":200,"piid":9007199254740991,"pitag":"h2","ts":"2026-11-23T05:00:00.101000Z","event":"access"}`,
		"white space":      " {\t\"event\" : \"access\" ,\"ts\": \"2026-11-23T05:00:00.101000Z\",\"pitag\":\"h2\",\"piid\":9007199254740991 , \"status\":200,\"bytes_out\":5120,\"duration_ms\":2.345,\"origin_reused\":true } \r",
		"escapes":          `{"\u0065vent":"acce\u0073s","ts":"2026-11-23T05:00:00.101000Z","pitag":"\u00682","piid":9007199254740991,"status":200,"bytes_out":5120,"duration_ms":2345e-3,"origin_reused":true}`,
		"unknown fields":   `{"x":[1,{"y":"}"}],"event":"access","z":{"piid":7},"ts":"2026-11-23T05:00:00.101000Z","n":-1.5e+300,"pitag":"h2","piid":9007199254740991,"status":200,"bytes_out":5120,"duration_ms":2.3450,"origin_reused":true,"t":false,"nil":null}`,
		"the last one":     `{"event":"session","event":"access","ts":"2026-11-23T05:00:00.101000Z","pitag":"h2","piid":1,"piid":9007199254740991,"status":200,"bytes_out":5120,"duration_ms":2.345,"origin_reused":true}`,
		"invalid UTF-8":    strings.Replace(all, `{`, "{\"path\":\"/\xff\xfe\",", 1),
		"unicode in texts": strings.Replace(all, `{`, `{"path":"/頁/😀\ud83d\ude00","`+"ключ"+`":"",`, 1),
	} {
		var l line
		if err := l.parse([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if l.bad != nil || string(l.text(fEvent)) != "access" || string(l.text(fTag)) != "h2" || l.number(fID) != 1<<53-1 ||
			l.number(fStatus) != 200 || l.number(fBytesOut) != 5120 || l.number(fDuration) != 2345 || !l.reused || l.has(fOutcome) {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

func TestBrokenLineSaysWhy(t *testing.T) {
	for text, want := range map[string]error{
		`hello`:                           errNotObject,
		`[1]`:                             errNotObject,
		`"event"`:                         errNotObject,
		"\x00\x01\x02\xff":                errNotObject,
		`{`:                               errTruncated,
		`{"event":"access"`:               errTruncated,
		`{"event":"acc`:                   errTruncated,
		`{"event":`:                       errTruncated,
		`{"event"`:                        errTruncated,
		`{"event":"access",`:              errTruncated,
		`{"event":"access",}`:             errName,
		`{event:"access"}`:                errName,
		`{"event" "access"}`:              errColon,
		`{"event":"access" "piid":1}`:     errComma,
		`{"event":"a\x"}`:                 errString,
		`{"event":"\u12G4"}`:              errString,
		"{\"event\":\"a\tb\"}":            errString,
		"{\"path\":\"twelve chars\x01\"}": errString,
		`{"piid":01}`:                     errNumber,
		`{"piid":-}`:                      errNumber,
		`{"piid":1.}`:                     errNumber,
		`{"piid":1e}`:                     errNumber,
		`{"piid":+1}`:                     errValue,
		`{"piid":tru}`:                    errValue,
		`{"x":{"a":}}`:                    errValue,
		`{"x":[1`:                         errValue,
		`{"x":"a"} {"x":"b"}`:             errAfter,
		`{}}`:                             errAfter,
	} {
		var l line
		if err := l.parse([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// A field we use, of another type, breaks our own lines only: a start-up line
// may use the same names for other things.
func TestWrongTypeBreaksOnlyOurLines(t *testing.T) {
	for _, fields := range []string{
		`"piid":"1"`, `"piid":-1`, `"piid":1.5`, `"piid":1e3`, `"piid":18446744073709551616`, `"piid":[1]`, `"piid":true`, `"streams":9007199254740993`, `"bytes_out":18446744073709551615`,
		`"pitag":2`, `"pitag":{}`, `"client":false`, `"duration_ms":-0.5`, `"duration_ms":"1"`, `"origin_reused":1`,
		`"status":99`, `"status":1000`, `"ts":"yesterday"`, `"ts":"2026-13-23T05:00:00.101000Z"`, `"ts":"2026-11-23T25:00:00.101000Z"`,
	} {
		s := summarize(t, Options{}, `{"event":"access",`+fields+"}\n{\"event\":\"startup\","+fields+"}\n")
		if s.Lines.Broken != 1 || s.Lines.Other != 1 || len(s.Broken) != 1 || s.Broken[0].Line != 1 || !strings.HasPrefix(s.Broken[0].Reason, "field ") {
			t.Errorf("%s: %+v %+v", fields, s.Lines, s.Broken)
		}
	}
	s := summarize(t, Options{}, `{"event":"access","piid":18446744073709551615,"pitag":"h2","status":null}`)
	if len(s.Busiest) != 1 || s.Busiest[0].ID != math.MaxUint64 {
		t.Errorf("largest piid: %+v", s.Busiest)
	}
}

func TestDurationsAreExactToTheMicrosecond(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "0.000": 0, "-0": 0, "1": 1000, "0.001": 1, "12.345": 12345, "12.3456": 12346, "0.0004": 0, "0.0005": 1,
		"1e3": 1000000, "1.5E-1": 150, "0.1234567890123456789": 123, "99999999999": maxMicros, "1e300": maxMicros,
	} {
		var l line
		if err := l.parse([]byte(`{"duration_ms":` + text + `}`)); err != nil || l.bad != nil || l.number(fDuration) != want {
			t.Errorf("%s: %d µs, want %d (%v, %v)", text, l.number(fDuration), want, err, l.bad)
		}
	}
}

func TestClockReadsWhatTimeReads(t *testing.T) {
	var c clock
	for _, text := range []string{
		"2026-11-23T05:00:00.101000Z", "2026-11-23T23:59:59.999999Z", "2024-02-29T00:00:00.000000Z", "1969-12-31T23:59:59.000001Z",
		"2026-11-23T05:00:00Z", "2026-11-23T05:00:00.1Z", "2026-11-23T05:00:00.101000+02:00",
	} {
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := c.read([]byte(text)); !ok || got != want.UnixMicro() {
			t.Errorf("%s: %d %v, want %d", text, got, ok, want.UnixMicro())
		}
	}
}

// expected reads text with encoding/json, field by field in order, by the rules
// of a line. ok is false when it is not a JSON object.
func expected(text []byte) (fields map[string]any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil || fields == nil {
		return nil, false
	}
	return fields, json.Valid(text)
}

// FuzzLine: no input makes the parser panic, and of every valid JSON object it
// reads what encoding/json reads.
func FuzzLine(f *testing.F) {
	for _, name := range []string{"as", "is"} {
		f.Add([]byte(`{"event":"access","ts":"2026-11-23T05:00:00.101000Z","` + name + `":"\ud83d\ude00\u00e9","piid":1}`))
	}
	g := newGenerator(5, 10)
	for range 40 {
		g.step()
	}
	for l := range bytes.Lines(g.buf.Bytes()) {
		f.Add(l)
	}
	f.Add([]byte(`{"piid":1.0e0,"duration_ms":1E+2,"x":[[{"a":"\\\""}]],"client":"\ud800\u0041","event":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var l line
		err := l.parse(text)
		want, ok := expected(text)
		if !ok || !utf8.Valid(text) {
			return
		}
		if err != nil {
			t.Fatalf("%q is valid JSON: %v", text, err)
		}
		if l.bad != nil {
			return // encoding/json does not tell of a wrong type that a later field of the same name hides
		}
		for f, name := range fieldNames {
			compareField(t, &l, field(f), want[name])
		}
	})
}

func compareField(t *testing.T, l *line, f field, want any) {
	switch want := want.(type) {
	case nil:
		if l.has(f) {
			t.Fatalf("%s is there", fieldNames[f])
		}
	case string:
		if string(l.text(f)) != want {
			t.Fatalf("%s: %q, want %q", fieldNames[f], l.text(f), want)
		}
	case bool:
		if f != fOriginReused || l.reused != want {
			t.Fatalf("%s: %v, want %v", fieldNames[f], l.reused, want)
		}
	case json.Number:
		if f >= fDuration {
			ms, err := want.Float64()
			us := math.Min(ms*1000, maxMicros)
			if err == nil && math.Abs(float64(l.number(f))-us) > 0.5+us*1e-15 {
				t.Fatalf("%s: %d µs, want %s ms", fieldNames[f], l.number(f), want)
			}
			return
		}
		var exact uint64
		if err := json.Unmarshal([]byte(want), &exact); err != nil || l.number(f) != exact {
			t.Fatalf("%s: %d, want %s (%v)", fieldNames[f], l.number(f), want, err)
		}
	default:
		t.Fatalf("%s: accepted %T", fieldNames[f], want)
	}
}
