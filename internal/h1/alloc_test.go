package h1

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// thirtyFields is a request as a browser behind a proxy sends it.
var thirtyFields = func() []byte {
	var b strings.Builder
	b.WriteString("GET /articles/2026/some-long-title?ref=home&utm_source=x HTTP/1.1\r\nHost: www.example.com\r\n")
	for i := range 29 {
		fmt.Fprintf(&b, "X-Field-Number-%d: some value of a length that is usual, %d\r\n", i, i)
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}()

var thirtyFieldResponse = append([]byte("HTTP/1.1 200 OK\r\n"), thirtyFields[bytes.IndexByte(thirtyFields, '\n')+1:]...)

func wantNoAllocs(t *testing.T, what string, f func()) {
	t.Helper()
	f() // buffers grow to their size once
	if n := testing.AllocsPerRun(200, f); n != 0 {
		t.Errorf("%s: %v allocations per run, want none", what, n)
	}
}

func TestAPooledMessageDoesNotAllocate(t *testing.T) {
	var q, built RequestHead
	var p ResponseHead
	var r BodyReader
	var out, name []byte
	must := func(n int, err error) {
		if err != nil || n == 0 {
			panic(fmt.Sprint(n, err))
		}
	}
	wantNoAllocs(t, "a request head", func() { must(ParseRequestHead(&q, thirtyFields, Limits{})) })
	wantNoAllocs(t, "a request head in two parts", func() {
		ParseRequestHead(&q, thirtyFields[:500], Limits{})
		must(ContinueRequestHead(&q, thirtyFields, Limits{}))
	})
	wantNoAllocs(t, "a response head", func() { must(ParseResponseHead(&p, thirtyFieldResponse, Limits{})) })
	wantNoAllocs(t, "an unregistered method that repeats", func() {
		must(ParseRequestHead(&built, []byte("X-OWN http://h?q HTTP/1.1\r\nHost: h\r\n\r\n"), Limits{}))
	})
	wantNoAllocs(t, "lookups", func() {
		if !q.Fields.Has("x-field-NUMBER-28") || q.Fields.Count("nothing") != 0 || len(q.Authority()) == 0 || len(q.Path()) == 0 {
			panic("lookup")
		}
	})
	wantNoAllocs(t, "framing and keep-alive", func() {
		if _, err := RequestFraming(&q); err != nil || !RequestKeepAlive(&q) {
			panic(err)
		}
	})
	wantNoAllocs(t, "appending heads", func() { out = AppendResponseHead(AppendRequestHead(out[:0], &q), &p) })
	wantNoAllocs(t, "building a head from parts", func() {
		built.Reset()
		if built.SetMethod("POST") != nil || built.SetTarget([]byte("/x")) != nil ||
			built.Fields.AddBytes([]byte("accept"), []byte("*/*")) != nil || built.Fields.Set("host", "h") != nil {
			panic("refused")
		}
	})
	wantNoAllocs(t, "hop-by-hop fields", func() {
		built.Fields.Reset()
		built.Fields.Add("Connection", "x-a, close")
		built.Fields.Add("TE", "trailers")
		built.Fields.Add("X-A", "b")
		if RemoveHopByHop(&built.Fields, true) != nil || built.Fields.Len() != 1 {
			panic("hop-by-hop")
		}
	})
	wantNoAllocs(t, "lower-case names", func() {
		name = AppendLower(name[:0], []byte("X-Own-Name"))
		if LowerName([]byte("Content-Type")) != "content-type" || InternMethod([]byte("GET")) != "GET" {
			panic("names")
		}
	})
	chunks := []byte("5;x=y\r\nhello\r\n5\r\nworld\r\n0\r\ngrpc-status: 0\r\n\r\n")
	wantNoAllocs(t, "a chunked body with trailers", func() {
		r.Reset(Framing{Kind: Chunked}, Limits{})
		for in := chunks; !r.Done(); {
			_, n, err := r.Next(in)
			must(n, err)
			in = in[n:]
		}
	})
	wantNoAllocs(t, "appending chunks", func() {
		out = AppendLastChunk(AppendChunk(out[:0], chunks), r.Trailers())
	})
}

func BenchmarkParseRequestHead(b *testing.B) {
	small := []byte("GET / HTTP/1.1\r\nhost: example.com\r\nuser-agent: h2load nghttp2/1.59.0\r\n\r\n")
	for _, c := range []struct {
		name string
		head []byte
	}{{"2-fields", small}, {"30-fields", thirtyFields}} {
		b.Run(c.name, func(b *testing.B) {
			var h RequestHead
			b.ReportAllocs()
			b.SetBytes(int64(len(c.head)))
			for b.Loop() {
				if n, err := ParseRequestHead(&h, c.head, Limits{}); n == 0 || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkParseResponseHead(b *testing.B) {
	var h ResponseHead
	head := []byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 23 Nov 2026 05:00:00 GMT\r\nContent-Type: text/plain\r\n" +
		"Content-Length: 1024\r\nConnection: keep-alive\r\nETag: \"abc\"\r\n\r\n")
	b.ReportAllocs()
	b.SetBytes(int64(len(head)))
	for b.Loop() {
		if n, err := ParseResponseHead(&h, head, Limits{}); n == 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}

// A client that sends its head byte by byte: what each further byte costs.
func BenchmarkContinueRequestHeadByteByByte(b *testing.B) {
	var h RequestHead
	b.ReportAllocs()
	b.SetBytes(int64(len(thirtyFields)))
	for b.Loop() {
		h.Reset()
		for i := range thirtyFields {
			if _, err := ContinueRequestHead(&h, thirtyFields[:i+1], Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkAppendRequestHead(b *testing.B) {
	var h RequestHead
	if _, err := ParseRequestHead(&h, thirtyFields, Limits{}); err != nil {
		b.Fatal(err)
	}
	var out []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(thirtyFields)))
	for b.Loop() {
		out = AppendRequestHead(out[:0], &h)
	}
}

func BenchmarkBuildRequestHead(b *testing.B) {
	var h RequestHead
	name, value := []byte("user-agent"), []byte("h2load nghttp2/1.59.0")
	b.ReportAllocs()
	for b.Loop() {
		h.Reset()
		h.SetMethod("GET")
		h.SetTarget([]byte("/index.html"))
		for range 10 {
			if err := h.Fields.AddBytes(name, value); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkReadChunked(b *testing.B) {
	for _, size := range []int{16, 1024, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			in := AppendLastChunk(AppendChunk(AppendChunk(nil, make([]byte, size)), make([]byte, size)), nil)
			var r BodyReader
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				r.Reset(Framing{Kind: Chunked}, Limits{})
				for rest := in; !r.Done(); {
					_, n, err := r.Next(rest)
					if err != nil {
						b.Fatal(err)
					}
					rest = rest[n:]
				}
			}
		})
	}
}

func BenchmarkAppendChunk(b *testing.B) {
	data := make([]byte, 1024)
	var out []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		out = AppendChunk(out[:0], data)
	}
}

func BenchmarkLowerName(b *testing.B) {
	for _, name := range []string{"Date", "Content-Type", "X-Own-Name"} {
		b.Run(name, func(b *testing.B) {
			n := []byte(name)
			b.ReportAllocs()
			for b.Loop() {
				LowerName(n)
			}
		})
	}
}

func BenchmarkRemoveHopByHop(b *testing.B) {
	var src, f Fields
	for i := range 12 {
		src.Add(fmt.Sprint("X-Field-Number-", i), "value")
	}
	src.Add("Connection", "keep-alive")
	b.ReportAllocs()
	for b.Loop() {
		f.CopyFrom(&src)
		if err := RemoveHopByHop(&f, false); err != nil {
			b.Fatal(err)
		}
	}
}
