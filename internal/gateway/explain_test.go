package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/internal/frontend"
)

// A translation is the debug line of one request.
type translation struct {
	Level, PITag, Message string
	PIID, Stream, Txn     uint64
	Request, Response     []string
}

func (r *rig) translations() (found []translation) {
	r.t.Helper()
	for l := range strings.Lines(r.people.String()) {
		var tr translation
		if err := json.Unmarshal([]byte(l), &tr); err != nil {
			r.t.Fatalf("%v: %s", err, l)
		}
		if tr.Message == "translation" {
			found = append(found, tr)
		}
	}
	return found
}

// post sends a body of unknown length with two Cookie fields.
func post(t *testing.T, r *rig, proto string) {
	t.Helper()
	c, url := r.client(proto)
	req, err := http.NewRequest("POST", url+"/x", io.MultiReader(strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Cookie": {"a=1; b=2"}, "X-Forwarded-For": {"10.0.0.1"}}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// One line for a request, with what both layers did to it.
func TestOneDebugLineExplainsARequest(t *testing.T) {
	const (
		via   = "Via added: a gateway names itself (RFC 9110, 7.6.3)"
		spoof = "X-Forwarded-For replaced: what a client says of itself does not count (RFC 7239, 8.1)"
		proto = "X-Forwarded-Proto added: the origin cannot see who asks, and how"
		host  = "X-Forwarded-Host added: the origin cannot see who asks, and how"
		body  = "the body goes chunked, as it came (RFC 9112, 7.1)"
		size  = "the body goes by Content-Length, as it came (RFC 9112, 6.2)"
	)
	h2 := translation{
		Level: "debug", Message: "translation", PIID: 1, Stream: 1, Txn: 1,
		Request: []string{
			":method and :path become the request line, :authority becomes Host, :scheme is dropped (RFC 9113, 8.3.1)",
			"cookie: 2 crumbs merged into one field (RFC 9113, 8.2.3)",
			"Transfer-Encoding: chunked added: the body has no content-length (RFC 9112, 6.1)",
			"x-forwarded-for replaced" + strings.TrimPrefix(spoof, "X-Forwarded-For replaced"), via, proto, host, body,
		},
		Response: []string{
			via, size, "the status line becomes :status 200, the reason phrase is dropped (RFC 9113, 8.3.2)",
			"all field names go in lower case (RFC 9113, 8.2)",
		},
	}
	http1 := translation{
		Level: "debug", Message: "translation", PIID: 1, Txn: 1,
		Request: []string{spoof, via, proto, host, body}, Response: []string{via, size},
	}
	for _, p := range protocols {
		t.Run(p.client, func(t *testing.T) {
			r := newRig(t, nil, nil)
			post(t, r, p.client)
			r.shutdown()
			want := http1
			if strings.HasPrefix(p.tag, "h2") {
				want = h2
			}
			want.PITag = p.tag
			if got := r.translations(); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
				t.Errorf("%+v,\nwant\n%+v", got, want)
			}
		})
	}
}

func TestNothingIsExplainedAboveDebugLevel(t *testing.T) {
	r := newRig(t, nil, func(c *Config) { c.Log = c.Log.Level(zerolog.InfoLevel) })
	post(t, r, frontend.ProtoH2)
	r.shutdown()
	if got := r.translations(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
