package config

import (
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/h2gw/h2gw/h2session"
)

var update = flag.Bool("update", false, "write the table of settings into docs/config.md")

// The names are promised to operators: this list changes only with a note in
// CHANGELOG.md.
func TestTableHasThePromisedNamesAndDefaults(t *testing.T) {
	want := map[string]string{
		"timeouts.handshake": "10s", "timeouts.preface": "10s", "timeouts.request_head": "10s",
		"timeouts.request_body_idle": "30s", "timeouts.write_stall": "30s", "timeouts.session_idle": "120s",
		"timeouts.session_age": "off", "timeouts.connect": "5s", "timeouts.response_head": "60s",
		"timeouts.response_body_idle": "60s", "timeouts.tunnel_idle": "1h", "timeouts.origin_idle": "60s", "timeouts.drain": "30s",
		"limits.request_head": "64KiB", "limits.response_head": "64KiB", "limits.fields": "128",
		"limits.target": "16KiB", "limits.request_body": "off", "limits.request_body_rate": "240B", "limits.streams": "250",
		"limits.sessions": "100000", "limits.sessions_per_client": "off", "limits.origin_connections": "1024",
		"limits.memory": "1GiB", "limits.session_memory": "32MiB", "origin.pipeline": "off", "tls.misdirected": "on",
		"floods.continuation": "128/10s", "floods.header_bytes": "262144/10s", "floods.empty_names": "10/10s",
		"floods.settings": "100/10s", "floods.settings_entries": "512/10s", "floods.acks": "100/10s",
		"floods.ping": "100/10s", "floods.resets": "1000/30s", "floods.provoked_resets": "200/30s",
		"floods.refused": "1000/30s", "floods.streams": "off", "floods.empty_data": "100/10s",
		"floods.small_data": "10000/10s", "floods.tiny_windows": "1000/10s", "floods.window_updates": "2000/10s",
		"floods.priority": "10000/10s", "floods.queued": "100/10s", "floods.useless": "1000/10s",
	}
	got := map[string]string{}
	for _, row := range Table() {
		got[row.Name] = row.Default
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("table:\n%v\nwant:\n%v", got, want)
	}
}

func TestEveryDefaultIsWithinItsBoundsAndHasADoc(t *testing.T) {
	d := Defaults()
	for _, row := range Table() {
		v, err := row.parse(row.Default)
		if err != nil {
			t.Errorf("%s: default: %v", row.Name, err)
		}
		if row.load(&d) != v {
			t.Errorf("%s: Defaults holds %d, want %d", row.Name, row.load(&d), v)
		}
		if !strings.HasSuffix(row.Doc, ".") {
			t.Errorf("%s: doc line %q is no sentence", row.Name, row.Doc)
		}
		if _, err := row.parse(row.Kind.format(row.Max)); err != nil {
			t.Errorf("%s: its own maximum is refused: %v", row.Name, err)
		}
	}
}

// Two rows that share a field would make one of them a setting without effect.
func TestEverySettingHasAFieldOfItsOwn(t *testing.T) {
	for _, row := range Table() {
		s, d := Defaults(), Defaults()
		v := row.Max
		if row.Kind == Switch {
			v = Off
		}
		row.store(&s, v)
		for _, other := range Table() {
			if changed := other.load(&s) != other.load(&d); changed != (other.Name == row.Name) {
				t.Errorf("storing %s changed=%v %s", row.Name, changed, other.Name)
			}
		}
	}
	var fields int
	for _, group := range []any{Timeouts{}, Limits{}, OriginLimits{}, TLS{}} {
		fields += reflect.TypeOf(group).NumField()
	}
	fields += len(Settings{}.Floods)
	if fields != len(Table()) {
		t.Errorf("Settings has %d fields, the table %d rows", fields, len(Table()))
	}
}

func TestSetReadsValuesOfEveryKind(t *testing.T) {
	for _, tc := range []struct {
		set  string
		want any
		got  func(*Settings) any
	}{
		{"timeouts.connect=250ms", 250 * time.Millisecond, func(s *Settings) any { return s.Timeouts.Connect }},
		{"timeouts.drain=0s", time.Duration(0), func(s *Settings) any { return s.Timeouts.Drain }},
		{"timeouts.session_idle=1h30m", 90 * time.Minute, func(s *Settings) any { return s.Timeouts.SessionIdle }},
		{"timeouts.session_age=off", time.Duration(-1), func(s *Settings) any { return s.Timeouts.SessionAge }},
		{" limits.request_head = 8KiB ", int64(8192), func(s *Settings) any { return s.Limits.RequestHead }},
		{"limits.request_body=2GiB", int64(2 << 30), func(s *Settings) any { return s.Limits.RequestBody }},
		{"limits.request_body=10", int64(10), func(s *Settings) any { return s.Limits.RequestBody }},
		{"limits.request_body=10B", int64(10), func(s *Settings) any { return s.Limits.RequestBody }},
		{"limits.streams=7", int64(7), func(s *Settings) any { return s.Limits.Streams }},
		{"limits.sessions=off", int64(-1), func(s *Settings) any { return s.Limits.Sessions }},
		{"tls.misdirected=off", int64(-1), func(s *Settings) any { return s.TLS.Misdirected }},
		{"tls.misdirected=on", int64(1), func(s *Settings) any { return s.TLS.Misdirected }},
		{"origin.pipeline=32", int64(32), func(s *Settings) any { return s.Origins.Pipeline }},
		{"origin.pipeline=0", int64(0), func(s *Settings) any { return s.Origins.Pipeline }},
		{"floods.ping=7/1m30s", h2session.Budget{Count: 7, Per: 90 * time.Second}, func(s *Settings) any { return s.Floods[h2session.FloodPing] }},
		{"floods.ping=7/s", h2session.Budget{Count: 7, Per: time.Second}, func(s *Settings) any { return s.Floods[h2session.FloodPing] }},
		{"floods.ping=off", h2session.Unlimited, func(s *Settings) any { return s.Floods[h2session.FloodPing] }},
		{"floods.ping=observe:1/1ms", h2session.Budget{Count: 1, Per: time.Millisecond, Observe: true}, func(s *Settings) any { return s.Floods[h2session.FloodPing] }},
	} {
		s := Defaults()
		if err := s.Set(tc.set); err != nil {
			t.Errorf("%q: %v", tc.set, err)
		} else if got := tc.got(&s); got != tc.want {
			t.Errorf("%q: got %v, want %v", tc.set, got, tc.want)
		}
	}
}

func TestSetSaysWhatIsWrongAndWhatWouldBeRight(t *testing.T) {
	for _, tc := range []struct{ set, want string }{
		{"timeouts.connect", `setting "timeouts.connect" has no value: want name=value, such as timeouts.connect=3s`},
		{"timeouts.conect=3s", `there is no setting "timeouts.conect": did you mean timeouts.connect?`},
		{"connect=3s", `there is no setting "connect": did you mean timeouts.connect or limits.origin_connections?`},
		{"limit.streams=3", `there is no setting "limit.streams": did you mean limits.streams or floods.streams?`},
		{"timeouts.idle=3s", `there is no setting "timeouts.idle": did you mean timeouts.request_body_idle, timeouts.session_idle or timeouts.response_body_idle?`},
		{"timeouts.request-head=3s", `there is no setting "timeouts.request-head": did you mean timeouts.request_head`},
		{"zzz=1", `there is no setting "zzz": the settings are timeouts.handshake, `},
		{"timeouts.connect=5", `setting timeouts.connect=5: a duration needs a unit (did you mean 5s?): want 3s, 250ms or 1h30m (default 5s)`},
		{"timeouts.connect=soon", `setting timeouts.connect=soon: not a duration: want`},
		{"timeouts.connect=-1s", `setting timeouts.connect=-1s: out of range: want 1ms to 8760h (default 5s)`},
		{"timeouts.connect=off", `setting timeouts.connect=off: it cannot be off: want 3s, 250ms or 1h30m, from 1ms to 8760h`},
		{"timeouts.session_idle=never", `want 3s, 250ms or 1h30m, or off (default 120s)`},
		{"tls.misdirected=yes", `setting tls.misdirected=yes: neither on nor off: want on, or off (default on)`},
		{"limits.request_head=64k", `setting limits.request_head=64k: not a size (did you mean 64KiB?): want 64KiB, 1MiB or 512B`},
		{"limits.request_head=64KB", `(did you mean 64KiB?)`},
		{"limits.request_head=64 bytes", `setting limits.request_head=64 bytes: not a size: want`},
		{"limits.request_head=1B", `out of range: want 1KiB to 16MiB`},
		{"limits.request_body=99999999999TiB", `too large`},
		{"limits.streams=0", `setting limits.streams=0: out of range: want 1 to 1048576 (default 250)`},
		{"origin.pipeline=65", `setting origin.pipeline=65: out of range: want 0 to 64, or off (default off)`},
		{"limits.streams=many", `setting limits.streams=many: not a whole number: want a whole number such as 100 (default 250)`},
		{"limits.streams=", `not a whole number`},
		{"floods.ping=100", `setting floods.ping=100: not a rate: want COUNT/DURATION such as 100/10s, or observe:100/10s, or off (default 100/10s)`},
		{"floods.ping=0/1s", `the count is not between 1 and 2147483647: want`},
		{"floods.ping=many/1s", `the count "many" is not a whole number: want`},
		{"floods.ping=5/10", `a duration needs a unit (did you mean 10s?): want`},
		{"floods.ping=5/1us", `the duration is not between 1ms and 24h, in whole milliseconds: want`},
		{"floods.ping=watch:5/1s", `want COUNT/DURATION such as`},
		{"floods.pings=5/1s", `there is no setting "floods.pings": did you mean floods.ping`},
	} {
		s := Defaults()
		err := s.Set(tc.set)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q:\n got %v\nwant %s", tc.set, err, tc.want)
		}
		if s != Defaults() {
			t.Errorf("%q: the settings changed although it is wrong", tc.set)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: more than one line: %v", tc.set, err)
		}
	}
}

func TestValueIsWhatSetReads(t *testing.T) {
	d := Defaults()
	for _, row := range Table() {
		s := Defaults()
		if err := s.Set(row.Name + "=" + row.Value(&d)); err != nil || s != d {
			t.Errorf("%s=%s: %v", row.Name, row.Value(&d), err)
		}
	}
}

// Whatever is set must arrive in the configuration of the package it is for.
func TestSettingsReachThePackagesTheyConfigure(t *testing.T) {
	s := Defaults()
	for _, set := range []string{
		"timeouts.handshake=1s", "timeouts.preface=2s", "timeouts.request_head=3s", "timeouts.request_body_idle=4s",
		"timeouts.write_stall=5s", "timeouts.session_idle=6s", "timeouts.session_age=7s", "timeouts.connect=8s",
		"timeouts.response_head=9s", "timeouts.response_body_idle=10s", "timeouts.origin_idle=11s", "timeouts.tunnel_idle=12s",
		"limits.request_head=1KiB", "limits.response_head=2KiB", "limits.fields=3", "limits.target=4KiB",
		"limits.request_body=5", "limits.request_body_rate=6", "limits.streams=6", "limits.sessions=7", "limits.sessions_per_client=8", "limits.origin_connections=9",
		"limits.session_memory=10MiB", "floods.resets=observe:11/12s",
	} {
		if err := s.Set(set); err != nil {
			t.Fatal(err)
		}
	}
	f, h, o := s.Frontend(), s.Session(), s.Origin()
	tm, lm := s.Machine()
	for _, tc := range []struct {
		what      string
		got, want any
	}{
		{"frontend", []any{f.Handshake, f.Preface, f.MaxSessions, f.MaxPerClient}, []any{time.Second, 2 * time.Second, 7, 8}},
		{"h2session", []any{h.Preface, h.RequestHeadTimeout, h.WriteStall, h.SessionIdle, h.SessionAge, h.MaxStreams, h.RequestHead, h.Fields, h.Target},
			[]any{2 * time.Second, 3 * time.Second, 5 * time.Second, 6 * time.Second, 7 * time.Second, 6, 1024, 3, 4096}},
		{"h2session floods", []any{h.SessionMemory, h.Floods[h2session.FloodResets], h.Floods[h2session.FloodStreams]},
			[]any{int64(10 << 20), h2session.Budget{Count: 11, Per: 12 * time.Second, Observe: true}, h2session.Unlimited}},
		{"httpsm timeouts", []any{tm.Preface, tm.RequestHead, tm.RequestBodyIdle, tm.WriteStall, tm.SessionIdle, tm.SessionAge, tm.Connect, tm.ResponseHead, tm.ResponseBodyIdle, tm.TunnelIdle},
			[]any{2 * time.Second, 3 * time.Second, 4 * time.Second, 5 * time.Second, 6 * time.Second, 7 * time.Second, 8 * time.Second, 9 * time.Second, 10 * time.Second, 12 * time.Second}},
		{"httpsm limits", []any{lm.RequestHead, lm.ResponseHead, lm.Fields, lm.Target, lm.RequestBody, lm.RequestBodyRate}, []any{1024, 2048, 3, 4096, int64(5), int64(6)}},
		{"origin", []any{o.ConnectTimeout, o.IdleTimeout, o.MaxConns}, []any{8 * time.Second, 11 * time.Second, 9}},
	} {
		if !reflect.DeepEqual(tc.got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.what, tc.got, tc.want)
		}
	}
}

func TestNearestPutsTheNearestFirst(t *testing.T) {
	for _, tc := range []struct{ word, first string }{
		{"timeouts.drian", "timeouts.drain"},
		{"limits.stream", "limits.streams"},
		{"limits.session_per_client", "limits.sessions_per_client"},
		{"timeouts.sesion_age", "timeouts.session_age"},
	} {
		if got := Nearest(tc.word, Names(), 3); len(got) == 0 || got[0] != tc.first {
			t.Errorf("Nearest(%q) = %v, want %s first", tc.word, got, tc.first)
		}
	}
}

func FuzzSet(f *testing.F) {
	for _, row := range Table() {
		f.Add(row.Name + "=" + row.Default)
	}
	for _, s := range []string{"", "=", "a=b=c", "limits.target=64KB", "timeouts.connect=1e9s", "limits.request_body=9223372036854775807TiB", "timeouts.drain=-0s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, assignment string) {
		s, d := Defaults(), Defaults()
		if err := s.Set(assignment); err != nil {
			if s != d {
				t.Fatalf("%q: refused, but the settings changed", assignment)
			}
			return
		}
		// What was accepted can be written and read back.
		again := Defaults()
		for _, row := range Table() {
			if err := again.Set(row.Name + "=" + row.Value(&s)); err != nil {
				t.Fatalf("%q gives %s=%s, which is refused: %v", assignment, row.Name, row.Value(&s), err)
			}
		}
		if again != s {
			t.Fatalf("%q: %+v reads back as %+v", assignment, s, again)
		}
	})
}

func TestDocsHoldTheTable(t *testing.T) {
	const file = "../../docs/config.md"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(data), docsBegin+"\n")
	table, after, ok2 := strings.Cut(rest, docsEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s lacks the lines %q and %q", file, docsBegin, docsEnd)
	}
	if table == Markdown() {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the table: run go test ./internal/config -update", file)
	}
	text := before + docsBegin + "\n" + Markdown() + docsEnd + after
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
