package h1

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A plainField and a slice of them are what Fields is a fast form of.
type plainField struct{ name, value string }

type plainFields []plainField

func (p plainFields) text() string {
	var b strings.Builder
	for _, f := range p {
		b.WriteString(f.name + ": " + f.value + "\r\n")
	}
	return b.String()
}

func (p plainFields) without(name string) plainFields {
	return slices.DeleteFunc(slices.Clone(p), func(f plainField) bool { return strings.EqualFold(f.name, name) })
}

func (p plainFields) set(name, value string) plainFields {
	i := slices.IndexFunc(p, func(f plainField) bool { return strings.EqualFold(f.name, name) })
	if i < 0 {
		return append(p, plainField{name, value})
	}
	return append(append(slices.Clone(p[:i]), plainField{name, value}), p[i+1:].without(name)...)
}

// Fields does what a plain slice of names and values does, whatever is done to it in
// whatever order: names of all kinds, text that was parsed in any spacing, lines
// that were added, replaced and removed.
func TestFieldsAreWhatAPlainListIs(t *testing.T) {
	names := []string{"Host", "host", "Via", "TE", "content-length", "Content-Length", "X-Own", "x-own", "x-other", "ETag", "etag", "Vary", "Connection", "A"}
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		pick := func() string { return names[rnd.IntN(len(names))] }
		var f, parsed Fields
		var want plainFields
		var in strings.Builder
		for range rnd.IntN(8) {
			name, value := pick(), fmt.Sprint(rnd.IntN(9))
			in.WriteString(name + ":" + strings.Repeat(" ", rnd.IntN(3)) + value + strings.Repeat("\t", rnd.IntN(5)/4) + "\r\n")
			want = append(want, plainField{name, value})
		}
		if _, err := parsed.parseSection([]byte(in.String()+"\r\n"), 100); err != nil {
			t.Fatal(err)
		}
		f.CopyFrom(&parsed)
		var log strings.Builder
		for range 20 {
			name, value := pick(), fmt.Sprint(rnd.IntN(99))
			id := NameOfString(name)
			op := rnd.IntN(8)
			fmt.Fprintf(&log, "%d %s=%s\n", op, name, value)
			switch {
			case op == 0:
				f.Add(name, value)
				want = append(want, plainField{name, value})
			case op == 1:
				f.AddLine(MustLine(name, value))
				want = append(want, plainField{name, value})
			case op == 2 && id != NameOther:
				f.AddName(id, []byte(value))
				want = append(want, plainField{nameList[id].text, value})
			case op == 3:
				f.Set(name, value)
				want = want.set(name, value)
			case op == 4:
				f.Del(name)
				want = want.without(name)
			case op == 5 && id.tracked():
				f.DelNames(SetOf(id, NameTE))
				want = want.without(name).without("te")
			case op == 6:
				f.DelFunc(func(n, v []byte) bool { return string(v) == value || EqualFold(n, "via") })
				want = slices.DeleteFunc(want.without("via"), func(f plainField) bool { return f.value == value })
			}
			if got := string(appendFields(nil, &f)); got != want.text() {
				t.Fatalf("seed %d: %q, want %q after\n%s", seed, got, want.text(), log.String())
			}
			checkLookups(t, &f, want, pick())
		}
	}
}

func checkLookups(t *testing.T, f *Fields, want plainFields, name string) {
	t.Helper()
	n, first := 0, ""
	for _, w := range want {
		if strings.EqualFold(w.name, name) {
			if n++; n == 1 {
				first = w.value
			}
		}
	}
	v, ok := f.Get(name)
	if f.Len() != len(want) || f.Has(name) != (n > 0) || f.Count(name) != n || ok != (n > 0) || string(v) != first {
		t.Fatalf("%s: Get %q, %v, Has %v, Count %d; it is there %d times", name, v, ok, f.Has(name), f.Count(name), n)
	}
	if id := NameOfString(name); id != NameOther {
		v, ok := f.Value(id)
		if ok != (n > 0) || string(v) != first || f.HasName(id) != (n > 0) {
			t.Fatalf("%s: Value %q, %v, HasName %v; it is there %d times", name, v, ok, f.HasName(id), n)
		}
		if id.tracked() {
			if v, once := f.Once(id); once != (n == 1) || once && string(v) != first || f.HasAny(SetOf(id)) != (n > 0) {
				t.Fatalf("%s: Once %q, %v, HasAny %v; it is there %d times", name, v, once, f.HasAny(SetOf(id)), n)
			}
		}
	}
	for i, w := range want {
		if id, name, value := f.Line(i); string(name) != w.name || string(value) != w.value || id != NameOfString(w.name) {
			t.Fatalf("line %d is %d %q %q, want %q", i, id, name, value, w)
		}
	}
}

// What parseUsual takes, parseLine takes as the same.
func TestTheUsualLineIsReadAsByTheRule(t *testing.T) {
	lines := []string{
		"Host: h\r\n", "host: example.com:80\r\n", "X-Own: a b\tc\r\n", "A: \r\n", "A:b\r\n", "A:  b\r\n", "A: b \r\n", "A: b\t\r\n", "A: \tb\r\n",
		"Content-Length: 5\r\n", "content-lengthx: 5\r\n", "Transfer-Encoding : chunked\r\n", ": x\r\n", "Accept-Language: \xc3\xa4\r\n", "a-name-of-more-than-8-letters: x\r\n",
	}
	for _, line := range lines {
		for at := -1; at < len(line); at++ {
			for c := range 256 {
				b := []byte(line + "Via: x\r\n\r\n")
				if at >= 0 {
					b[at] = byte(c)
				}
				for end := len(line) - 1; end <= len(b); end++ {
					sameLine(t, b[:end])
				}
				if at < 0 {
					break
				}
			}
		}
	}
}

func sameLine(t *testing.T, b []byte) {
	t.Helper()
	var usual, rule Fields
	n, cut := usual.parseUsual(b, 0, 1)
	if n == 0 {
		if m, err := rule.parseLine(b, 0, 1); cut && (m != 0 || err != nil) {
			t.Fatalf("%q is no good start of a line: %v", b, err)
		}
		if len(usual.lines) != 0 || usual.present != 0 {
			t.Fatalf("%q is not taken, but left something", b)
		}
		return
	}
	m, err := rule.parseLine(b, 0, 1)
	if err != nil || n != m || usual.lines[0] != rule.lines[0] || usual.present != rule.present {
		t.Fatalf("%q: %d %+v, by the rule %d %+v %v", b, n, usual.lines, m, rule.lines, err)
	}
}

func TestForwardIsWhatTheOriginGets(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"GET /a?b HTTP/1.1\r\nHost: h\r\nA:b\r\n\r\n", "GET /a?b HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n"},
		{"GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", "GET /?q HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"X-OWN / HTTP/1.0\r\n\r\n", "X-OWN / HTTP/1.1\r\n\r\n"},
	} {
		var from, to RequestHead
		to.SetMethod("CONNECT")
		to.SetTarget([]byte("old:1"))
		to.Fields.Add("Old", "x")
		if n, err := ParseRequestHead(&from, []byte(c.in), Limits{}); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		if err := to.Forward(&from); err != nil || string(AppendRequestHead(nil, &to)) != c.want || string(to.Path()) != string(from.Path()) {
			t.Errorf("%q becomes %q, %v", c.in, AppendRequestHead(nil, &to), err)
		}
	}
	var from, to RequestHead
	wantRefused(t, 0, to.Forward(&from), 400)
	from.SetMethod("CONNECT")
	from.SetTarget([]byte("h:1"))
	wantRefused(t, 0, to.Forward(&from), 400)
	from.Reset()
	from.SetMethod("OPTIONS")
	from.SetTarget([]byte("http://h"))
	from.SetMethod("GET")
	wantRefused(t, 0, to.Forward(&from), 400)
}

func TestALineIsCheckedOnce(t *testing.T) {
	var f Fields
	f.AddLine(Line{})
	if f.Len() != 0 {
		t.Error("the zero Line added something")
	}
	if _, err := NewLine("A", "b\r\nC: d"); err == nil {
		t.Error("a line of two fields was made")
	}
	wantRefused(t, 0, f.AddName(NameVia, []byte(" x")), 400)
	defer func() {
		if recover() == nil {
			t.Error("MustLine took a name that is none")
		}
	}()
	MustLine("a b", "c")
}
