package headers_test

import (
	"strings"
	"testing"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/plugin/headers"
)

func TestNewNamesEveryFault(t *testing.T) {
	set := func(name, value string) headers.Config {
		return headers.Config{Request: headers.Changes{Set: []httpsm.Field{{Name: name, Value: value}}}}
	}
	for name, tc := range map[string]struct {
		cfg  headers.Config
		want []string
	}{
		"unknown variable":   {set("X", "${pittag}"), []string{`request, set "X"`, "unknown variable ${pittag}", "did you mean ${pitag}?"}},
		"upper case":         {set("X", "${PIID}"), []string{"did you mean ${piid}?"}},
		"two are near":       {set("X", "${client_it}"), []string{"did you mean ${client_ip}?"}},
		"no variable near":   {set("X", "${zzzzzzzzzz}"), []string{"there are ${alpn} ${client} "}},
		"empty variable":     {set("X", "${}"), []string{"unknown variable ${}"}},
		"not closed":         {set("X", "${piid"), []string{"without }"}},
		"lone dollar":        {set("X", "5$"), []string{"$$ for a dollar sign"}},
		"dollar name":        {set("X", "$piid"), []string{"write ${name}"}},
		"response variable":  {set("X", "${status}"), []string{"known in the response only"}},
		"bad name":           {set("X Y", "1"), []string{"not a field name"}},
		"empty name":         {set("", "1"), []string{"not a field name"}},
		"injection":          {set("X", "a\r\nB: c"), []string{`value "a\r\nB: c"`}},
		"framing":            {set("content-LENGTH", "5"), []string{"the gateway writes it"}},
		"remove framing":     {headers.Config{Response: headers.Changes{Remove: []string{"Transfer-Encoding"}}}, []string{`response, remove "Transfer-Encoding"`, "the gateway writes it"}},
		"remove Host":        {headers.Config{Request: headers.Changes{Remove: []string{"Host"}}}, []string{"exactly one Host"}},
		"add Host":           {headers.Config{Request: headers.Changes{Add: []httpsm.Field{{Name: "host", Value: "x"}}}}, []string{"exactly one Host"}},
		"several at once":    {headers.Config{Request: headers.Changes{Set: []httpsm.Field{{Name: "A B", Value: "${nope}"}}}, Response: headers.Changes{Remove: []string{"C D"}}}, []string{`"A B"`, "${nope}", `"C D"`}},
		"suggestion by side": {set("X", "${statu}"), []string{"unknown variable ${statu}"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := headers.New(tc.cfg)
			if err == nil || p != nil {
				t.Fatal("accepted")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in %q", want, err)
				}
			}
			if strings.Contains(err.Error(), "${status}?") {
				t.Errorf("suggests what is not there: %v", err)
			}
		})
	}
}

func FuzzNew(f *testing.F) {
	for _, s := range []string{"", "a", "${piid}", "${", "$$", "$", "}{", "${pitag}${piid}", "a${sni} b$$c"} {
		f.Add("X-Name", s)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		c := headers.Changes{Set: []httpsm.Field{{Name: name, Value: value}}, Remove: []string{name}}
		p, err := headers.New(headers.Config{Request: c, Response: c})
		if (p == nil) == (err == nil) {
			t.Errorf("%v, %v", p, err)
		}
	})
}
