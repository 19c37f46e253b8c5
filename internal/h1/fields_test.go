package h1

import (
	"fmt"
	"strings"
	"testing"
)

func fieldsOf(t testing.TB, lines ...string) *Fields {
	t.Helper()
	f := new(Fields)
	for _, l := range lines {
		name, value, _ := strings.Cut(l, "=")
		if err := f.Add(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestFieldsCannotHoldAMalformedField(t *testing.T) {
	f := fieldsOf(t, "A=1")
	bad := []struct{ name, value string }{
		{"", "x"}, {"A B", "x"}, {"A:", "x"}, {"A\r\n", "x"}, {"\xe4", "x"}, {":path", "x"},
		{"A", "x\r\nB: y"}, {"A", "x\ny"}, {"A", "x\ry"}, {"A", "\x00"}, {"A", "\x7f"}, {"A", " x"}, {"A", "x "}, {"A", "\tx"}, {"A", "x\t"}, {"A", " "},
	}
	for _, c := range bad {
		for how, err := range map[string]error{
			"Add": f.Add(c.name, c.value), "AddBytes": f.AddBytes([]byte(c.name), []byte(c.value)), "Set": f.Set(c.name, c.value),
		} {
			if err == nil {
				t.Errorf("%s took %q: %q", how, c.name, c.value)
			}
		}
	}
	if fieldText(f) != "A=1" {
		t.Errorf("a refused field left %s", fieldText(f))
	}
}

func TestFieldsKeepOrderAndCase(t *testing.T) {
	f := fieldsOf(t, "b=1", "A=2", "B=3", "c=")
	cases := []struct {
		what string
		do   func()
		want string
	}{
		{"as added", func() {}, "b=1|A=2|B=3|c="},
		{"Set replaces the first and removes the others", func() { f.Set("B", "4") }, "B=4|A=2|c="},
		{"Set appends what is new", func() { f.Set("D", "5") }, "B=4|A=2|c=|D=5"},
		{"Add repeats", func() { f.Add("a", "6") }, "B=4|A=2|c=|D=5|a=6"},
		{"Del ignores case", func() { f.Del("A") }, "B=4|c=|D=5"},
		{"Del of what is not there", func() { f.Del("zz") }, "B=4|c=|D=5"},
		{"DelFunc sees names and values", func() { f.DelFunc(func(n, v []byte) bool { return string(n) == "c" || string(v) == "5" }) }, "B=4"},
		{"a field may be added from the same Fields", func() { n, v := f.At(0); f.AddBytes(n, v) }, "B=4|B=4"},
		{"Reset empties", func() { f.Reset() }, ""},
	}
	for _, c := range cases {
		c.do()
		if got := fieldText(f); got != c.want {
			t.Fatalf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestFieldLookups(t *testing.T) {
	f := fieldsOf(t, "Content-Type=a", "X=b", "content-TYPE=c")
	if v, ok := f.Get("CONTENT-type"); !ok || string(v) != "a" {
		t.Errorf("Get returns %q, %v", v, ok)
	}
	if v, ok := f.Get("content-typ"); ok || v != nil {
		t.Errorf("Get of an absent field returns %q", v)
	}
	if !f.Has("x") || f.Has("y") || f.Count("content-type") != 2 || f.Count("y") != 0 || f.Len() != 3 {
		t.Error("Has, Count or Len is wrong")
	}
	// Only letters fold: ^ and ~ differ by the same bit as A and a.
	if g := fieldsOf(t, "^=1"); g.Has("~") {
		t.Error("^ was taken for ~")
	}
	for name := range f.All() {
		if string(name) != "Content-Type" {
			t.Error("All went on after the loop was left")
		}
		break
	}
}

func TestReturnedSlicesCannotReachTheirNeighbours(t *testing.T) {
	f := fieldsOf(t, "A=1", "B=2")
	name, value := f.At(0)
	_, _ = append(name, "xxx"...), append(value, "xxx"...)
	if fieldText(f) != "A=1|B=2" {
		t.Errorf("an append to a returned slice made %s", fieldText(f))
	}
}

func TestCopyFromSharesNothing(t *testing.T) {
	src := fieldsOf(t, "A=1", "B=2")
	dst := fieldsOf(t, "C=3")
	dst.CopyFrom(src)
	src.Reset()
	src.Add("X", "y")
	if fieldText(dst) != "A=1|B=2" {
		t.Errorf("the copy is %s", fieldText(dst))
	}
}

func TestRemoveHopByHop(t *testing.T) {
	cases := []struct {
		rule   string
		keepTE bool
		in     string
		want   string // "refused" for an error
	}{
		{"connection fields go", false, "A=1|Connection=close|Keep-Alive=timeout=5|Proxy-Connection=x|TE=gzip|Transfer-Encoding=chunked|Upgrade=h2c|B=2", "A=1|B=2"},
		{"what Connection names goes", false, "Connection=x-a, X-B|X-A=1|x-b=2|X-C=3", "X-C=3"},
		{"what any Connection line names goes", false, "Connection=x-a|X-A=1|x-b=2|connection=x-b", ""},
		{"empty members are skipped", false, "Connection=, x-a,,|X-A=1|B=2", "B=2"},
		{"options without a field are fine", false, "Connection=close, HTTP2-Settings|B=2", "B=2"},
		{"trailer and others stay", false, "Trailer=A|Via=x|Proxy-Authorization=y", "Trailer=A|Via=x|Proxy-Authorization=y"},
		{"TE: trailers is kept when asked", true, "TE=gzip;q=0.5, Trailers|A=1", "A=1|TE=trailers"},
		{"TE: trailers goes when not asked", false, "TE=trailers|A=1", "A=1"},
		{"another TE goes", true, "TE=gzip|A=1", "A=1"},
		{"Connection naming Content-Length", false, "Connection=content-length|Content-Length=5", "refused"},
		{"Connection naming Host", false, "Connection=close, HOST|Host=h", "refused"},
		{"Connection naming Transfer-Encoding", false, "Connection=Transfer-Encoding|A=1", "refused"},
		{"Connection naming Via", false, "Connection=via", "refused"},
		{"Connection naming Authorization", false, "Connection=Authorization", "refused"},
		{"Connection naming X-Forwarded-For", false, "Connection=x-forwarded-for", "refused"},
		{"Connection with what is no token", false, "Connection=a b", "refused"},
		{"32 options", false, "A=1|Connection=x" + strings.Repeat(",x", 31), "A=1"},
		{"33 options", false, "Connection=x" + strings.Repeat(",x", 32), "refused"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			f := fieldsOf(t, strings.Split(c.in, "|")...)
			err := RemoveHopByHop(f, c.keepTE)
			if c.want == "refused" {
				if wantRefused(t, 0, err, 400); fieldText(f) != c.in {
					t.Errorf("a refused section became %s", fieldText(f))
				}
			} else if err != nil || fieldText(f) != c.want {
				t.Errorf("%s, error %v; want %s", fieldText(f), err, c.want)
			}
		})
	}
}

func TestForbiddenTrailers(t *testing.T) {
	for _, name := range []string{"Content-Length", "transfer-encoding", "HOST", "Trailer", "Authorization", "Set-Cookie", "Content-Type", "Via", "Cache-Control", "If-Match", "Connection"} {
		if !ForbiddenTrailer([]byte(name)) {
			t.Errorf("%s may be in trailers", name)
		}
	}
	for _, name := range []string{"grpc-status", "grpc-message", "ETag", "Server-Timing", "Digest", "X", strings.Repeat("x", 99)} {
		if ForbiddenTrailer([]byte(name)) {
			t.Errorf("%s must not be in trailers", name)
		}
	}
}

func TestNamesInLowerCase(t *testing.T) {
	for _, name := range []string{"Content-Type", "HOST", "x-Own", "X-" + strings.Repeat("Y", 99)} {
		want := strings.ToLower(name)
		if got := LowerName([]byte(name)); got != want {
			t.Errorf("LowerName(%s) is %s", name, got)
		}
		if got := string(AppendLower([]byte("a:"), []byte(name))); got != "a:"+want {
			t.Errorf("AppendLower(%s) is %s", name, got)
		}
	}
}

func ExampleFields() {
	var f Fields
	f.Add("Accept", "text/html")
	f.Add("X-Id", "7")
	v, _ := f.Get("x-id")
	fmt.Println(f.Len(), string(v), f.Add("X", "a\r\nb"))
	// Output: 2 7 http/1.1: a field value holds a control character or white space at an end
}
