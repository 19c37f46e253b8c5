package pitag_test

import (
	"crypto/tls"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/h2gw/h2gw/pitag"
)

func TestIdentityText(t *testing.T) {
	for _, tc := range []struct {
		id   pitag.Identity
		text string
	}{
		{pitag.Identity{}, "*#0"},
		{pitag.Identity{Tag: "h2", ID: 17}, "h2#17"},
		{pitag.Identity{Tag: "http/1.1", ID: 1}, "http/1.1#1"},
		{pitag.Identity{Tag: "h2", ID: math.MaxUint64}, "h2#18446744073709551615"},
		{pitag.Identity{ID: 5}, "*#5"},
		{pitag.Identity{Tag: "h2c"}, "h2c#0"},
		{pitag.Identity{Tag: "a#b", ID: 2}, "a#b#2"},
	} {
		if got := tc.id.String(); got != tc.text {
			t.Errorf("String of %+v = %q, want %q", tc.id, got, tc.text)
		}
		appended, err := tc.id.AppendText([]byte("id="))
		if err != nil || string(appended) != "id="+tc.text {
			t.Errorf("AppendText = %q, %v", appended, err)
		}
		var back pitag.Identity
		if err := back.UnmarshalText([]byte(tc.text)); err != nil || back != tc.id {
			t.Errorf("UnmarshalText(%q) = %+v, %v, want %+v", tc.text, back, err, tc.id)
		}
	}
}

func TestIdentityRefusesOtherText(t *testing.T) {
	for text, reason := range map[string]string{
		"":                        "no '#'",
		"h2":                      "no '#'",
		"#1":                      "empty tag",
		"h2#":                     "decimal number",
		"h2#x":                    "decimal number",
		"h2#-1":                   "decimal number",
		"h2#+1":                   "decimal number",
		"h2# 1":                   "decimal number",
		"h2#18446744073709551616": "below 2^64",
	} {
		id := pitag.Identity{Tag: "kept", ID: 9}
		err := id.UnmarshalText([]byte(text))
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("UnmarshalText(%q) = %v, want an error about %q", text, err, reason)
		}
		if id != (pitag.Identity{Tag: "kept", ID: 9}) {
			t.Errorf("UnmarshalText(%q) changed the identity to %v", text, id)
		}
	}
}

func TestIdentityInJSON(t *testing.T) {
	b, err := json.Marshal(map[string]pitag.Identity{"session": {Tag: "h2", ID: 17}})
	if err != nil || string(b) != `{"session":"h2#17"}` {
		t.Errorf("Marshal = %s, %v", b, err)
	}
}

func TestIdentityZero(t *testing.T) {
	for id, zero := range map[pitag.Identity]bool{{}: true, {Tag: "h2"}: false, {ID: 1}: false} {
		if id.IsZero() != zero {
			t.Errorf("IsZero of %v = %v", id, !zero)
		}
	}
	if got := (pitag.Identity{}).TagText(); got != pitag.AbsentTag {
		t.Errorf("TagText = %q", got)
	}
}

// What UnmarshalText accepts, String writes so that it is read as the same.
func FuzzIdentityText(f *testing.F) {
	for _, s := range []string{"*#0", "h2#17", "a#b#2", "#1", "h2#007", "**#1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var id, again pitag.Identity
		if id.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(id.String())); err != nil || again != id {
			t.Errorf("%q is %+v, written %q, read back %+v, %v", text, id, id, again, err)
		}
	})
}

func TestSequenceStartsAtOneAndSharesItsCounter(t *testing.T) {
	h2 := pitag.NewSequence(pitag.TagH2)
	h1 := h2.WithTag(pitag.TagHTTP1)
	for i, want := range []string{"h2#1", "http/1.1#2", "h2#3"} {
		s := []*pitag.Sequence{h2, h1, h2}[i]
		if got := s.Next().String(); got != want {
			t.Errorf("identity %d = %s, want %s", i, got, want)
		}
	}
}

func TestSequenceNeverRepeats(t *testing.T) {
	const workers, each = 8, 1000
	s := pitag.NewSequence(pitag.TagH2)
	got := make([][]uint64, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			mine := s.WithTag("x")
			for range each {
				got[w] = append(got[w], mine.Next().ID)
			}
		})
	}
	wg.Wait()
	all := slices.Concat(got...)
	slices.Sort(all)
	for i, id := range all {
		if id != uint64(i+1) {
			t.Fatalf("id %d is %d: ids must be 1 to %d, each once", i, id, workers*each)
		}
	}
}

func TestSessionSchemeAndALPN(t *testing.T) {
	for _, tc := range []struct {
		tls          *tls.ConnectionState
		scheme, alpn string
	}{
		{nil, "http", ""},
		{&tls.ConnectionState{}, "https", ""},
		{&tls.ConnectionState{NegotiatedProtocol: "h2"}, "https", "h2"},
	} {
		s := pitag.Session{TLS: tc.tls}
		if s.Scheme() != tc.scheme || s.ALPN() != tc.alpn {
			t.Errorf("scheme %q, ALPN %q, want %q, %q", s.Scheme(), s.ALPN(), tc.scheme, tc.alpn)
		}
	}
}

func TestSessionValues(t *testing.T) {
	type key int
	var s pitag.Session
	if v := s.Value(key(1)); v != nil {
		t.Errorf("Value of nothing = %v", v)
	}
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			s.SetValue(key(i), i)
			if v := s.Value(key(i)); v != i {
				t.Errorf("Value(%d) = %v", i, v)
			}
		})
	}
	wg.Wait()
	s.SetValue(key(1), "new")
	if v := s.Value(key(1)); v != "new" {
		t.Errorf("Value after a second SetValue = %v", v)
	}
}

// Causes are metric labels: words, each its own.
func TestCausesAreDistinctWords(t *testing.T) {
	causes := []pitag.Cause{
		pitag.CauseClientClosed, pitag.CauseClientReset, pitag.CauseClientError, pitag.CauseServerClosed,
		pitag.CauseHandshakeFailed, pitag.CauseHandshakeTimeout, pitag.CausePrefaceTimeout,
		pitag.CauseHeadTimeout, pitag.CauseBodyTimeout, pitag.CauseIdleTimeout, pitag.CauseMaxAge,
		pitag.CauseWriteStall, pitag.CauseLimit, pitag.CauseDrain, pitag.CauseInternal,
	}
	seen := map[pitag.Cause]bool{}
	for _, c := range causes {
		if seen[c] || c == "" || strings.Trim(string(c), "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("cause %q is empty, taken or no label", c)
		}
		seen[c] = true
	}
}
