package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A testCase is one case of a file.
type testCase struct {
	file      string
	line      int
	name      string
	ref       string   // RFC section, CVE, or both
	known     string   // why it fails; "" = it must pass
	on        []string // protocols of the client
	set       []string // settings of the gateway
	handshake bool     // false: the client's first bytes are the case's own
	steps     []step
	access    []map[string]string // what access lines must hold, one each
	session   map[string]string   // what the session line must hold
}

// A step is something that one side does, or that it must see.
type step struct {
	client, sends bool
	line          int
	items         []item
}

// An item is a line of a step, and the lines indented below it.
type item struct {
	where string // file:line
	text  string
	sub   []string
}

func (it *item) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s", it.where, fmt.Sprintf(format, args...))
}

// The protocols a client can speak: over TLS, or the same in cleartext.
const (
	protoH2    = "h2"
	protoH2C   = "h2c"
	protoHTTPS = "https"    // HTTP/1.1 over TLS
	protoHTTP  = "http/1.1" // HTTP/1.1 in cleartext
)

var protocols = []string{protoH2, protoH2C, protoHTTPS, protoHTTP}

func loadCases(dir string) ([]*testCase, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	var all []*testCase
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		cs, err := parseFile(strings.TrimSuffix(filepath.Base(f), ".txt"), string(b))
		if err != nil {
			return nil, err
		}
		all = append(all, cs...)
	}
	return all, nil
}

// A parser reads one file line by line.
type parser struct {
	file  string
	cases []*testCase
	names map[string]bool
	line  int
	step  *step // that indented lines belong to; nil when the keyword takes none
	inner bool  // the step began on its keyword's line: what is indented is its sub-lines
}

func parseFile(name, text string) ([]*testCase, error) {
	p := &parser{file: name, names: make(map[string]bool)}
	for l := range strings.Lines(text) {
		p.line++
		l = strings.TrimRight(l, " \r\n")
		if s := strings.TrimSpace(l); s == "" || s[0] == '#' {
			continue
		}
		if err := p.take(l); err != nil {
			return nil, fmt.Errorf("%s.txt:%d: %w", p.file, p.line, err)
		}
	}
	for _, c := range p.cases {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%s.txt:%d: case %q: %w", c.file, c.line, c.name, err)
		}
	}
	return p.cases, nil
}

func (c *testCase) check() error {
	switch {
	case c.ref == "":
		return fmt.Errorf("no ref: name the RFC section or CVE")
	case len(c.steps) == 0:
		return fmt.Errorf("no steps")
	case !slices.ContainsFunc(c.steps, func(s step) bool { return !s.client && !s.sends }):
		return fmt.Errorf(`it says nothing about what the origin must see: write "origin sees nothing" if that is so`)
	case !slices.ContainsFunc(c.steps, func(s step) bool { return s.client && !s.sends }):
		return fmt.Errorf("it says nothing about what the client must see")
	}
	for _, p := range c.on {
		if !slices.Contains(protocols, p) {
			return fmt.Errorf("on %q: the protocols are %v", p, protocols)
		}
	}
	return nil
}

// take reads one line that is not empty.
func (p *parser) take(l string) error {
	if strings.ContainsRune(l, '\t') {
		return fmt.Errorf(`a tab: indent by spaces, and write \t in text`)
	}
	text := strings.TrimLeft(l, " ")
	depth := (len(l) - len(text) + 1) / 2
	if depth > 0 {
		return p.indented(depth, text)
	}
	p.step = nil
	word, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	if word == "case" {
		return p.begin(rest)
	}
	if len(p.cases) == 0 {
		return fmt.Errorf("%q comes before the first case", word)
	}
	return p.keyword(p.cases[len(p.cases)-1], word, rest)
}

func (p *parser) begin(name string) error {
	if name == "" || p.names[name] {
		return fmt.Errorf("the case's name %q is empty or used twice in this file", name)
	}
	p.names[name] = true
	p.cases = append(p.cases, &testCase{
		file: p.file, line: p.line, name: name, on: []string{protoH2, protoH2C}, handshake: true,
	})
	return nil
}

func (p *parser) keyword(c *testCase, word, rest string) error {
	switch word {
	case "ref":
		c.ref = rest
	case "known":
		c.known = rest
	case "on":
		c.on = strings.Fields(rest)
	case "set":
		c.set = append(c.set, strings.Fields(rest)...)
	case "handshake":
		if rest != "off" {
			return fmt.Errorf(`handshake knows only "off"`)
		}
		c.handshake = false
	case "log":
		m, err := pairs(rest)
		c.access = append(c.access, m)
		return err
	case "session":
		m, err := pairs(rest)
		c.session = m
		return err
	case "client", "origin":
		return p.beginStep(c, word == "client", rest)
	default:
		return fmt.Errorf("unknown keyword %q", word)
	}
	return nil
}

func pairs(s string) (map[string]string, error) {
	m := make(map[string]string)
	for _, w := range strings.Fields(s) {
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not name=value", w)
		}
		m[k] = v
	}
	return m, nil
}

func (p *parser) beginStep(c *testCase, client bool, rest string) error {
	verb, rest, _ := strings.Cut(rest, " ")
	if verb != "sends" && verb != "sees" {
		return fmt.Errorf("%q: a side sends or sees", verb)
	}
	c.steps = append(c.steps, step{client: client, sends: verb == "sends", line: p.line})
	p.step = &c.steps[len(c.steps)-1]
	rest = strings.TrimLeft(rest, " ")
	p.inner = rest != ""
	if p.inner {
		p.add(rest)
	}
	return nil
}

func (p *parser) add(text string) {
	p.step.items = append(p.step.items, item{where: fmt.Sprintf("%s.txt:%d", p.file, p.line), text: text})
}

func (p *parser) indented(depth int, text string) error {
	switch {
	case p.step == nil:
		return fmt.Errorf("an indented line that belongs to no step")
	case depth == 1 && !p.inner:
		p.add(text)
	case depth == 2 && !p.inner && len(p.step.items) > 0, depth == 1 && p.inner:
		it := &p.step.items[len(p.step.items)-1]
		it.sub = append(it.sub, text)
	default:
		return fmt.Errorf("indented by too much: two spaces for each level")
	}
	return nil
}
