package accesslog

import (
	"strings"
	"testing"
)

func TestTheCombinedFormatHoldsTheRefererWhereAnalysersLookForIt(t *testing.T) {
	r := sampleRecord(sampleSession())
	for referer, want := range map[string]string{
		"":                    `"-"`,
		"https://a.example/b": `"https://a.example/b"`,
		"\" 200 1\n":          `"\" 200 1\x0a"`,
	} {
		r.Referer = referer
		line := string(appendCombined(nil, r))
		if !strings.Contains(line, " "+want+` "`) || strings.Count(line, "\n") != 1 {
			t.Errorf("referer %q: no %s before the user agent in %q", referer, want, line)
		}
	}
}
