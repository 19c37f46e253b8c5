package respond

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/h2gw/h2gw/httpsm"
)

// A Config holds the rules, in order. The zero Config answers nothing.
type Config struct {
	Rules []Rule
}

// A Rule says which requests it answers and how. All conditions must hold; an
// empty one holds always.
type Rule struct {
	// Methods are compared exactly ("GET"); a rule for GET answers HEAD too.
	Methods []string
	// Hosts are compared without port and without regard to case;
	// "*.example.org" stands for any name below example.org, but not for
	// itself.
	Hosts []string
	// Path must be the whole path ("/robots.txt"); PathPrefix its first
	// segments: "/status" holds for /status and /status/db, not for /statusx.
	Path, PathPrefix string

	// Status is from 200 to 599; 0 means 200.
	Status int
	// Fields of the answer. Content-Length and Date are added; Content-Type is
	// text/plain if there is a body and none is given.
	Fields []httpsm.Field
	// Body must not be changed after New.
	Body []byte
}

// A Plugin answers requests. It has no state and is safe for concurrent use.
type Plugin struct{ rules []Rule }

// New returns a plugin for cfg. The error names every fault and what would be
// right.
func New(cfg Config) (*Plugin, error) {
	p := new(Plugin)
	var faults []error
	for i, r := range cfg.Rules {
		if err := r.check(); err != nil {
			faults = append(faults, fmt.Errorf("respond: rule %d: %w", i+1, err))
		}
		p.rules = append(p.rules, r.prepared())
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return p, nil
}

// Register adds the plugin to h.
func (p *Plugin) Register(h *httpsm.Hooks) error {
	if len(p.rules) == 0 {
		return nil
	}
	return h.On(httpsm.PreRoute, p.answer)
}

// answer is the hook.
func (p *Plugin) answer(t *httpsm.Txn) httpsm.Verdict {
	head := t.Request()
	host := hostname(string(head.Authority()))
	path, _, _ := strings.Cut(string(head.Path()), "?")
	for i := range p.rules {
		if r := &p.rules[i]; r.matches(head.Method(), host, path) {
			return t.Reply(r.Status, r.Fields, r.Body)
		}
	}
	return httpsm.Continue
}

// matches is the rule, without I/O. host is lower case and without port.
func (r *Rule) matches(method, host, path string) bool {
	return r.matchesMethod(method) && r.matchesHost(host) && r.matchesPath(path)
}

func (r *Rule) matchesMethod(method string) bool {
	return len(r.Methods) == 0 || slices.Contains(r.Methods, method) ||
		method == "HEAD" && slices.Contains(r.Methods, "GET")
}

func (r *Rule) matchesHost(host string) bool {
	return len(r.Hosts) == 0 || slices.ContainsFunc(r.Hosts, func(want string) bool {
		if below, ok := strings.CutPrefix(want, "*"); ok { // below is ".example.org"
			return len(host) > len(below) && strings.HasSuffix(host, below)
		}
		return host == want
	})
}

func (r *Rule) matchesPath(path string) bool {
	if r.Path != "" {
		return path == r.Path
	}
	rest, ok := strings.CutPrefix(path, r.PathPrefix)
	return ok && (r.PathPrefix == "" || strings.HasSuffix(r.PathPrefix, "/") || rest == "" || rest[0] == '/')
}

// hostname drops the port and the case.
func hostname(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		authority = host
	}
	return strings.ToLower(strings.Trim(authority, "[]"))
}

// prepared is the rule with defaults filled in, sharing only the body.
func (r Rule) prepared() Rule {
	if r.Status == 0 {
		r.Status = 200
	}
	r.Methods = slices.Clone(r.Methods)
	r.Hosts = slices.Clone(r.Hosts)
	for i, h := range r.Hosts {
		r.Hosts[i] = strings.ToLower(strings.Trim(h, "[]"))
	}
	r.Fields = slices.Clone(r.Fields)
	typed := slices.ContainsFunc(r.Fields, func(f httpsm.Field) bool { return strings.EqualFold(f.Name, "content-type") })
	if len(r.Body) > 0 && !typed {
		r.Fields = append(r.Fields, httpsm.Field{Name: "Content-Type", Value: "text/plain; charset=utf-8"})
	}
	return r
}
