package headers

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/h2gw/h2gw/httpsm"
)

// A variable appends what it stands for to b.
type variable struct {
	name     string
	response bool // known in the response only
	append   func(b []byte, t *httpsm.Txn) []byte
}

var variables = []variable{
	{name: "alpn", append: func(b []byte, t *httpsm.Txn) []byte { return append(b, t.Session().ALPN()...) }},
	{name: "client", append: func(b []byte, t *httpsm.Txn) []byte { return appendIf(b, t.Client(), netip.AddrPort.AppendTo) }},
	{name: "client_ip", append: func(b []byte, t *httpsm.Txn) []byte {
		return appendIf(b, t.Client(), func(a netip.AddrPort, b []byte) []byte { return a.Addr().Unmap().AppendTo(b) })
	}},
	{name: "client_port", append: func(b []byte, t *httpsm.Txn) []byte {
		return appendIf(b, t.Client(), func(a netip.AddrPort, b []byte) []byte { return strconv.AppendUint(b, uint64(a.Port()), 10) })
	}},
	{name: "group", append: func(b []byte, t *httpsm.Txn) []byte {
		if _, g := t.Route(); g != nil {
			b = append(b, g.Name()...)
		}
		return b
	}},
	{name: "host", append: func(b []byte, t *httpsm.Txn) []byte { return append(b, t.Record().Host...) }},
	{name: "listener", append: func(b []byte, t *httpsm.Txn) []byte { return append(b, t.Session().Listener...) }},
	{name: "method", append: func(b []byte, t *httpsm.Txn) []byte { return append(b, t.Record().Method...) }},
	{name: "origin", append: func(b []byte, t *httpsm.Txn) []byte { return append(b, t.Origin()...) }},
	{name: "path", append: func(b []byte, t *httpsm.Txn) []byte { return append(b, t.Record().Path...) }},
	{name: "piid", append: func(b []byte, t *httpsm.Txn) []byte { return strconv.AppendUint(b, t.Identity().ID, 10) }},
	{name: "pitag", append: func(b []byte, t *httpsm.Txn) []byte { return append(b, t.Identity().TagText()...) }},
	{name: "request_id", append: requestID},
	{name: "route", append: func(b []byte, t *httpsm.Txn) []byte { r, _ := t.Route(); return append(b, r...) }},
	{name: "scheme", append: func(b []byte, t *httpsm.Txn) []byte { return append(b, t.Session().Scheme()...) }},
	{name: "sni", append: func(b []byte, t *httpsm.Txn) []byte {
		return ifTLS(b, t, func(s *tls.ConnectionState) string { return s.ServerName })
	}},
	{name: "status", response: true, append: func(b []byte, t *httpsm.Txn) []byte {
		return strconv.AppendInt(b, int64(t.Response().Status()), 10)
	}},
	{name: "stream", append: func(b []byte, t *httpsm.Txn) []byte { return strconv.AppendUint(b, uint64(t.Stream()), 10) }},
	{name: "tls_cipher", append: func(b []byte, t *httpsm.Txn) []byte {
		return ifTLS(b, t, func(s *tls.ConnectionState) string { return tls.CipherSuiteName(s.CipherSuite) })
	}},
	{name: "tls_version", append: func(b []byte, t *httpsm.Txn) []byte {
		return ifTLS(b, t, func(s *tls.ConnectionState) string { return tls.VersionName(s.Version) })
	}},
	{name: "txn", append: func(b []byte, t *httpsm.Txn) []byte { return strconv.AppendUint(b, t.Number(), 10) }},
}

// requestID prefers what goes to the origin: an earlier hook may have made one.
func requestID(b []byte, t *httpsm.Txn) []byte {
	if id, ok := t.OriginRequest().Fields.Get("X-Request-Id"); ok {
		return append(b, id...)
	}
	return append(b, t.Record().RequestID...)
}

func appendIf(b []byte, a netip.AddrPort, to func(netip.AddrPort, []byte) []byte) []byte {
	if !a.IsValid() {
		return b
	}
	return to(a, b)
}

func ifTLS(b []byte, t *httpsm.Txn, get func(*tls.ConnectionState) string) []byte {
	if s := t.Session().TLS; s != nil {
		b = append(b, get(s)...)
	}
	return b
}

// A template is a value: pieces of text and variables in turn.
type template struct {
	fixed string // the whole value, if parts is nil
	parts []part
}

type part struct {
	text string
	v    *variable // nil: text only
}

// parse reads a value.
func parse(s string, isResponse bool) (template, error) {
	var f httpsm.Fields
	if err := f.Add("x", s); err != nil {
		return template{}, fmt.Errorf("value %q: %w", s, err)
	}
	t := template{}
	var text strings.Builder
	for s != "" {
		before, rest, found := strings.Cut(s, "$")
		text.WriteString(before)
		switch {
		case !found:
			s = ""
		case strings.HasPrefix(rest, "$"):
			text.WriteByte('$')
			s = rest[1:]
		case strings.HasPrefix(rest, "{"):
			name, after, closed := strings.Cut(rest[1:], "}")
			if !closed {
				return template{}, fmt.Errorf("value has ${%s without }: write ${name}, or $$ for a dollar sign", name)
			}
			v, err := lookup(name, isResponse)
			if err != nil {
				return template{}, err
			}
			t.parts = append(t.parts, part{text: text.String(), v: v})
			text.Reset()
			s = after
		default:
			return template{}, fmt.Errorf("value has a lone $ before %q: write ${name}, or $$ for a dollar sign", rest)
		}
	}
	if t.parts == nil {
		t.fixed = text.String()
	} else if text.Len() > 0 {
		t.parts = append(t.parts, part{text: text.String()})
	}
	return t, nil
}

// expand returns the value for a transaction.
func (t template) expand(txn *httpsm.Txn) string {
	if t.parts == nil {
		return t.fixed
	}
	var room [128]byte
	b := room[:0]
	for _, p := range t.parts {
		b = append(b, p.text...)
		if p.v != nil {
			b = p.v.append(b, txn)
		}
	}
	return string(b)
}

// lookup finds a variable; the error names what was probably meant.
func lookup(name string, isResponse bool) (*variable, error) {
	i := slices.IndexFunc(variables, func(v variable) bool { return v.name == name })
	if i < 0 {
		return nil, fmt.Errorf("unknown variable ${%s}: %s", name, suggest(name, isResponse))
	}
	if v := &variables[i]; isResponse || !v.response {
		return v, nil
	}
	return nil, fmt.Errorf("variable ${%s} is known in the response only", name)
}

// suggest names the nearest variables, or all if none is near.
func suggest(name string, isResponse bool) string {
	var all, near []string
	best := max(2, len(name)/2) + 1
	for _, v := range variables {
		if v.response && !isResponse {
			continue
		}
		shown := "${" + v.name + "}"
		all = append(all, shown)
		switch d := distance(strings.ToLower(name), v.name); {
		case d < best:
			best, near = d, []string{shown}
		case d == best && near != nil:
			near = append(near, shown)
		}
	}
	if near != nil {
		return "did you mean " + strings.Join(near, " or ") + "?"
	}
	return "there are " + strings.Join(all, " ")
}

// distance is how many letters must be changed, put in or taken out to make b
// of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
