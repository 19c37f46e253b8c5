package headers

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/h2gw/h2gw/httpsm"
)

// A Config says which fields change. The zero Config changes nothing.
type Config struct {
	Request  Changes // on the request to the origin
	Response Changes // on the response to the client
}

// Changes to one field section, done in this order. Names are matched without
// regard to case; values may hold variables.
type Changes struct {
	Remove []string       // every field of that name
	Set    []httpsm.Field // replaces every field of that name
	Add    []httpsm.Field // beside those that are there
}

// A Plugin changes fields. It has no state and is safe for concurrent use.
type Plugin struct{ request, response []change }

// A change is one field's, ready to run.
type change struct {
	kind  kind
	name  string
	value template
}

type kind uint8

const (
	remove kind = iota
	set
	add
)

// New returns a plugin for cfg. The error names every fault: a name or value
// that is not a field's, a variable that does not exist (with the nearest right
// ones), a field that is the gateway's.
func New(cfg Config) (*Plugin, error) {
	request, err1 := compile("request", cfg.Request, false)
	response, err2 := compile("response", cfg.Response, true)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return &Plugin{request: request, response: response}, nil
}

// Register adds the plugin to h.
func (p *Plugin) Register(h *httpsm.Hooks) error {
	var err1, err2 error
	if len(p.request) > 0 {
		err1 = h.On(httpsm.SendRequestHead, func(t *httpsm.Txn) httpsm.Verdict {
			apply(p.request, &t.OriginRequest().Fields, t)
			return httpsm.Continue
		})
	}
	if len(p.response) > 0 {
		err2 = h.On(httpsm.SendResponseHead, func(t *httpsm.Txn) httpsm.Verdict {
			apply(p.response, &t.Response().Fields, t)
			return httpsm.Continue
		})
	}
	return errors.Join(err1, err2)
}

// apply makes the changes. What a variable brought that no field may hold is
// treated as empty: Fields refuses it.
func apply(changes []change, f *httpsm.Fields, t *httpsm.Txn) {
	for _, c := range changes {
		if c.kind == remove {
			f.Del(c.name)
			continue
		}
		value := strings.Trim(c.value.expand(t), " \t")
		switch {
		case c.kind == add && value != "":
			f.Add(c.name, value)
		case c.kind == set && (value == "" || f.Set(c.name, value) != nil):
			f.Del(c.name)
		}
	}
}

// compile checks the changes of one side.
func compile(side string, c Changes, isResponse bool) ([]change, error) {
	var out []change
	var faults []error
	fault := func(verb, name string, err error) {
		faults = append(faults, fmt.Errorf("headers: %s, %s %q: %w", side, verb, name, err))
	}
	for _, name := range c.Remove {
		if err := checkName(name, remove, isResponse); err != nil {
			fault("remove", name, err)
		}
		out = append(out, change{kind: remove, name: name})
	}
	lists := []struct {
		verb   string
		kind   kind
		fields []httpsm.Field
	}{{"set", set, c.Set}, {"add", add, c.Add}}
	for _, l := range lists {
		for _, field := range l.fields {
			value, err := parse(field.Value, isResponse)
			if err = errors.Join(checkName(field.Name, l.kind, isResponse), err); err != nil {
				fault(l.verb, field.Name, err)
			}
			out = append(out, change{kind: l.kind, name: field.Name, value: value})
		}
	}
	return out, errors.Join(faults...)
}

// reserved fields are the gateway's: they frame a message or belong to one
// connection (RFC 9110 section 7.6.1, RFC 9112 section 6).
var reserved = []string{
	"connection", "content-length", "keep-alive", "proxy-connection",
	"te", "trailer", "transfer-encoding", "upgrade",
}

// checkName says what is wrong with changing a field of that name.
func checkName(name string, k kind, isResponse bool) error {
	var f httpsm.Fields
	if err := f.Add(name, "x"); err != nil {
		return fmt.Errorf("not a field name: want a token such as X-Request-Start: %w", err)
	}
	lower := strings.ToLower(name)
	if slices.Contains(reserved, lower) {
		return errors.New("this field frames the message or belongs to the connection: the gateway writes it")
	}
	if lower == "host" && !isResponse && k != set {
		return errors.New("a request has exactly one Host: it can be set, not added or removed")
	}
	return nil
}
