package h2session

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/h1"
)

// FuzzTranslate sends fields through HPACK into a request head and reads the
// HTTP/1.1 text of it back: what the session accepts is one request to everybody
// who reads it, with the fields that were sent and no other.
func FuzzTranslate(f *testing.F) {
	f.Add("GET", "/", "a", "x", "1", "cookie", "b=2", true)
	f.Add("POST", "/a?b", "a:80", "content-length", "3", "cookie", "b=2", false)
	f.Add("GET", "/\r\nX: y", "a\r\nb: c", "x: y", "1\r\n\r\nGET / HTTP/1.1", "te", "trailers", true)
	f.Add("OPTIONS", "*", "[::1]", "host", "[::1]", "\x00", "\xff", true)
	f.Add("GET ", "/ HTTP/1.1", "u@a", "transfer-encoding", "chunked", "Upper", " v ", false)
	f.Fuzz(func(t *testing.T, method, path, authority, name1, value1, name2, value2 string, end bool) {
		fields := []hpack.HeaderField{
			{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"},
			{Name: ":authority", Value: authority}, {Name: ":path", Value: path},
			{Name: name1, Value: value1}, {Name: name2, Value: value2},
		}
		text, ok := translate(t, fields, end)
		if !ok {
			return
		}
		std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			// net/http parses the target as a URL, which is not our business.
			if strings.Contains(err.Error(), "parse ") {
				return
			}
			t.Fatalf("net/http refuses what was made of %q: %v\n%q", fields, err, text)
		}
		if std.Method != method || std.RequestURI != path || !strings.EqualFold(std.Host, authority) {
			t.Fatalf("net/http sees %q %q %q in %q", std.Method, std.RequestURI, std.Host, text)
		}
		if n := bytes.Count(text, []byte("\r\n")); n != 2+countFields(t, text) {
			t.Fatalf("%d line ends in %q", n, text)
		}
	})
}

// translate is what the read loop does with a block; ok is false when the
// request is refused.
func translate(t *testing.T, fields []hpack.HeaderField, end bool) (text []byte, ok bool) {
	var wire bytes.Buffer
	enc := hpack.NewEncoder(&wire)
	for _, f := range fields {
		if err := enc.WriteField(f); err != nil {
			t.Fatal(err)
		}
	}
	b := newHeaderBlock(new(Config))
	b.begin(1, end, false)
	if b.fragment(wire.Bytes()) != nil || b.finish() != nil || b.tooMany || b.longTarget {
		return nil, false
	}
	var r request
	if r.build(b) != "" {
		return nil, false
	}
	text = r.text
	var back h1.RequestHead
	n, err := h1.ParseRequestHead(&back, text, h1.Limits{})
	if err != nil || n != len(text) {
		t.Fatalf("of the %d bytes made of %q our own reader takes %d: %v\n%q", len(text), fields, n, err, text)
	}
	for _, f := range fields[4:] {
		wantField(t, &back.Fields, f, fields)
	}
	return text, true
}

// wantField: a field that was accepted has arrived, unless it is one that the
// translation merges or moves.
func wantField(t *testing.T, fs *h1.Fields, f hpack.HeaderField, all []hpack.HeaderField) {
	for name, value := range fs.All() {
		got := strings.ToLower(string(name))
		switch {
		case got != f.Name:
		case got == "host" && strings.EqualFold(string(value), f.Value):
			return
		case got == "cookie" && strings.Contains(string(value), f.Value):
			return
		case string(value) == f.Value:
			return
		}
	}
	t.Fatalf("field %q of %q is not in what was made of it", f, all)
}

func countFields(t *testing.T, text []byte) int {
	var h h1.RequestHead
	if _, err := h1.ParseRequestHead(&h, text, h1.Limits{}); err != nil {
		t.Fatal(err)
	}
	return h.Fields.Len()
}

// FuzzResponseFields sends a response head's fields through the encoder and a
// decoder: the client sees each of them in lower case and in order, except those
// that HTTP/2 may not carry.
func FuzzResponseFields(f *testing.F) {
	f.Add(200, "Content-Type", "text/html", "X-A", "1")
	f.Add(404, "Connection", "close", "Set-Cookie", "a=b")
	f.Add(599, "UPPER", "\xff", "transfer-encoding", "chunked")
	f.Fuzz(func(t *testing.T, status int, name1, value1, name2, value2 string) {
		var fs h1.Fields
		if fs.Add(name1, value1) != nil || fs.Add(name2, value2) != nil || fs.Add(name1, value2) != nil {
			return
		}
		enc := newBlockEncoder()
		dec := hpack.NewDecoder(4096, nil)
		for range 3 { // the tables of both sides move
			enc.head(status, &fs)
			got, err := dec.DecodeFull(enc.block)
			if err != nil {
				t.Fatalf("the block does not decode: %v", err)
			}
			var want []string
			for name, value := range fs.All() {
				if lower := strings.ToLower(string(name)); !connectionSpecific(lower) {
					want = append(want, lower+": "+string(value))
				}
			}
			if len(got) != len(want)+1 || got[0].Name != ":status" {
				t.Fatalf("%d fields became %v", len(want), got)
			}
			for i, w := range want {
				if g := got[i+1].Name + ": " + got[i+1].Value; g != w {
					t.Fatalf("field %d is %q, want %q", i, g, w)
				}
			}
		}
	})
}
