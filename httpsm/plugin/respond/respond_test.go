package respond_test

import (
	"strings"
	"testing"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/plugin/respond"
)

func TestNewNamesEveryFault(t *testing.T) {
	for name, tc := range map[string]struct {
		rule respond.Rule
		want string
	}{
		"method":        {respond.Rule{Methods: []string{"G T"}}, `method "G T"`},
		"lower case":    {respond.Rule{Methods: []string{"get"}}, "write GET"},
		"empty host":    {respond.Rule{Hosts: []string{""}}, "want a name"},
		"host and port": {respond.Rule{Hosts: []string{"a:80"}}, "remove :80"},
		"host pattern":  {respond.Rule{Hosts: []string{"a.*.b"}}, "only at the front"},
		"host URL":      {respond.Rule{Hosts: []string{"http://a"}}, "want a name"},
		"path":          {respond.Rule{Path: "a"}, "starts with /"},
		"prefix":        {respond.Rule{PathPrefix: "/a?b"}, "without query"},
		"both":          {respond.Rule{Path: "/a", PathPrefix: "/a"}, "give one"},
		"status 1xx":    {respond.Rule{Status: 100}, "want 200 to 599"},
		"status":        {respond.Rule{Status: 600}, "want 200 to 599"},
		"body on 204":   {respond.Rule{Status: 204, Body: []byte("x")}, "has no body"},
		"field name":    {respond.Rule{Fields: []httpsm.Field{{Name: "a b", Value: "c"}}}, `field "a b"`},
		"field value":   {respond.Rule{Fields: []httpsm.Field{{Name: "a", Value: "c\nd: e"}}}, `field "a"`},
		"framing":       {respond.Rule{Fields: []httpsm.Field{{Name: "Content-Length", Value: "3"}}}, "the gateway writes it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := respond.New(respond.Config{Rules: []respond.Rule{{}, tc.rule}})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "rule 2") {
				t.Errorf("%v; want %q", err, tc.want)
			}
		})
	}
}
