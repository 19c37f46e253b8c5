package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/plugin/headers"
	"github.com/h2gw/h2gw/httpsm/plugin/respond"
)

// hooks collects hooks; register is a plugin's Register.
func hooks(t *testing.T, register ...func(*httpsm.Hooks) error) *httpsm.Hooks {
	t.Helper()
	h := new(httpsm.Hooks)
	for _, r := range register {
		if err := r(h); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// The origin is told which connection and stream a request came on, and it is
// what the log says, on every protocol; what a plugin answers no origin sees.
func TestPluginsWorkOnEveryProtocolAlike(t *testing.T) {
	fields, err := headers.New(headers.Config{
		Request:  headers.Changes{Set: []httpsm.Field{{Name: "X-Session", Value: "${pitag}#${piid}/${stream}"}}},
		Response: headers.Changes{Set: []httpsm.Field{{Name: "X-Via-Plugin", Value: "${status}"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	answers, err := respond.New(respond.Config{Rules: []respond.Rule{{Path: "/local", Body: []byte("from the gateway\n")}}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) { io.WriteString(w, req.Header.Get("X-Session")) },
		func(c *Config) { c.Hooks = hooks(t, fields.Register, answers.Register) })
	sessions := map[string]bool{}
	for _, p := range protocols {
		c, url := r.client(p.client)
		_, body := get(t, c, url+"/origin")
		sessions[body] = true
		resp, err := c.Get(url + "/local")
		if err != nil {
			t.Fatal(err)
		}
		local, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(local) != "from the gateway\n" || resp.Header.Get("X-Via-Plugin") != "200" {
			t.Errorf("%s: %q, %v", p.client, local, resp.Header)
		}
	}
	r.shutdown()
	access, _ := r.log()
	if len(access) != 2*len(protocols) {
		t.Errorf("%d access lines", len(access))
	}
	for _, a := range access {
		switch {
		case a.Path == "/origin" && !sessions[fmt.Sprintf("%s#%d/%d", a.PITag, a.PIID, a.Stream)]:
			t.Errorf("the origin was told %v, the log says %+v", sessions, a)
		case a.Path == "/local" && a.Outcome != "proxy_internal_response":
			t.Errorf("access line: %+v", a)
		}
	}
}

// A hook that panics costs its own transaction, one that blocks holds up its
// own; others on the same connection do not notice.
func TestAHookHurtsOnlyItsOwnTransaction(t *testing.T) {
	release := make(chan struct{})
	h := new(httpsm.Hooks)
	err := h.On(httpsm.ReadRequestHead, func(tx *httpsm.Txn) httpsm.Verdict {
		switch tx.Record().Path {
		case "/panic":
			panic("a bad hook")
		case "/block":
			<-release
		}
		return httpsm.Continue
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil, func(c *Config) { c.Hooks = h })
	c, url := r.loyal("h2")
	get(t, c, url+"/first")
	blocked := make(chan int, 1)
	go func() {
		resp, err := c.Get(url + "/block")
		if err != nil {
			blocked <- 0
			return
		}
		resp.Body.Close()
		blocked <- resp.StatusCode
	}()
	if status, _ := get(t, c, url+"/panic"); status != 500 {
		t.Errorf("the panicking hook's request: %d", status)
	}
	for range 10 {
		if status, body := get(t, c, url+"/fine"); status != 200 || body != "GET /fine" {
			t.Errorf("%d %q", status, body)
		}
	}
	select {
	case status := <-blocked:
		t.Errorf("the blocked hook's request ended with %d", status)
	default:
	}
	close(release)
	if status := <-blocked; status != 200 {
		t.Errorf("the request that waited: %d", status)
	}
	if n := r.metric("h2gw_panics_total"); n != 1 {
		t.Errorf("%v panics counted", n)
	}
	if !strings.Contains(r.people.String(), "a bad hook") {
		t.Errorf("log: %s", r.people.String())
	}
	r.shutdown()
	if _, sessions := r.log(); len(sessions) != 1 || sessions[0].Streams != 13 {
		t.Errorf("session lines: %+v", sessions)
	}
}
