package load

import (
	"strings"
	"testing"
	"time"
)

const printed = `starting benchmark...
spawning thread #0: 16 total client(s). Timing-based test with 0s of warm-up time and 1.3s of main duration for measurements.
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Application protocol: h2

finished in 1.35s, 29972.31 req/s, 6.43MB/s
requests: 38964 total, 39476 started, 38964 done, 38960 succeeded, 1 failed, 2 errored, 3 timeout
status codes: 38950 2xx, 0 3xx, 7 4xx, 3 5xx
traffic: 8.36MB (8766916) total, 5.17MB (5417564) headers (space savings 39.59%), 3.72MB (3896400) data
                     min         max         mean         sd        +/- sd
time for request:      314us    132.60ms     15.68ms     18.28ms    95.74%
`

func TestSummaryOfH2loadIsReadInFull(t *testing.T) {
	got, err := ParseSummary(printed)
	want := Summary{Done: 38964, Succeeded: 38960, OK: 38950, Failed: 1, Errored: 2, TimedOut: 3, TLS: "TLSv1.3", Protocol: "h2"}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
	}
	// 1 failed, 2 errored, 3 timed out, 10 answered with another status than 2xx.
	if got.Bad() != 16 {
		t.Errorf("Bad is %d, want 16", got.Bad())
	}
}

func TestOutputWithoutASummaryIsAnError(t *testing.T) {
	for _, out := range []string{
		"",
		"could not connect to 127.0.0.1:1",
		strings.ReplaceAll(printed, "status codes:", "codes:"),
		strings.ReplaceAll(printed, " errored", " mislaid"),
		strings.ReplaceAll(printed, "38960", "many"),
	} {
		if s, err := ParseSummary(out); err == nil {
			t.Errorf("no error for %.60q, but %+v", out, s)
		}
	}
}

func TestLogRowsAreReadInOrder(t *testing.T) {
	var rows []Row
	err := ReadLog(strings.NewReader("1795413927607483\t200\t219\n1795413928392952\t-1\t14588\n"), func(r Row) { rows = append(rows, r) })
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v, %v", rows, err)
	}
	want := Row{time.UnixMicro(1795413927607483), 200, 219 * time.Microsecond}
	if rows[0] != want || rows[1].Status != -1 {
		t.Errorf("got %v", rows)
	}
}

func TestADamagedLogIsAnErrorThatNamesTheLine(t *testing.T) {
	for _, text := range []string{"1\t200", "x\t200\t3", "1\ty\t3", "1\t200\tz"} {
		err := ReadLog(strings.NewReader("1\t200\t3\n"+text+"\n"), func(Row) {})
		if err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAWindowHoldsItsStartAndNotItsEnd(t *testing.T) {
	w := Window{time.UnixMicro(1000), time.UnixMicro(2000)}
	for _, c := range []struct {
		start, took    int64
		started, ended bool
	}{{900, 99, false, false}, {900, 100, false, true}, {1000, 999, true, true}, {1999, 1, true, false}, {2000, 0, false, false}} {
		r := Row{Start: time.UnixMicro(c.start), Took: time.Duration(c.took) * time.Microsecond}
		if w.Started(r) != c.started || w.Ended(r) != c.ended {
			t.Errorf("%+v: started %v, ended %v", c, w.Started(r), w.Ended(r))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(printed)
	f.Add("1795413927607483\t200\t219\n")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSummary(text); err == nil && s.Bad() < 0 && !strings.Contains(text, "-") {
			t.Errorf("%d bad requests", s.Bad())
		}
		_ = ReadLog(strings.NewReader(text), func(Row) {})
	})
}
